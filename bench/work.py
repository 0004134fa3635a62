"""What is copied."""

from dataclasses import dataclass, replace

KIB, MIB, GIB = 1024, 1024**2, 1024**3
AT_ONCE = 8
"""Files copied at the same time; the default of PARALLEL_TRANSFERS."""
DELAY_S = 0.03
BUCKET = "bench"


@dataclass(frozen=True)
class Work:
    """Some files of one size."""

    title: str
    files: int
    size_bytes: int
    delay_s: float = 0.0
    """What source and sink wait before each answer."""
    is_there_already: bool = False
    """The bucket holds all of it, unchanged."""

    @property
    def bytes(self) -> int:
        """All files together."""
        return self.files * self.size_bytes

    @property
    def is_small(self) -> bool:
        """Requests cost more than bytes."""
        return self.size_bytes < MIB


@dataclass(frozen=True)
class Job:
    """One run of one peer: what it needs to know."""

    links: tuple[str, ...]
    names: tuple[str, ...]
    """Of the objects, in the links' order."""
    size_bytes: int
    """Of each file."""
    at_once: int


def whole(delay_s: float) -> list[Work]:
    """Return the work of `make bench`: without a delay, then with one."""
    at_hand = [
        Work("one file of 1 GiB", 1, GIB),
        Work("8 files of 256 MiB at once", 8, 256 * MIB),
        Work("500 files of 64 KiB", 500, 64 * KIB),
        Work("500 unchanged files", 500, 64 * KIB, is_there_already=True),
    ]
    return at_hand + [_far(work, delay_s) for work in at_hand]


def quick(delay_s: float) -> list[Work]:
    """Return the work of `make bench-quick`."""
    return [
        Work("one file of 256 MiB", 1, 256 * MIB),
        Work("8 files of 32 MiB at once", 8, 32 * MIB),
        _far(Work("100 files of 64 KiB", 100, 64 * KIB), delay_s),
        _far(Work("100 unchanged files", 100, 64 * KIB, is_there_already=True), delay_s),
    ]


def _far(work: Work, delay_s: float) -> Work:
    return replace(work, title=f"{work.title}, {delay_s * 1000:.0f} ms a request", delay_s=delay_s)
