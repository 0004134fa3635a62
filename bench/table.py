"""The text of results.md: medians, ratios to this project, and the targets."""

import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.cold_start import ColdStart
from bench.measure import Row
from bench.targets import PROJECT, floor_s, floor_title, kinds, targets
from bench.work import GIB

_HEAD = (
    "| | seconds | fastest .. slowest | MB/s | CPU-s per GiB | peak MB | requests | new connections | ratio | runs |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def text(tables: list[list[Row]], cold: ColdStart, *, command: str) -> str:
    """Return the text of results.md, without the queue's section."""
    return "\n".join(
        [
            "# Results of the bench",
            "",
            *_circumstances(command),
            "",
            "## Targets",
            "",
            *_targets(tables, cold),
            "",
            *(line for rows in tables for line in table(rows)),
            *_cold_start(cold),
            "",
        ]
    )


def table(rows: list[Row]) -> Iterator[str]:
    """Return the lines of one work's table."""
    work = rows[0].work
    project = next(row for row in rows if row.peer == PROJECT)
    yield f"## {work.title[0].upper()}{work.title[1:]}"
    yield ""
    yield _HEAD
    for row in rows:
        if row.runs and not row.left_out:
            yield _line(row, project)
    floor = floor_s(work)
    if floor:
        yield f"| {floor_title(work)} | {floor:.2f} | | | | | | | {floor / project.seconds:.2f} | |"
    yield ""
    notes = [*_requests_of(rows), *_left_out(rows)]
    if notes:
        yield from notes
        yield ""


def _requests_of(rows: list[Row]) -> Iterator[str]:
    """Return lines with the kinds of a span's requests."""
    for row in rows:
        if row.work.is_span and row.runs and not row.left_out:
            yield f"- Requests of {row.peer}: {kinds(row)}."


def _left_out(rows: list[Row]) -> Iterator[str]:
    left_out = [row for row in rows if row.left_out]
    for reason in dict.fromkeys(row.left_out for row in left_out):
        names = [row.peer for row in left_out if row.left_out == reason]
        yield f"- Left out: {'all others' if len(names) == len(rows) - 1 else ', '.join(names)}: {reason}."


def _line(row: Row, project: Row) -> str:
    run = row.runs[-1]
    low, high = row.spread
    return (
        f"| {row.peer} | {row.seconds:.2f} | {low:.2f} .. {high:.2f} | {row.work.bytes / 1e6 / row.seconds:.0f} "
        f"| {row.cpu_s_per_gib:.2f} | {row.peak_bytes / 1e6:.0f} | {run.requests} | {run.connections} "
        f"| {row.seconds / project.seconds:.2f} | {len(row.runs)} |"
    )


def _circumstances(command: str) -> list[str]:
    tools = [_first_line("curl", "--version"), _first_line("rclone", "version"), _first_line("gcloud", "--version")]
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "unknown",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return [
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. {os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"google-cloud-storage {version('google-cloud-storage')}, requests {version('requests')}, "
        f"urllib3 {version('urllib3')}. "
        + ", ".join(tool for tool in tools if tool)
        + f". Load before: {_LOAD}; after: {os.getloadavg()[0]:.1f}.",
        "",
        "TLS on both sides, loopback; source, bucket and peer share the cores. The bench compares length and crc32c",
        "of every object, so only complete copies are counted. This project's rows are the function itself under",
        "functions-framework, warm: listing, comparison, copies, verification and manifest. Python libraries are warm",
        "too; commands start once for each file. `ratio` is the row's seconds divided by this project's: 2.00 took",
        "twice as long. Seconds are medians; peak memory is the largest of all runs, summed over the peer's processes.",
        "A peer gets no further runs of a work once it has used its share of the bench's time. The floor is the time",
        "of the delays alone. `gcloud` runs without its own checksums, which need an MD5 from the bucket. A Python",
        "library's memory includes what it kept from earlier works, as in a warm function. The plain script is how one",
        "would write a backfill with requests and google-cloud-storage, with connections reused: for each day it",
        "requests the links, and for each link `upload_from_string` writes what a GET has read. It checks nothing, and",
        "after a failure it starts again from the beginning.",
    ]


def _targets(tables: list[list[Row]], cold: ColdStart) -> Iterator[str]:
    yield "| target | measured | met |"
    yield "| --- | --- | --- |"
    for target in targets(tables, cold):
        yield f"| {target.title} | {target.measured} | {'yes' if target.is_met else '**no**'} |"


def _cold_start(cold: ColdStart) -> Iterator[str]:
    yield "## Cold start"
    yield ""
    yield "| | |"
    yield "| --- | ---: |"
    yield f"| `import main` | {cold.import_main_s:.2f} s |"
    yield f"| the same, and what the first request imports | {cold.import_all_s:.2f} s |"
    yield f"| process start to the first answer under functions-framework, a 400 | {cold.first_answer_s:.2f} s |"
    yield f"| process start to the answer of an export of one small file | {cold.first_export_s:.2f} s |"
    yield f"| memory of the worker at rest, before its first request | {cold.at_rest_bytes / 1e6:.0f} MB |"
    yield f"| the same after its first export | {cold.after_export_bytes / 1e6:.0f} MB |"
    yield ""
    yield "Where the import time is spent (`python -X importtime`, each package's own time): " + (
        ", ".join(f"{package} {seconds * 1000:.0f} ms" for package, seconds in cold.entries) + "."
    )


def _first_line(*command: str) -> str:
    try:
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return output.splitlines()[0].partition(" (")[0]
    except (OSError, subprocess.CalledProcessError):
        return ""


_LOAD = f"{os.getloadavg()[0]:.1f}"
