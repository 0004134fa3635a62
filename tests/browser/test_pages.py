"""The running function's pages in a real browser: what they say, on the screen and to a screen reader."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from analytics_export.calendar_grid import MONTHS
from analytics_export.periods import Aggregation, Frequency
from local.faults import Kind
from local.function import REPOSITORY
from local.stack import Stack
from tests.support.functions import ScannedFunction, StartFunction
from tests.support.landed_periods import land

AS_OF = {"X-CloudScheduler-ScheduleTime": "2022-03-10T09:00:00Z"}
HOSTILE_ID = "<script>document.title='owned'</script>"
PHONE, DESKTOP = (360, 740), (1280, 900)
VIEWPORTS = [
    pytest.param(size, scheme, id=f"{name}-{scheme}")
    for name, size in (("phone", PHONE), ("desktop", DESKTOP))
    for scheme in ("light", "dark")
]
WATCH = "addEventListener('securitypolicyviolation', event => console.error('CSP: ' + event.violatedDirective))"


@contextmanager
def opened(
    browser: Browser,
    url: str,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: Any = "light",
    complaints: list[str] | None = None,
) -> Iterator[Page]:
    """The page at this address; fails if the browser reports an error, unless `complaints` is there to collect it."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, extra_http_headers=AS_OF
    )
    page = context.new_page()
    noted: list[str] = [] if complaints is None else complaints
    page.on("console", lambda message: noted.append(message.text))
    page.on("pageerror", lambda error: noted.append(str(error)))
    page.add_init_script(WATCH)
    page.goto(url)
    try:
        yield page
    finally:
        context.close()
    # an error status of the answer is not a defect of the page
    unexpected = [each for each in noted if not each.startswith("Failed to load resource: the server responded")]
    assert complaints is not None or unexpected == []


@pytest.fixture
def shown(stack: Stack, function: ScannedFunction) -> ScannedFunction:
    """The function, with periods of every kind and status to show."""
    gaps = [date(2021, 12, 31), date(2022, 1, 5), date(2022, 1, 6), date(2022, 3, 1)]
    land(stack, date(2021, 12, 20), date(2022, 3, 9), but=gaps)
    weeks, months = (Aggregation.INTERACTION, Frequency.WEEKLY), (Aggregation.INTERACTION, Frequency.MONTHLY)
    land(stack, date(2021, 12, 6), date(2022, 3, 6), kind=weeks, but=[date(2022, 1, 31)])
    land(stack, date(2021, 11, 1), date(2022, 2, 28), kind=months)
    return function


def calendar(page: Page, year: str, frequency: str) -> dict[str, str]:
    """What the cells of a year say to a screen reader, by the day on which their period starts."""
    found = {}
    for table in page.get_by_role("table", name=year).all():
        if frequency not in str(table.get_attribute("class")):
            continue
        columns = table.get_by_role("columnheader").all_text_contents()
        for row in table.get_by_role("row").all()[1:]:
            heading = row.get_by_role("rowheader").text_content()
            for column, cell in zip(columns, row.get_by_role("cell").all_text_contents(), strict=True):
                if cell:
                    found[f"{heading} {column}"] = cell
    return found


@pytest.mark.parametrize(("size", "scheme"), VIEWPORTS)
def test_the_page_says_what_the_json_says(
    browser: Browser, shown: ScannedFunction, size: tuple[int, int], scheme: str
) -> None:
    exports: Any = shown.get(headers=AS_OF).json()["coverage"]
    with opened(browser, shown.url, size=size, scheme=scheme) as page:
        assert page.get_by_role("heading", level=1).text_content() == "Coverage of the analytics exports"
        missing, due = sum(each["missing"] for each in exports), sum(len(each["periods"]) for each in exports)
        assert page.get_by_text(f"{missing} of {due} periods that are due are missing.").is_visible()
        assert page.get_by_role("heading", level=2).all_text_contents() == [
            f"{each['aggregation'].capitalize()}, {each['frequency']}" for each in exports
        ]
        for each in exports:
            row = page.get_by_role("row").filter(
                has=page.get_by_role("link", name=f"{each['aggregation']}-{each['frequency']}")
            )
            cells = row.get_by_role("cell").all_text_contents()
            assert cells[:2] == [str(each["complete"]), str(each["missing"])]
            newest = [period for period in each["periods"] if period["status"] == "complete"][-1]
            assert cells[3].startswith(newest["start_date"][:7])
            assert cells[4] == newest["completed_at"][:16].replace("T", " ") + " UTC"


def test_each_day_has_its_cell(browser: Browser, shown: ScannedFunction) -> None:
    exports: Any = shown.get(headers=AS_OF).json()["coverage"]
    (daily,) = [each for each in exports if each["frequency"] == "daily"]
    with opened(browser, shown.url) as page:
        cells = {}
        for year in ("2021", "2022"):
            for place, cell in calendar(page, year, "daily").items():
                month, number = place.split()
                cells[str(date(int(year), MONTHS.index(month) + 1, int(number)))] = cell
    expected = {period["start_date"]: period["status"] for period in daily["periods"]}
    assert {day: cell for day, cell in cells.items() if cell != "not due"} == expected
    assert min(day for day, cell in cells.items() if cell == "not due") == "2022-03-10"
    assert max(cells) == "2022-12-31"


