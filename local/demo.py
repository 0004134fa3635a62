"""`make demo`: the main job, from the HTTP request to SQL over the bucket. Exits 0 only if every check passes."""

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from local import rates
from local.demo_output import DemoOutput, counts_of, say, status_of
from local.function import FunctionProcess
from local.stack import Stack

ROWS, SHARDS = 2000, 2
TOO_EARLY = datetime(2022, 5, 1, 7, 30, tzinfo=UTC)
"""Half an hour before the reports of 2022-04-30 are available."""
AGGREGATIONS = ("interaction", "granular")
PERIODS = {
    "daily": ("2022-04-01", "{}-2022-04-01"),
    "weekly": ("2022-04-06", "{}-2022-04-04-2022-04-10"),
    "monthly": ("2022-04-15", "{}-2022-04-01-2022-04-30"),
}
"""A day in the period, and the prefix of its files."""
QUARTER = {"aggregation": "granular", "frequency": "daily", "from": "2022-04-01", "to": "2022-06-30"}
QUEUE_S = 60.0


def demo() -> int:
    """Run the demo. Return the exit code."""
    started = time.monotonic()
    with Stack(rows=ROWS, shards=SHARDS) as stack, FunctionProcess(stack.function_env()) as function:
        show = DemoOutput(function)
        say("Stand-ins for the export service, Cloud Storage, Secret Manager and Cloud Tasks run on 127.0.0.1,")
        say("and the function runs as in the cloud, in a process of its own (functions-framework).")
        _export_all(show, stack)
        _export_again(show)
        _export_too_early(show, stack)
        with tempfile.TemporaryDirectory() as temporary:
            folder = _folder(stack, Path(temporary))
            _show_tree(show, folder)
            _show_manifest(show, folder)
            _show_decisions(show, stack, folder)
            _show_interactions(show, stack, folder)
        _backfill(show, stack)
        _ask_coverage(show)
        if show.failed:
            say(f"\nThe function's output:\n{function.output()}")
    if show.failed:
        say("\nFailed checks: " + "; ".join(show.failed))
        return 1
    say(f"\nAll checks passed, in {time.monotonic() - started:.1f} s. Everything is stopped again.")
    return 0


def _export_all(show: DemoOutput, stack: Stack) -> None:
    show.title("1. A day, a week and a month of each report")
    for aggregation in AGGREGATIONS:
        for frequency, (day, prefix) in PERIODS.items():
            answer = show.call({"aggregation": aggregation, "frequency": frequency, "date": day})
            show.expect(f"{frequency} {aggregation} is copied", passes=status_of(answer) == (200, "copied"))
            blobs = stack.client().list_blobs(stack.bucket, prefix=f"{aggregation}/{frequency}/")
            copied = {blob.name.rsplit("/", 1)[1]: blob.crc32c for blob in blobs}
            source = {name: info.crc32c for name, info in stack.exports.files(prefix.format(aggregation)).items()}
            show.expect(f"the {frequency} {aggregation} files equal their source", passes=copied == source)


def _export_again(show: DemoOutput) -> None:
    show.title("2. One of them again: the bucket is compared with the source, and nothing is copied twice")
    answer = show.call({"aggregation": "granular", "frequency": "daily", "date": "2022-04-01"})
    show.expect("nothing is copied again", passes=status_of(answer) == (200, "unchanged"))


def _export_too_early(show: DemoOutput, stack: Stack) -> None:
    show.title("3. Yesterday's report at half past seven; reports are available from eight on (all times UTC)")
    stack.clock.fixed = TOO_EARLY
    headers = {"X-CloudScheduler-ScheduleTime": f"{TOO_EARLY:%Y-%m-%dT%H:%M:%SZ}"}
    answer = show.call({"aggregation": "granular", "frequency": "daily"}, headers)
    stack.clock.fixed = None
    show.expect("it is not available yet", passes=status_of(answer) == (503, "not_available"))
    show.expect("the answer says when to try again", passes="Retry-After" in answer.headers)


def _show_tree(show: DemoOutput, folder: Path) -> None:
    show.title("4. The objects in the bucket")
    previous: Path | None = None
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        if path.parent != previous:
            say(f"  {path.parent.relative_to(folder)}/")
        previous = path.parent
        say(f"    {path.name:<58}{path.stat().st_size:>9,} bytes")
    expected = 2 * len(PERIODS) * (SHARDS + 1)
    show.expect(f"there are {expected} objects", passes=len(files) == expected)


def _show_manifest(show: DemoOutput, folder: Path) -> None:
    show.title("5. A manifest: written last, so its presence means that the period is complete")
    path = folder / "manifests/granular/daily/start_date=2022-04-01.json"
    manifest = json.loads(path.read_text()) if path.exists() else {}
    for name, value in manifest.items():
        if name == "objects":
            say("  objects:")
            for described in value:
                say(f"    {described['name']}")
                say(f"      {', '.join(f'{key} {described[key]}' for key in described if key != 'name')}")
        else:
            say(f"  {name}: {', '.join(value) if isinstance(value, list) else value}")
    names = [described["name"] for described in manifest.get("objects", [])]
    passes = len(names) == SHARDS and all((folder / name).is_file() for name in names)
    show.expect("the manifest names the period's files, and they exist", passes=passes)


