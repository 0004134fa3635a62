"""What `make bench` prints and keeps: medians, ratios to this project, and whether the targets hold."""

import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.cold_start import ColdStart
from bench.measure import Row
from bench.project import ProjectPeer
from bench.work import AT_ONCE, GIB, MIB, Work

PROJECT = ProjectPeer.name
_HEAD = (
    "| | seconds | fastest .. slowest | MB/s | CPU-s per GiB | peak MB | requests | new connections | ratio | runs |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)
REQUESTS_A_FILE = 3
"""Of a copied file: the GET, the start of the upload session, the PUT."""
REQUESTS_A_PERIOD = 7
"""One after the other around the copies: both listings, the bucket's twice more, two manifests read, one written."""
REQUESTS_AN_UNCHANGED_PERIOD = 4
"""Likewise: both listings, two manifests read."""


def text(tables: list[list[Row]], cold: ColdStart, *, command: str) -> str:
    """Return all of results.md."""
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
    """Give one work's table."""
    work = rows[0].work
    project = next(row for row in rows if row.peer == PROJECT)
    yield f"## {work.title[0].upper()}{work.title[1:]}"
    yield ""
    yield _HEAD
    for row in rows:
        if row.runs and not row.left_out:
            yield _line(row, project)
    floor_s = _floor_s(work)
    if floor_s:
        yield (
            f"| floor: requests a file {_requests_a_file(work)}, {AT_ONCE} at once | {floor_s:.2f} | | | | | | "
            f"| {floor_s / project.seconds:.2f} | |"
        )
    yield ""
    left_out = [row for row in rows if row.left_out]
    if left_out:
        for reason in dict.fromkeys(row.left_out for row in left_out):
            yield f"- Left out: {', '.join(row.peer for row in left_out if row.left_out == reason)}: {reason}."
        yield ""


def _line(row: Row, project: Row) -> str:
    run = row.runs[-1]
    low, high = row.spread
    return (
        f"| {row.peer} | {row.seconds:.2f} | {low:.2f} .. {high:.2f} | {row.work.bytes / 1e6 / row.seconds:.0f} "
        f"| {row.cpu_s_per_gib:.2f} | {row.peak_bytes / 1e6:.0f} | {run.requests} | {run.connections} "
        f"| {row.seconds / project.seconds:.2f} | {len(row.runs)} |"
    )


def _requests_a_file(work: Work) -> int:
    return 1 if work.is_there_already else REQUESTS_A_FILE


def _floor_s(work: Work) -> float:
    """Return what the delay alone costs: the files' requests, `AT_ONCE` at once, and those of the period."""
    in_a_row = -(-work.files // AT_ONCE) * _requests_a_file(work)
    around = REQUESTS_AN_UNCHANGED_PERIOD if work.is_there_already else REQUESTS_A_PERIOD
    return work.delay_s * (in_a_row + around) if work.is_small else 0.0


def _circumstances(command: str) -> list[str]:
    tools = {
        "curl": _first_line("curl", "--version"),
        "rclone": _first_line("rclone", "version"),
        "gcloud": _first_line("gcloud", "--version"),
    }
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
        + ", ".join(told for told in tools.values() if told)
        + f". Load before: {_LOAD}.",
        "",
        "TLS on both sides, loopback; source, sink and copying share the cores. The sink checks length and crc32c of",
        "every object, so only whole copies are counted. This project's rows are the function itself under",
        "functions-framework, warm: listing, comparison, copies, verification and manifest. Python libraries are warm",
        "too; commands start for each file. `ratio` is the row's seconds in terms of this project's: 2.00 took twice",
        "as long. Seconds are medians; peak memory is the largest, of all the peer's processes added up. A peer that",
        "has spent its share of the bench's time on one work gets no further runs of it. The floor is what the delay",
        "alone costs. `gcloud` runs without its own checksums, which need an MD5 from the sink. A Python library's",
        "memory holds what it has kept from the work before, as in a warm function.",
    ]


def _targets(tables: list[list[Row]], cold: ColdStart) -> Iterator[str]:
    """Say of each target whether it holds, with its figures."""
    yield "| target | measured | holds |"
    yield "| --- | --- | --- |"
    for target, measured, holds in [*_file_targets(tables), _import_target(cold)]:
        yield f"| {target} | {measured} | {'yes' if holds else '**no**'} |"


def _file_targets(tables: list[list[Row]]) -> Iterator[tuple[str, str, bool]]:
    for rows in tables:
        work = rows[0].work
        by_name = {row.peer: row for row in rows if row.runs and not row.left_out}
        project = by_name[PROJECT]
        if work.files == 1 and not work.delay_s:
            single = project
            yield from _single_file(project, by_name)
        elif not work.is_small and not work.delay_s:
            speed, speed_of_one = (row.work.bytes / MIB / row.seconds for row in (project, single))
            cores = os.cpu_count() or 1
            needed_s = project.cpu_s_per_gib + project.servers_cpu_s_per_gib
            yield (
                f"{work.title}: not slower in total than one",
                (
                    f"{speed:.0f} MiB/s, one {speed_of_one:.0f} MiB/s; {1024 * cores / needed_s:.0f} MiB/s is the "
                    f"limit: copy, source and sink need {needed_s:.2f} CPU-s per GiB of {cores} cores"
                ),
                speed >= speed_of_one,
            )
            peak = max(project.peak_bytes, single.peak_bytes) / 1e6
            yield f"{work.title}: peak memory under 100 MB", f"{peak:.0f} MB", peak < 100  # noqa: PLR2004 - the target
        elif work.is_small and work.delay_s:
            ratio = project.seconds / _floor_s(work)
            yield f"{work.title}: at most 1.5 times the floor", f"{ratio:.2f}", ratio <= 1.5  # noqa: PLR2004 - the target
            kinds = project.runs[-1].kinds
            counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda kind: -kind[1]))
            most = project.runs[-1].connections
            yield f"{work.title}: connections are reused", f"{most} new; {counted}", most <= 2 * AT_ONCE


