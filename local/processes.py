"""Processor time and memory of a process and its descendants, from /proc (Linux)."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_S = 0.02


def tree(pid: int) -> Iterator[int]:
    """Return the process and its running descendants."""
    yield pid
    for task in _entries(Path(f"/proc/{pid}/task")):
        with suppress(OSError):  # a thread that has ended meanwhile
            for child in (task / "children").read_text().split():
                yield from tree(int(child))


def cpu_s(pid: int) -> float:
    """Return the processor time of the process and its running descendants so far, in seconds."""
    return sum(_ticks(each) for each in tree(pid)) / TICKS


def memory_bytes(pid: int, field: str = "VmHWM") -> int:
    """Return the peak (or with `VmRSS` the current) resident memory, summed over all processes of the tree."""
    return sum(memory_of_one(each, field) for each in tree(pid))


def memory_of_one(pid: int, field: str = "VmHWM") -> int:
    """Return that of the process alone; 0 for one that has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = next((line for line in status.splitlines() if line.startswith(field)), "- 0 kB")
    return int(found.split()[1]) * 1024


def forget_peak(pid: int) -> None:
    """Reset the peaks. Source: proc_pid_clear_refs(5)."""
    for each in tree(pid):
        with suppress(OSError):
            Path(f"/proc/{each}/clear_refs").write_text("5")


class PeakMemory:
    """Watches a tree whose processes start and end; `peak_bytes` is the largest sum of peaks seen."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak_bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, memory_bytes(self._pid))


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
