"""The targets, and whether the figures meet them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from bench.cold_start import ColdStart
from bench.measure import Row
from bench.project import ProjectPeer
from bench.work import AT_ONCE, MIB, Work

PROJECT = ProjectPeer.name
MIN_RATIOS = {"SESSION": 1.2, "rclone": 1.1}
"""For large files: part of a peer's name -> its minimum ratio."""
MAX_FLOORS = 1.5
"""The maximum time for small files, as a multiple of the floor (the time of the delays alone)."""
MAX_PEAK_MB = 120
MAX_IMPORT_S = 0.4

REQUESTS_A_COPIED_FILE = 2
"""The GET and the upload, for a file that is short enough for one request."""
REQUESTS_A_COPIED_PERIOD = 6
"""Sequential, before and after the copies: the manifests' listing, the period's (three times), links, the manifest."""
REQUESTS_AN_UNCHANGED_FILE = 1
REQUESTS_AN_UNCHANGED_PERIOD = 4
"""Likewise: the manifests' listing, the manifest, the period's listing, the links."""
REQUESTS_A_NEW_PERIOD = 7
"""For a period of one short file, in a span."""
REQUESTS_A_SPAN = 3
"""Besides those of its periods: the maximum for the listing of the manifests."""


@dataclass(frozen=True)
class Target:
    """One line of the targets' table."""

    title: str
    measured: str
    is_met: bool


def targets(tables: list[list[Row]], cold: ColdStart) -> Iterator[Target]:
    """Return each target with its figures; for a missed target the figures show the reason."""
    of_one: Row | None = None
    for rows in tables:
        by_name = {row.peer: row for row in rows if row.runs and not row.left_out}
        project = by_name[PROJECT]
        work = project.work
        yield from _fastest(project, by_name)
        if not work.is_small and not work.delay_s:
            yield from _ratios(project, by_name)
            yield from _processor_time(project, by_name)
            if of_one is not None:
                yield _together(project, of_one)
            of_one = project
        elif work.is_span:
            yield _span(project)
        elif work.is_small and work.delay_s:
            yield from _small_files(project)
    yield _peak([row for rows in tables for row in rows if row.peer == PROJECT])
    yield Target(
        f"`import main` under {MAX_IMPORT_S} s", f"{cold.import_main_s:.2f} s", cold.import_main_s < MAX_IMPORT_S
    )