def _show_decisions(show: DemoOutput, stack: Stack, folder: Path) -> None:
    show.title(
        "6. SQL over the files (here in DuckDB, as in BigQuery): opt-in rate by action. Each row has a count: sum them"
    )
    _show_query(rates.DECISIONS)
    found = rates.selected_decisions(folder)
    for action, sums in found.items():
        name = rates.ACTIONS.get(action, f"unknown code {action}")
        say(f"  {action} {name:<24}{sums.decisions:>7,} decisions {sums.opt_in_rate:>7.1%} opt-in")
    counted = rates.counted_decisions(_day(stack, "granular"))
    show.expect("the opt-in rates equal those of the source", passes=found == counted)
    show.expect("accept all is opt-in, deny all is not", passes=[found[0].opt_in_rate, found[1].opt_in_rate] == [1, 0])


def _show_interactions(show: DemoOutput, stack: Stack, folder: Path) -> None:
    show.title("7. Interaction rate and accept rate, by device; without bots")
    _show_query(rates.INTERACTIONS)
    found = rates.selected_interactions(folder)
    for device, sums in found.items():
        shares = f"interaction rate {sums.interaction_rate:.1%}, accept rate {sums.accept_rate:.1%}"
        say(f"  {device:<8}{sums.displays:>7,} displays {sums.interactions:>7,} interactions   {shares}")
    counted = rates.counted_interactions(_day(stack, "interaction"))
    show.expect("the interaction and accept rates equal those of the source", passes=found == counted)


def _backfill(show: DemoOutput, stack: Stack) -> None:
    show.title("8. A quarter through Cloud Tasks: first a dry run, then one task per day; the queue calls the function")
    stack.exports.rows = 20
    queue = stack.tasks.queue
    counts = [_spans(show, {**QUARTER, "dry_run": True}), _spans(show, {**QUARTER, "enqueue": True})]
    show.expect("the dry run shows what is missing", passes=counts[0] == (200, {"complete": 1, "planned": 90}))
    show.expect("each of these days is queued", passes=counts[1] == (202, {"complete": 1, "queued": 90}))
    queue.targets = [show.function.url]
    sys.stdout.write("  tasks in the queue:")
    until = time.monotonic() + QUEUE_S
    while (left := len(queue.tasks())) and time.monotonic() < until:
        sys.stdout.write(f" {left}")
        sys.stdout.flush()
        time.sleep(0.3)
    say(f" {left}")
    show.expect("the quarter is complete", passes=_spans(show, {**QUARTER, "dry_run": True}) == (200, {"complete": 91}))


def _spans(show: DemoOutput, fields: Mapping[str, object]) -> tuple[int, dict[str, int]]:
    """Call the function. Return the status code, and the number of periods by their status."""
    answer = show.call(fields)
    return answer.status, counts_of(answer)


def _show_query(query: str) -> None:
    say("\n".join(f"  {line}" for line in query.format(folder="BUCKET").splitlines()))


def _day(stack: Stack, aggregation: str) -> list[bytes]:
    """The day's files at the export service."""
    return [info.read_bytes() for info in stack.exports.files(PERIODS["daily"][1].format(aggregation)).values()]


def _ask_coverage(show: DemoOutput) -> None:
    show.title("9. Which periods are complete and which are missing, in the first ten days of April")
    query = {"from": "2022-04-01", "to": "2022-04-10"}
    say(f"$ curl '{show.function.url}/?{urlencode(query)}'")
    answer = show.function.get(query=query).json()
    coverage: Any = answer.get("coverage", [])
    for each in coverage:
        kind = f"{each['aggregation']}, {each['frequency']}:"
        missing = [period["start_date"] for period in each["periods"] if period["status"] == "missing"]
        gaps = f", {missing[0]} to {missing[-1]}" if len(missing) > 1 else "".join(f", {day}" for day in missing)
        say(f"  {kind:<21} {each['complete']} complete, {each['bytes']:>7,} bytes; {each['missing']} missing{gaps}")
    counts = {(each["aggregation"], each["frequency"]): (each["complete"], each["missing"]) for each in coverage}
    once = {"daily": (1, 9), "weekly": (1, 1), "monthly": (1, 0)}
    expected = {(aggregation, frequency): count for aggregation in AGGREGATIONS for frequency, count in once.items()}
    expected["granular", "daily"] = (10, 0)  # the quarter
    show.expect("the exported periods are complete, and the others missing", passes=counts == expected)
    say("  In a browser this is a page: `make serve` keeps everything running and prints the address.")


def _folder(stack: Stack, temporary: Path) -> Path:
    """The bucket as a folder: that of the stand-in, or a copy where the destination is another Cloud Storage."""
    if stack.is_destination_ours:
        return stack.root / stack.bucket
    for blob in stack.client().list_blobs(stack.bucket):
        path = temporary / blob.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob.download_as_bytes())
    return temporary
