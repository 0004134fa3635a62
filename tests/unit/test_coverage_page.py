"""The pages as documents: their cells, escaping, headers and size."""

import base64
import gzip
import hashlib
import re
import time
from datetime import UTC, date, datetime, timedelta
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_export.answers import compressed
from analytics_export.calendar_grid import MONTHS, Calendar, Mark, gaps
from analytics_export.check import Check
from analytics_export.check_page import page as check_page
from analytics_export.coverage import Coverage, ExportCoverage, coverage, parse
from analytics_export.coverage_page import fillings, page
from analytics_export.errors import ExportServiceRefused, UpstreamUnavailable
from analytics_export.export_request import MAX_PERIODS
from analytics_export.page import size
from analytics_export.periods import Aggregation, Export, Frequency, Period, available_within
from tests.support.landed_periods import landed

NOW = datetime(2026, 3, 18, 9, 0, tzinfo=UTC)
HOSTILE = "\"><script>alert(1)</script>'&amp;{{7*7}}"


def covered_since(
    first: date, *, frequency: Frequency = Frequency.DAILY, missing: set[int] | None = None, **query: str
) -> Coverage:
    """Coverage of granular from a day on, up to NOW; `missing` are indexes, from the oldest period."""
    due = list(available_within(frequency, first=first, last=date.max, now=NOW))[::-1]
    exports = [
        Export(Aggregation.GRANULAR, period) for number, period in enumerate(due) if number not in (missing or ())
    ]
    summaries = {export: landed(export, analytics_id="acme").summary for export in exports}
    fields = {"aggregation": "granular", "frequency": str(frequency), "from": str(first)} | query
    request = parse({name: [value] for name, value in fields.items()}, schedule_time=None, clock=lambda: NOW)
    return coverage(request, {(Aggregation.GRANULAR, frequency): summaries}, analytics_id="acme")


def html(found: Coverage, *, analytics_id: str = "acme", host: str = "x.run.app") -> str:
    body, _, _ = page(found, analytics_id=analytics_id, bucket="data", host=host)
    assert isinstance(body, str)
    return body


def text(document: str) -> str:
    """The document's text, without tags."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", document.partition("</head>")[2])).split())


def marks(export: ExportCoverage, *, is_open_ended: bool = True) -> dict[date, Mark]:
    """The mark of each cell that has one, by the day on which its period starts."""
    found: dict[date, Mark] = {}
    for grid in Calendar(export, is_open_ended=is_open_ended).grids():
        for heading, cells in grid.rows:
            assert len(cells) == len(grid.columns)
            for column, cell in zip(grid.columns, cells, strict=True):
                if cell.mark is Mark.NOTHING:
                    assert not cell.text
                    continue
                if export.frequency is Frequency.MONTHLY:
                    day = date(int(heading), MONTHS.index(column) + 1, 1)
                else:
                    day = date(int(grid.title), MONTHS.index(heading) + 1, int(cell.text or column))
                assert day not in found
                found[day] = cell.mark
    return found


@settings(deadline=None, max_examples=50)
@given(
    frequency=st.sampled_from(list(Frequency)),
    first=st.dates(min_value=date(2023, 1, 1), max_value=date(2026, 3, 1)),
    missing=st.sets(st.integers(0, 60)),
)
def test_every_period_has_one_cell_with_its_status(frequency: Frequency, first: date, missing: set[int]) -> None:
    (export,) = covered_since(first, frequency=frequency, missing=missing).exports
    shown = marks(export, is_open_ended=False)
    assert shown == {
        each.export.period.start: Mark.MISSING if each.complete is None else Mark.COMPLETE for each in export.periods
    }


@pytest.mark.parametrize("frequency", list(Frequency))
def test_later_periods_of_the_year_are_shown_as_not_due(frequency: Frequency) -> None:
    (export,) = covered_since(date(2025, 6, 1), frequency=frequency).exports
    last = export.periods[-1].export.period
    not_due = sorted(day for day, mark in marks(export).items() if mark is Mark.NOT_DUE)
    assert not_due[0] == last.end + timedelta(days=1)
    assert not_due[-1].year == last.start.year
    period = Period.holding(frequency, not_due[0])
    while period.start.year == last.start.year:
        assert period.start in not_due
        period = Period.holding(frequency, period.end + timedelta(days=1))


def test_periods_that_were_not_requested_have_no_mark() -> None:
    found = covered_since(date(2026, 3, 1), to="2026-03-05")
    document = html(found)
    assert document.count("<b>complete") == 5
    assert "<b>not due" not in document
    assert "<b>not due" in html(covered_since(date(2026, 3, 1), to="2026-03-18"))


@settings(deadline=None, max_examples=50)
@given(missing=st.sets(st.integers(0, 1500), min_size=1, max_size=80))
def test_the_suggested_requests_fill_every_gap_within_the_limit_of_one_request(missing: set[int]) -> None:
    (export,) = covered_since(date(2022, 1, 1), missing=missing).exports
    starts = [period.start for period in export.missing]
    covered: list[date] = []
    for body in fillings(export):
        first, last = date.fromisoformat(body["from"]), date.fromisoformat(body["to"])
        assert (last - first).days < MAX_PERIODS
        covered += [day for day in starts if first <= day <= last]
    assert covered == starts


def test_adjacent_missing_periods_are_one_gap() -> None:
    (export,) = covered_since(date(2026, 3, 1), missing={2, 4, 5, 6}).exports
    assert [(gap.first.start.day, gap.last.start.day, gap.count) for gap in gaps(export)] == [(3, 3, 1), (5, 7, 3)]


def test_the_page_says_what_is_missing_and_which_request_fills_it() -> None:
    shown_text = text(html(covered_since(date(2026, 3, 1), missing={2, 4, 5, 6})))
    assert "4 of 17 periods that are due are missing." in shown_text
    assert "2026-03-05 up to 2026-03-07: 3 periods" in shown_text
    assert "2026-03-17 2026-03-18 08:25 UTC" in shown_text  # the newest complete period, and when it was completed
    assert "13 4 48.1 MB" in shown_text
    assert (
        """curl --max-time 1800 -H "Authorization: Bearer $(gcloud auth print-identity-token)" -d '{"aggregation": """
        """"granular", "frequency": "daily", "from": "2026-03-03", "to": "2026-03-07"}' https://x.run.app/"""
    ) in shown_text