def _single_file(project: Row, by_name: dict[str, Row]) -> Iterator[tuple[str, str, bool]]:
    """Give the targets of one large file, beside what the ceilings say is possible at all."""

    def peer(key: str) -> Row | None:
        return next((row for name, row in by_name.items() if key in name), None)

    curl, rclone, receiving, sending = (peer(key) for key in ("SESSION", "rclone", "download only", "upload only"))
    title = project.work.title
    if curl:
        ratio = curl.seconds / project.seconds
        yield f"{title}: speed at least 0.95 of `curl \\| curl`", f"{ratio:.2f}", ratio >= 0.95  # noqa: PLR2004 - the target
    if rclone:
        ratio = rclone.seconds / project.seconds
        measured = f"{ratio:.2f}"
        if receiving and sending:
            best = rclone.seconds / max(receiving.seconds, sending.seconds)
            measured += f"; {best:.2f} is the limit: curl needs so long for the slower half alone"
        yield f"{title}: speed at least 3 times `rclone copyurl`", measured, ratio >= 3  # noqa: PLR2004 - the target
    cpu = project.cpu_s_per_gib
    measured = f"{cpu:.2f}"
    if receiving and sending:
        measured += f"; curl: {receiving.cpu_s_per_gib:.2f} to receive and {sending.cpu_s_per_gib:.2f} to send"
    yield f"{title}: at most 1.6 CPU-s per GiB", measured, cpu <= 1.6  # noqa: PLR2004 - the target


def _import_target(cold: ColdStart) -> tuple[str, str, bool]:
    return "`import main` under 0.4 s", f"{cold.import_main_s:.2f} s", cold.import_main_s < 0.4  # noqa: PLR2004 - the target


def _cold_start(cold: ColdStart) -> Iterator[str]:
    yield "## Cold start"
    yield ""
    yield "| | |"
    yield "| --- | ---: |"
    yield f"| `import main` | {cold.import_main_s:.2f} s |"
    yield f"| the same with all that the first request loads | {cold.import_all_s:.2f} s |"
    yield f"| process start to its first answer under functions-framework, a refusal | {cold.first_answer_s:.2f} s |"
    yield f"| process start to the answer of a whole export of one small file | {cold.first_export_s:.2f} s |"
    yield f"| memory of the worker at rest, before its first request | {cold.at_rest_bytes / 1e6:.0f} MB |"
    yield f"| the same after its first export | {cold.after_export_bytes / 1e6:.0f} MB |"
    yield ""
    yield "Where the imports spend it (`python -X importtime`, each package's own time): " + (
        ", ".join(f"{package} {seconds * 1000:.0f} ms" for package, seconds in cold.entries) + "."
    )


def _first_line(*command: str) -> str:
    try:
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return told.splitlines()[0].partition(" (")[0]
    except (OSError, subprocess.CalledProcessError):
        return ""


_LOAD = f"{os.getloadavg()[0]:.1f}"
