"""What the figures should be, and whether they are."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from bench.cold_start import ColdStart
from bench.measure import Row
from bench.project import ProjectPeer
from bench.work import AT_ONCE, MIB, Work

PROJECT = ProjectPeer.name
LEAST_RATIOS = {"SESSION": 1.2, "rclone": 1.1}
"""Of large files: part of a peer's name -> what its ratio must be at least."""
MOST_FLOORS = 1.5
"""Small files may take so many times what the delay alone costs."""
MOST_PEAK_MB = 120
MOST_IMPORT_S = 0.4

REQUESTS_A_COPIED_FILE = 2
"""The GET and the upload, for a file that is short enough for one request."""
REQUESTS_A_COPIED_PERIOD = 6
"""One after the other around the copies: the manifests' listing, the period's (three times), links, the manifest."""
REQUESTS_AN_UNCHANGED_FILE = 1
REQUESTS_AN_UNCHANGED_PERIOD = 4
"""Likewise: the manifests' listing, the manifest, the period's listing, the links."""
REQUESTS_A_NEW_PERIOD = 7
"""Of one short file, in a span."""
REQUESTS_A_SPAN = 3
"""Besides those of its periods: what the listing of the manifests may cost."""


@dataclass(frozen=True)
class Target:
    """One line of the targets' table."""

    title: str
    measured: str
    holds: bool


def targets(tables: list[list[Row]], cold: ColdStart) -> Iterator[Target]:
    """Give each target with its figures; where one cannot hold on this machine, they say why."""
    of_one: Row | None = None
    for rows in tables:
        by_name = {row.peer: row for row in rows if row.runs and not row.left_out}
        project = by_name[PROJECT]
        work = project.work
        yield from _ahead(project, by_name)
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
        f"`import main` under {MOST_IMPORT_S} s", f"{cold.import_main_s:.2f} s", cold.import_main_s < MOST_IMPORT_S
    )


def floor_s(work: Work) -> float:
    """Return what the delay alone costs: the files' requests, `AT_ONCE` at once, and those of the period; else 0."""
    if not work.is_small or work.is_span:
        return 0.0
    a_file, a_period = _requests(work)
    return work.delay_s * (-(-work.files // AT_ONCE) * a_file + a_period)


def floor_title(work: Work) -> str:
    """Return what `floor_s` counts."""
    return f"floor: requests a file {_requests(work)[0]}, {AT_ONCE} at once"


def _requests(work: Work) -> tuple[int, int]:
    if work.is_there_already:
        return REQUESTS_AN_UNCHANGED_FILE, REQUESTS_AN_UNCHANGED_PERIOD
    return REQUESTS_A_COPIED_FILE, REQUESTS_A_COPIED_PERIOD


def _ahead(project: Row, by_name: dict[str, Row]) -> Iterator[Target]:
    peers = [row for row in by_name.values() if row.copies and row is not project]
    if peers:
        fastest = min(peers, key=lambda row: row.seconds)
        ratio = fastest.seconds / project.seconds
        measured = f"{ratio:.2f}, {fastest.peer}"
        if ratio < 1:
            measured += f"; {_used(project)}; {_used(fastest)}"
        yield Target(f"{project.work.title}: ahead of every peer (ratio at least 1.0)", measured, ratio >= 1)


def _used(row: Row) -> str:
    """Return what the row's copy and the servers had of the processor, which is the limit where it is all of it."""
    cores = os.cpu_count() or 1
    used = (row.cpu_s + row.servers_cpu_s) / row.seconds
    return (
        f"{row.peer} takes {row.cpu_s:.2f} CPU-s, the servers {row.servers_cpu_s:.2f}: {used:.1f} of {cores} cores for "
        f"{row.seconds:.2f} s"
    )


def _ratios(project: Row, by_name: dict[str, Row]) -> Iterator[Target]:
    """Give the ratios to the commands, beside what the ceilings say is possible at all."""
    halves = [row.seconds for name, row in by_name.items() if name.startswith("ceiling: curl")]
    for key, least in LEAST_RATIOS.items():
        peer = next((row for name, row in by_name.items() if key in name), None)
        if peer is None:
            continue
        ratio = peer.seconds / project.seconds
        measured = f"{ratio:.2f}"
        if halves:
            measured += f"; {peer.seconds / max(halves):.2f} is the limit: curl needs so long for the slower half alone"
        if ratio < least:
            measured += f"; {_used(project)}; {_used(peer)}"
        yield Target(f"{project.work.title}: ratio of {peer.peer} at least {least}", measured, ratio >= least)


def _processor_time(project: Row, by_name: dict[str, Row]) -> Iterator[Target]:
    halves = {
        name.rpartition(" ")[0].rpartition(" ")[2]: row.cpu_s_per_gib
        for name, row in by_name.items()
        if name.startswith("ceiling: curl")
    }
    least = next((row.cpu_s_per_gib for name, row in by_name.items() if name.startswith("ceiling: Python")), None)
    if len(halves) == 2:  # noqa: PLR2004 - to receive and to send
        needed = project.cpu_s_per_gib
        parts = " and ".join(f"{cpu_s:.2f} to {half}" for half, cpu_s in halves.items())
        measured = f"{needed:.2f} CPU-s per GiB; curl: {parts}, {sum(halves.values()):.2f} together"
        if least is not None:
            measured += f"; Python's ssl alone needs {least:.2f}"
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
        f"{speed:.0f} MiB/s, one {speed_of_one:.0f} MiB/s; {1024 * cores / needed_s:.0f} MiB/s is the limit: copy and "
        f"servers need {needed_s:.2f} CPU-s per GiB of {cores} cores",
        speed >= speed_of_one,
    )


def _span(project: Row) -> Target:
    work, count = project.work, project.busiest.requests
    if work.is_there_already:
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
    yield Target(f"{work.title}: at most {MOST_FLOORS} times the floor", f"{ratio:.2f}", ratio <= MOST_FLOORS)
    a_file, a_period = _requests(work)
    yield Target(
        f"{work.title}, requests: at most {a_file} a file and {a_period} more",
        f"{run.requests}: {kinds(project)}",
        run.requests <= a_file * work.files + a_period,
    )
    most = max(run.connections for run in project.runs[1:] or project.runs)
    yield Target(f"{work.title}: connections are reused", f"{most} new", most <= AT_ONCE)


def kinds(row: Row) -> str:
    """Return what the requests of the row's busiest run were for."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(row.busiest.kinds.items(), key=lambda kind: -kind[1]))


def _peak(rows: list[Row]) -> Target:
    """Look at every run, also the one that brings in what another work finds there."""
    peaks = {row.work.title: row.peak_bytes / 1e6 for row in rows}
    peaks |= {f"{row.work.title}, when new": row.first.cost.peak_bytes / 1e6 for row in rows if row.first}
    highest = max(peaks, key=lambda title: peaks[title])
    shown = {title: peaks[title] for title in [highest, *_one_of_each(rows)] if title in peaks}
    return Target(
        f"the worker's peak memory under {MOST_PEAK_MB} MB in every work",
        ", ".join(f"{peak_mb:.0f} MB ({title})" for title, peak_mb in shown.items()),
        peaks[highest] < MOST_PEAK_MB,
    )


def _one_of_each(rows: list[Row]) -> Iterator[str]:
    """Give the titles that stand for one large file, several at once, and the longest span when new."""
    yield from [row.work.title for row in rows if not row.work.is_small and not row.work.delay_s]
    spans = [row.work for row in rows if row.work.is_span and row.first]
    if spans:
        yield f"{max(spans, key=lambda work: work.days).title}, when new"