def test_each_week_and_month_has_its_cell(browser: Browser, shown: ScannedFunction) -> None:
    with opened(browser, shown.url) as page:
        weeks, months = calendar(page, "2022", "weekly"), calendar(page, "Months", "monthly")
    assert {place: cell for place, cell in weeks.items() if place.startswith(("Jan", "Mar"))} == {
        "Jan 1st": "complete3", "Jan 2nd": "complete10", "Jan 3rd": "complete17", "Jan 4th": "complete24",
        "Jan 5th": "missing31", "Mar 1st": "not due7", "Mar 2nd": "not due14", "Mar 3rd": "not due21",
        "Mar 4th": "not due28",
    }  # fmt: skip
    assert [months[f"2022 {month}"] for month in MONTHS] == ["complete"] * 2 + ["not due"] * 10
    assert [months.get(f"2021 {month}") for month in MONTHS[9:]] == [None, "complete", "complete"]


def test_a_cell_shows_a_sign_as_well_as_a_colour(browser: Browser, shown: ScannedFunction) -> None:
    style = """kind => { const style = getComputedStyle(document.querySelector(`td.${kind}`), '::after');
                        return [style.content.slice(0, 3), style.backgroundColor] }"""
    with opened(browser, shown.url) as page:
        signs = [page.evaluate(style, kind)[0] for kind in "cmn"]
    assert signs == ['"✓"', '"✕"', '"·"']


@pytest.mark.parametrize("path", ["", "check"])
@pytest.mark.parametrize(("size", "scheme"), VIEWPORTS)
def test_the_pages_are_accessible(
    stack: Stack, browser: Browser, shown: ScannedFunction, size: tuple[int, int], scheme: str, path: str
) -> None:
    """axe-core finds no serious or critical violation, and nothing is wider than the screen."""
    stack.faults.add("export.list", Kind.STATUS, status=401, times=None)
    with opened(browser, f"{shown.url}/{path}", size=size, scheme=scheme) as page:
        results = Axe().run(page).response
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    broken = [each for each in results["violations"] if each["impact"] in {"serious", "critical"}]
    assert [(each["id"], each["nodes"][0]["html"]) for each in broken] == []


def test_defects_of_a_page_are_detected(browser: Browser, shown: ScannedFunction) -> None:
    """By axe-core, and in the browser's console."""
    complaints: list[str] = []
    with opened(browser, shown.url, complaints=complaints) as page:
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\"><p style=\"color:red\">x')")
        results = Axe().run(page).response
        assert "image-alt" in [each["id"] for each in results["violations"] if each["impact"] == "critical"]
    assert "CSP: style-src-attr" in complaints


def test_the_request_that_the_page_shows_fills_the_gap(browser: Browser, shown: ScannedFunction) -> None:
    with opened(browser, f"{shown.url}/?aggregation=granular&from=2022-03-01") as page:
        assert page.get_by_role("listitem").all_text_contents() == ["2022-03-01\n"]
        command = shlex.split(page.get_by_role("code").text_content() or "")
        assert (command[:2], command[3:]) == (["curl", "-d"], [f"{shown.url}/"])
        assert shown.post(raw=command[2].encode()).status == 200
        page.reload()
        assert page.get_by_text("Nothing is missing: 9 of 9 periods that are due are there.").is_visible()


def test_the_check_is_one_click_away(stack: Stack, browser: Browser, function: ScannedFunction) -> None:
    stack.faults.add("export.list", Kind.STATUS, status=401, times=None)
    with opened(browser, function.url) as page:
        assert page.get_by_text("No export has landed yet.").is_visible()
        page.get_by_role("link", name="Check the set-up").click()
        assert page.get_by_text("Not right: export service.").is_visible()
        rows = page.get_by_role("row").all()
        assert [row.get_by_role("cell").first.text_content() for row in rows[1:]] == [
            "right", "right", "not right", "right", "right",
        ]  # fmt: skip
        assert "Ask Usercentrics for a valid key" in str(rows[3].text_content())
        page.get_by_role("link", name="Coverage").click()
        assert page.get_by_role("heading", level=1).text_content() == "Coverage of the analytics exports"


def test_a_hostile_analytics_id_is_shown_as_text(stack: Stack, browser: Browser, start_function: StartFunction) -> None:
    land(stack, date(2022, 3, 1), date(2022, 3, 2))
    with opened(browser, start_function(ANALYTICS_ID=HOSTILE_ID.replace("/", "")).url) as page:
        assert page.get_by_text(HOSTILE_ID.replace("/", "")).is_visible()
        assert page.title() == "Coverage of the analytics exports"


def test_the_coverage_page_prints_well(browser: Browser, shown: ScannedFunction) -> None:
    """On at most three sheets, with nothing cut off at the right."""
    with opened(browser, shown.url, size=(720, 1000)) as page:
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert 1 <= page.pdf(format="A4").count(b"/Type /Page\n") <= 3


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/html", True),
        ("text/*", True),
        ("application/json;q=0.5, text/html;q=0.6", True),
        ("*/*", False),
        (None, False),
        ("", False),
        ("application/json", False),
        ("text/html, application/json", False),
        ("application/json;q=0.6, text/html;q=0.5", False),
        ("text/html;q=0, */*", False),
        ("text/csv", False),
        ("nonsense;q=x,,", False),
    ],
)
@pytest.mark.parametrize("path", ["", "check"])
def test_a_browser_gets_the_page_and_a_program_the_json(
    function: ScannedFunction, accept: str | None, path: str, *, is_page: bool
) -> None:
    answer = function.get(path, headers={"Accept": accept})  # type: ignore[dict-item] # None: none is sent
    kind = answer.headers["Content-Type"]
    assert kind == ("text/html; charset=utf-8" if is_page else "application/json")
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_picture_in_the_readme_can_be_generated_and_is_small(browser: Browser, tmp_path: Path) -> None:
    del browser  # skips where there is none
    made = tmp_path / "coverage.png"
    command = [sys.executable, "-m", "local", "picture", str(made), "--port", "0"]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)  # noqa: S603 - our own command
    for path in (made, REPOSITORY / "docs" / "coverage.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert 20_000 < path.stat().st_size < 150_000
