"""`make picture`: the coverage page of made-up exports, as a browser shows it, for the README."""

import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.faults import Kind
from local.function import FunctionProcess
from local.stack import Stack

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SIZE = {"width": 1240, "height": 1000}
GAPS_DAYS_AGO = (3, 4, 5, 9, 100)


def picture(path: Path, *, port: int) -> int:
    """Export more than a year of days, weeks and months, with gaps, and write the picture. Return the exit code."""
    browser = shutil.which("chromium")
    if browser is None:
        sys.stderr.write("No chromium on the PATH; Debian, Ubuntu: apt-get install chromium\n")
        return 1
    today = datetime.now(UTC).date()
    with Stack(rows=200, shards=2) as stack, FunctionProcess(stack.function_env(), port=port) as function:
        for days in GAPS_DAYS_AGO:
            missing = f"granular-{today - timedelta(days=days)}$"
            stack.faults.add("export.list", Kind.STATUS, status=404, name=missing, times=None)
        first = today - timedelta(days=400)  # the maximum number of periods in one request
        for frequency in ("daily", "weekly", "monthly"):
            function.post({"aggregation": "granular", "frequency": frequency, "from": str(first), "to": str(today)})
        _show(function.url, browser, path)
    sys.stdout.write(f"{path}: {path.stat().st_size:,} bytes\n")
    return 0


def _show(url: str, browser: str, path: Path) -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only this command uses it

    path.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        page = chromium.new_page(viewport=SIZE)  # type: ignore[arg-type] # a ViewportSize
        page.goto(url)
        page.screenshot(path=path)
        chromium.close()
