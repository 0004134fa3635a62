"""`make demo`: the main job, from the HTTP request to SQL over what landed. Exits 0 only if all of it held."""

import json
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb

from local.function import Answer, FunctionProcess
from local.stack import Stack

ROWS, SHARDS = 2000, 2
TOO_EARLY = datetime(2022, 5, 1, 7, 30, tzinfo=UTC)
"""Half an hour before the reports of 2022-04-30 are there."""
PERIODS = {
    "daily": ("2022-04-01", "{}-2022-04-01"),
    "weekly": ("2022-04-06", "{}-2022-04-04-2022-04-10"),
    "monthly": ("2022-04-15", "{}-2022-04-01-2022-04-30"),
}
"""A day in the period, and the prefix of its files."""
QUERY = """\
SELECT start_date, action, count(*) AS decisions, round(100 * avg(consent), 1) AS opt_in_percent
FROM read_csv('{folder}/granular/daily/*/*.csv', hive_partitioning = true)
GROUP BY ALL ORDER BY ALL"""
ACTIONS = (
    "accept all",
    "deny all",
    "essential change",
    "first visit",
    "non-EU region or bot",
    "session restored",
    "TCF string change",
    "granular choice",
    "mobile session restored",
)


@dataclass
class _Show:
    """The demo's voice, and its memory of what did not hold."""

    function: FunctionProcess
    wrong: list[str] = field(default_factory=list)

    def title(self, text: str) -> None:
        say(f"\n{text}")

    def call(self, fields: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Answer:
        """Call the function, showing the call as curl would make it and the answer in short."""
        body = json.dumps(fields)
        options = "".join(f" -H {shlex.quote(f'{name}: {value}')}" for name, value in (headers or {}).items())
        say(f"$ curl{options} -d {shlex.quote(body)} {self.function.url}")
        answer = self.function.post(raw=body.encode(), headers=headers)
        say(f"  {_in_short(answer)}")
        return answer

    def expect(self, what: str, *, holds: bool) -> None:
        """Remember, and say, what does not hold."""
        if not holds:
            self.wrong.append(what)
            say(f"  WRONG: {what}")


def demo() -> int:
    """Run it; gives back the exit code."""
    started = time.monotonic()
    with Stack(rows=ROWS, shards=SHARDS) as stack, FunctionProcess(stack.function_env()) as function:
        show = _Show(function)
        say("Stand-ins for the export service, Cloud Storage and Secret Manager are up on 127.0.0.1,")
        say("and the function runs as in the cloud, in a process of its own (functions-framework).")
        _export_all(show, stack)
        _export_again(show)
        _export_too_early(show, stack)
        with tempfile.TemporaryDirectory() as temporary:
            folder = _folder(stack, Path(temporary))
            _show_tree(show, folder)
            _show_manifest(show, folder)
            _query(show, folder)
        _ask_coverage(show)
        if show.wrong:
            say(f"\nThe function's output:\n{function.output()}")
    if show.wrong:
        say("\nDid not hold: " + "; ".join(show.wrong))
        return 1
    say(f"\nAll of it held, in {time.monotonic() - started:.1f} s. Everything that was started is gone again.")
    return 0


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _export_all(show: _Show, stack: Stack) -> None:
    show.title("1. A day, a week and a month of each report")
    for aggregation in ("interaction", "granular"):
        for frequency, (day, prefix) in PERIODS.items():
            answer = show.call({"aggregation": aggregation, "frequency": frequency, "date": day})
            show.expect(f"{frequency} {aggregation} is copied", holds=_status(answer) == (200, "copied"))
            blobs = stack.client().list_blobs(stack.bucket, prefix=f"{aggregation}/{frequency}/")
            landed = {blob.name.rsplit("/", 1)[1]: blob.crc32c for blob in blobs}
            source = {name: info.crc32c for name, info in stack.exports.files(prefix.format(aggregation)).items()}
            show.expect(f"the {frequency} {aggregation} files equal their source", holds=landed == source)


def _export_again(show: _Show) -> None:
    show.title("2. One of them again: the bucket is compared with the source, and nothing is copied twice")
    answer = show.call({"aggregation": "granular", "frequency": "daily", "date": "2022-04-01"})
    show.expect("nothing is copied again", holds=_status(answer) == (200, "unchanged"))


def _export_too_early(show: _Show, stack: Stack) -> None:
    show.title("3. Yesterday's report at half past seven; they are made at eight (all times UTC)")
    stack.clock.fixed = TOO_EARLY
    headers = {"X-CloudScheduler-ScheduleTime": f"{TOO_EARLY:%Y-%m-%dT%H:%M:%SZ}"}
    answer = show.call({"aggregation": "granular", "frequency": "daily"}, headers)
    stack.clock.fixed = None
    show.expect("it is not there yet", holds=_status(answer) == (503, "not_available"))
    show.expect("the answer says when to try again", holds="Retry-After" in answer.headers)


def _show_tree(show: _Show, folder: Path) -> None:
    show.title("4. What landed in the bucket")
    previous: Path | None = None
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        if path.parent != previous:
            say(f"  {path.parent.relative_to(folder)}/")
        previous = path.parent
        say(f"    {path.name:<58}{path.stat().st_size:>9,} bytes")
    expected = 2 * len(PERIODS) * (SHARDS + 1)
    show.expect(f"there are {expected} objects", holds=len(files) == expected)


def _show_manifest(show: _Show, folder: Path) -> None:
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
    holds = len(names) == SHARDS and all((folder / name).is_file() for name in names)
    show.expect("the manifest names the files that are there", holds=holds)


def _query(show: _Show, folder: Path) -> None:
    show.title("6. SQL over the partitions (DuckDB here, an external table in BigQuery): opt-in rate by action")
    say("\n".join(f"  {line}" for line in QUERY.format(folder="BUCKET").splitlines()))
    rows = duckdb.execute(QUERY.format(folder=folder)).fetchall()
    for start_date, action, decisions, percent in rows:
        say(f"  {start_date}  {action} {ACTIONS[action]:<24}{decisions:>6,} decisions {percent:>6.1f} % opt-in")
    show.expect("every decision is counted", holds=sum(row[2] for row in rows) == ROWS * SHARDS)
    rates = {row[1]: row[3] for row in rows}
    show.expect("accept all is opt-in, deny all is not", holds=(rates.get(0), rates.get(1)) == (100.0, 0.0))


def _ask_coverage(show: _Show) -> None:
    show.title("7. What is there, and what is missing, of the first ten days of April")
    query = {"from": "2022-04-01", "to": "2022-04-10"}
    say(f"$ curl '{show.function.url}/?{urlencode(query)}'")
    answer = show.function.get(query=query).json()
    coverage: Any = answer.get("coverage", [])
    for each in coverage:
        kind = f"{each['aggregation']}, {each['frequency']}:"
        missing = [period["start_date"] for period in each["periods"] if period["status"] == "missing"]
        gaps = f", {missing[0]} to {missing[-1]}" if len(missing) > 1 else "".join(f", {day}" for day in missing)
        say(f"  {kind:<21} {each['complete']} complete, {each['bytes']:>7,} bytes; {each['missing']} missing{gaps}")
    counts = {each["frequency"]: (each["complete"], each["missing"]) for each in coverage}
    expected = {"daily": (1, 9), "weekly": (1, 1), "monthly": (1, 0)}
    show.expect("what was exported is complete, and the rest missing", holds=counts == expected)
    say("  A browser gets it as a page: `make serve` keeps everything up and prints the address.")


def _folder(stack: Stack, temporary: Path) -> Path:
    """The bucket as a folder: our own stand-in's, or a copy of what another Cloud Storage holds."""
    if stack.is_destination_ours:
        return stack.root / stack.bucket
    for blob in stack.client().list_blobs(stack.bucket):
        path = temporary / blob.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob.download_as_bytes())
    return temporary


def _export(answer: Answer) -> dict[str, object]:
    exports = answer.json().get("exports")
    return exports[0] if isinstance(exports, list) and exports else {}


def _status(answer: Answer) -> tuple[int, object]:
    return answer.status, _export(answer).get("status")


def _in_short(answer: Answer) -> str:
    export = _export(answer)
    problem = answer.json()
    if answer.status != 200:  # noqa: PLR2004 - a plain HTTP status
        retry_after = answer.headers.get("Retry-After", "-")
        return f"-> {answer.status} {problem.get('type')} (Retry-After: {retry_after}): {problem.get('detail')}"
    return (
        f"-> 200 {export.get('status')}: {export.get('file_prefix')}, {export.get('objects')} objects, "
        f"{export.get('bytes'):,} bytes, {export.get('bytes_copied'):,} of them copied, {answer.seconds:.2f} s"
    )
