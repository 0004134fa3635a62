"""The works: what is copied."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

KIB, MIB, GIB = 1024, 1024**2, 1024**3
AT_ONCE = 8
"""Files copied at the same time; the default of PARALLEL_TRANSFERS."""
DELAY_S = 0.03
BUCKET = "bench"
FIRST_DAY = date(2022, 4, 1)
DAY_BYTES = 60_000
"""A day's file of a small site: its requests take more time than its bytes."""


@dataclass(frozen=True)
class Work:
    """`files` files of one size on each of `days` days."""

    title: str
    files: int
    """Of each day."""
    size_bytes: int
    delay_s: float = 0.0
    """The delay of each answer of the servers."""
    is_unchanged: bool = False
    """Whether the bucket has all files already."""
    days: int = 1
    """Requested in one call."""

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return self.days * self.files * self.size_bytes

    @property
    def is_small(self) -> bool:
        """Whether requests take more time than bytes."""
        return self.size_bytes < MIB

    @property
    def is_span(self) -> bool:
        """Whether there is more than one day; then complete days are skipped."""
        return self.days > 1


@dataclass(frozen=True)
class Job:
    """The input of one run of one peer."""

    days: tuple[str, ...]
    """YYYY-MM-DD, without gaps."""
    listings: tuple[str, ...]
    """The export service's URL for the links of each day."""
    folders: tuple[str, ...]
    """The prefix of the names of each day's objects."""
    links: tuple[str, ...]
    names: tuple[str, ...]
    """Of the objects, in the links' order."""
    size_bytes: int
    """Of each file."""
    at_once: int


def days(count: int) -> tuple[str, ...]:
    """Return the first days that a work copies, as YYYY-MM-DD."""
    return tuple((FIRST_DAY + timedelta(days=number)).isoformat() for number in range(count))


def prefix(day: str) -> str:
    """Return the start of the names of a day's files; Usercentrics calls it the file prefix."""
    return f"granular-{day}"


def file_name(day: str, number: int) -> str:
    """Return the name that Usercentrics gives a day's file."""
    return f"{prefix(day)}-{number:012d}.csv"


def folder(day: str) -> str:
    """Return the folder into which the function copies a day's files."""
    return f"granular/daily/start_date={day}/"


def whole(delay_s: float) -> list[Work]:
    """Return the works of `make bench`: spans, then files without a delay, then with one."""
    near = [
        Work("one file of 1 GiB", 1, GIB),
        Work("8 files of 256 MiB at once", 8, 256 * MIB),
        Work("500 files of 64 KiB", 500, 64 * KIB),
        Work("500 unchanged files", 500, 64 * KIB, is_unchanged=True),
    ]
    return _spans(delay_s, backfill=180, complete=400) + near + [_far(work, delay_s) for work in near]


def quick(delay_s: float) -> list[Work]:
    """Return the works of `make bench-quick`."""
    return [
        *_spans(delay_s, backfill=180, complete=120),
        Work("one file of 256 MiB", 1, 256 * MIB),
        Work("8 files of 32 MiB at once", 8, 32 * MIB),
        _far(Work("100 files of 64 KiB", 100, 64 * KIB), delay_s),
        _far(Work("100 unchanged files", 100, 64 * KIB, is_unchanged=True), delay_s),
    ]


def _spans(delay_s: float, *, backfill: int, complete: int) -> list[Work]:
    days_of_one = Work("", 1, DAY_BYTES, days=backfill)
    unchanged = replace(days_of_one, is_unchanged=True)
    works = [
        replace(days_of_one, title=f"a backfill: {backfill} days of one 60 kB file"),
        replace(unchanged, title=f"the backfill again: {backfill} complete days"),
        replace(unchanged, title=f"{complete} complete days", days=complete),
        replace(unchanged, title="a single unchanged day of one 60 kB file", days=1),
    ]
    return [_far(work, delay_s) for work in works]


def _far(work: Work, delay_s: float) -> Work:
    return replace(work, title=f"{work.title}, {delay_s * 1000:.0f} ms a request", delay_s=delay_s)