@pytest.mark.parametrize(
    ("frequency", "gap"),
    [
        (Frequency.WEEKLY, "2026-01-12 to 2026-01-18 up to 2026-01-19 to 2026-01-25: 2 periods"),
        (Frequency.MONTHLY, "2025-03 up to 2025-04: 2 periods"),
    ],
)
def test_gaps_name_weeks_and_months(frequency: Frequency, gap: str) -> None:
    first = date(2025, 1, 1) if frequency is Frequency.MONTHLY else date(2025, 12, 29)
    assert gap in text(html(covered_since(first, frequency=frequency, missing={2, 3})))


def test_the_suggested_request_through_a_local_proxy_needs_no_token() -> None:
    shown_text = text(html(covered_since(date(2026, 3, 1), missing={2}), host="localhost:8080"))
    assert shown_text.count("curl -d '{") == 1
    assert "}' http://localhost:8080/" in shown_text
    assert "1 of 17 periods that are due is missing." in shown_text


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (covered_since(date(2026, 3, 1)), "Nothing is missing: 17 of 17 periods that are due are there."),
        (covered_since(date(2027, 3, 1)), "No period is due in what was asked for."),
        (Coverage(parse({}, schedule_time=None, clock=lambda: NOW), ()), "No export has landed yet."),
    ],
)
def test_where_nothing_is_missing_the_page_says_why(found: Coverage, says: str) -> None:
    shown_text = text(html(found))
    assert says in shown_text
    assert "Gaps" not in shown_text


@pytest.mark.parametrize("host", [HOSTILE, "x y", "a/b", "", "a" * 300, "x:1;rm -rf", "$(rm)"])
def test_a_hostile_host_is_not_repeated(host: str) -> None:
    document = html(covered_since(date(2026, 3, 1), missing={2}), host=host)
    assert unescape(document).count("FUNCTION_URL") == 1
    assert not host or f"{host}/" not in unescape(document)


def test_hostile_names_are_shown_as_text() -> None:
    document = html(covered_since(date(2026, 3, 1)), analytics_id=HOSTILE)
    assert HOSTILE in unescape(document)
    assert "<script" not in document
    assert "49" not in text(document)
    body, _, _ = check_page([Check("bucket", HOSTILE, ExportServiceRefused("x"))])
    assert isinstance(body, str)
    assert HOSTILE in unescape(body)
    assert "<script" not in body


def test_the_content_security_policy_allows_only_the_pages_own_style() -> None:
    body, _, headers = page(covered_since(date(2026, 3, 1)), analytics_id="acme", bucket="data", host="x")
    assert isinstance(body, str)
    (style,) = re.findall(r"<style>(.*?)</style>", body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    assert re.findall(r"\s(?:style|on\w+|src)\s*=", body) == []
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert headers["Referrer-Policy"] == "no-referrer"


def test_a_page_has_the_status_of_its_problem() -> None:
    found = covered_since(date(2026, 3, 1), missing={1}, require_complete="true")
    _, status, headers = page(found, analytics_id="acme", bucket="data", host="x")
    assert (status, headers["Retry-After"]) == (503, "900")
    _, status, headers = check_page([Check("bucket", "x", UpstreamUnavailable("x"))])
    assert (status, headers["Retry-After"]) == (503, "300")
    _, status, headers = check_page([Check("bucket", "x")])
    assert (status, "Retry-After" in headers) == (200, False)


def test_a_page_of_ten_years_of_days_twice_is_under_400_kb() -> None:
    """With a gap every other day, the most that there can be; it is made in well under a second, 3 s are allowed."""
    began_s = time.process_time()
    one = covered_since(date(2016, 3, 18), missing=set(range(0, 3700, 2)))
    (export,) = one.exports
    twice = Coverage(one.request, (export, ExportCoverage(Aggregation.INTERACTION, export.frequency, export.periods)))
    answer = page(twice, analytics_id="acme", bucket="data", host="x.run.app")
    assert time.process_time() - began_s < 3
    assert len(str(answer[0])) < 400_000
    body, _, headers = compressed(answer, accepts_gzip=True)
    assert isinstance(body, bytes)
    assert headers["Content-Encoding"] == "gzip"
    assert len(body) < 40_000
    assert gzip.decompress(body).decode() == answer[0]


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (734_003_200, "734.0 MB"),
        (5_020_000_000, "5.0 GB"),
        (5 * 10**12, "5.0 TB"),
    ],
)
def test_a_size_is_shown_in_readable_units(size_bytes: int, shown: str) -> None:
    assert size(size_bytes) == shown