def floor_s(work: Work) -> float:
    """Return the time of the delays alone: the files' requests, `AT_ONCE` at once, and the period's; 0 without any."""
    if not work.is_small or work.is_span:
        return 0.0
    a_file, a_period = _requests(work)
    return work.delay_s * (-(-work.files // AT_ONCE) * a_file + a_period)


def floor_title(work: Work) -> str:
    """Return what `floor_s` counts."""
    return f"floor: {_requests(work)[0]} requests a file, {AT_ONCE} at once"


def _requests(work: Work) -> tuple[int, int]:
    if work.is_unchanged:
        return REQUESTS_AN_UNCHANGED_FILE, REQUESTS_AN_UNCHANGED_PERIOD
    return REQUESTS_A_COPIED_FILE, REQUESTS_A_COPIED_PERIOD


def _fastest(project: Row, by_name: dict[str, Row]) -> Iterator[Target]:
    peers = [row for row in by_name.values() if row.copies and row is not project]
    if peers:
        fastest = min(peers, key=lambda row: row.seconds)
        ratio = fastest.seconds / project.seconds
        measured = f"{ratio:.2f}, {fastest.peer}"
        if ratio < 1:
            measured += f"; {_used(project)}; {_used(fastest)}"
        yield Target(f"{project.work.title}: faster than every peer (ratio at least 1.0)", measured, ratio >= 1)


def _used(row: Row) -> str:
    """Return the processor time of the row's peer and of the servers; all cores used means that this is the limit."""
    cores = os.cpu_count() or 1
    used = (row.cpu_s + row.servers_cpu_s) / row.seconds
    return (
        f"{row.peer} takes {row.cpu_s:.2f} CPU-s, the servers {row.servers_cpu_s:.2f}: {used:.1f} of {cores} cores for "
        f"{row.seconds:.2f} s"
    )


def _ratios(project: Row, by_name: dict[str, Row]) -> Iterator[Target]:
    """Return the ratios of the commands, and the highest possible ratio according to the ceilings."""
    halves = [row.seconds for name, row in by_name.items() if name.startswith("ceiling: curl")]
    for key, minimum in MIN_RATIOS.items():
        peer = next((row for name, row in by_name.items() if key in name), None)
        if peer is None:
            continue
        ratio = peer.seconds / project.seconds
        measured = f"{ratio:.2f}"
        if halves:
            measured += f"; the limit is {peer.seconds / max(halves):.2f}: curl's time for the slower half alone"
        if ratio < minimum:
            measured += f"; {_used(project)}; {_used(peer)}"
        yield Target(f"{project.work.title}: ratio of {peer.peer} at least {minimum}", measured, ratio >= minimum)


def _processor_time(project: Row, by_name: dict[str, Row]) -> Iterator[Target]:
    halves = {
        name.rpartition(" ")[0].rpartition(" ")[2]: row.cpu_s_per_gib
        for name, row in by_name.items()
        if name.startswith("ceiling: curl")
    }
    python = next((row.cpu_s_per_gib for name, row in by_name.items() if name.startswith("ceiling: Python")), None)
    if len(halves) == 2:  # noqa: PLR2004 - to receive and to send
        needed = project.cpu_s_per_gib
        parts = " and ".join(f"{cpu_s:.2f} to {half}" for half, cpu_s in halves.items())
        measured = f"{needed:.2f} CPU-s per GiB; curl: {parts}, {sum(halves.values()):.2f} together"
        if python is not None:
            measured += f"; Python's ssl alone needs {python:.2f}"
        yield Target(
            f"{project.work.title}: less CPU than curl's receive and send together",
            measured,
            needed < sum(halves.values()),
        )


def _together(project: Row, of_one: Row) -> Target:
    speed, speed_of_one = (row.work.bytes / MIB / row.seconds for row in (project, of_one))
    cores = os.cpu_count() or 1
    needed_s = project.cpu_s_per_gib + project.servers_cpu_s_per_gib
    return Target(
        f"{project.work.title}: not slower in total than one",
        f"{speed:.0f} MiB/s, one {speed_of_one:.0f} MiB/s; the limit of {cores} cores is {1024 * cores / needed_s:.0f} "
        f"MiB/s: copy and servers need {needed_s:.2f} CPU-s per GiB",
        speed >= speed_of_one,
    )


def _span(project: Row) -> Target:
    work, count = project.work, project.busiest.requests
    if work.is_unchanged:
        title = f"{work.title}: at most {REQUESTS_A_SPAN} requests"
        return Target(title, f"{count}: {kinds(project)}", count <= REQUESTS_A_SPAN)
    return Target(
        f"{work.title}: at most {REQUESTS_A_NEW_PERIOD} requests a day, and {REQUESTS_A_SPAN} for the span",
        f"{count}: {kinds(project)}",
        count <= REQUESTS_A_NEW_PERIOD * work.days + REQUESTS_A_SPAN,
    )


def _small_files(project: Row) -> Iterator[Target]:
    work, run = project.work, project.busiest
    ratio = project.seconds / floor_s(work)
    yield Target(f"{work.title}: at most {MAX_FLOORS} times the floor", f"{ratio:.2f}", ratio <= MAX_FLOORS)
    a_file, a_period = _requests(work)
    yield Target(
        f"{work.title}, requests: at most {a_file} a file and {a_period} more",
        f"{run.requests}: {kinds(project)}",
        run.requests <= a_file * work.files + a_period,
    )
    connections = max(run.connections for run in project.runs[1:] or project.runs)
    yield Target(f"{work.title}: connections are reused", f"{connections} new", connections <= AT_ONCE)


def kinds(row: Row) -> str:
    """Return the kinds of requests in the row's busiest run, with their counts."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(row.busiest.kinds.items(), key=lambda kind: -kind[1]))


def _peak(rows: list[Row]) -> Target:
    """Check every run, also the first copy before an unchanged work."""
    peaks = {row.work.title: row.peak_bytes / 1e6 for row in rows}
    peaks |= {f"{row.work.title}, when new": row.first.cost.peak_bytes / 1e6 for row in rows if row.first}
    highest = max(peaks, key=lambda title: peaks[title])
    shown = {title: peaks[title] for title in [highest, *_one_of_each(rows)] if title in peaks}
    return Target(
        f"the worker's peak memory under {MAX_PEAK_MB} MB in every work",
        ", ".join(f"{peak_mb:.0f} MB ({title})" for title, peak_mb in shown.items()),
        peaks[highest] < MAX_PEAK_MB,
    )


def _one_of_each(rows: list[Row]) -> Iterator[str]:
    """Return the titles of one large file, of several at once, and of the longest span when new."""
    yield from [row.work.title for row in rows if not row.work.is_small and not row.work.delay_s]
    spans = [row.work for row in rows if row.work.is_span and row.first]
    if spans:
        yield f"{max(spans, key=lambda work: work.days).title}, when new"
