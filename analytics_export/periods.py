"""Days, weeks and months as Usercentrics exports them. All dates are UTC.

Source: Usercentrics, "Analytics data export", sections "Aggregation type" and "Frequency".
"""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Self

AVAILABLE_FROM = time(8, tzinfo=UTC)
"""Reports appear "at around 8am UTC" on the day after a period's last day."""


class Aggregation(StrEnum):
    """What the analytics describe."""

    INTERACTION = "interaction"
    GRANULAR = "granular"


class Frequency(StrEnum):
    """How long a period is."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True)
class Period:
    """One day, one week from Monday to Sunday, or one calendar month; `start` and `end` are included."""

    frequency: Frequency
    start: date
    end: date

    @classmethod
    def holding(cls, frequency: Frequency, day: date) -> Self:
        """Return the period that holds `day`.

        Raises OverflowError for a week that does not fit the calendar (the last days of the year 9999).
        """
        match frequency:
            case Frequency.DAILY:
                return cls(frequency, day, day)
            case Frequency.WEEKLY:
                monday = day - timedelta(days=day.weekday())
                return cls(frequency, monday, monday + timedelta(days=6))
            case Frequency.MONTHLY:
                _, days = calendar.monthrange(day.year, day.month)
                return cls(frequency, day.replace(day=1), day.replace(day=days))

    @property
    def previous(self) -> Self:
        """The period before this one. Raises OverflowError before the year 1."""
        return self.holding(self.frequency, self.start - timedelta(days=1))

    @property
    def available_at(self) -> datetime:
        """When the export service has the report, as far as its documentation says."""
        return datetime.combine(self.end + timedelta(days=1), AVAILABLE_FROM)

    def is_finished(self, now: datetime) -> bool:
        """Return whether the last day is over."""
        return self.end < now.astimezone(UTC).date()


@dataclass(frozen=True)
class Export:
    """One report of Usercentrics: an aggregation of one period."""

    aggregation: Aggregation
    period: Period

    @property
    def file_prefix(self) -> str:
        """The name that Usercentrics gives the report, such as `interaction-2022-04-01`."""
        period = self.period
        days = [period.start] if period.frequency is Frequency.DAILY else [period.start, period.end]
        return "-".join([self.aggregation, *(day.isoformat() for day in days)])

    @property
    def previous(self) -> "Export | None":
        """The same report of the period before; None at the start of the calendar (year 1)."""
        try:
            return Export(self.aggregation, self.period.previous)
        except OverflowError:
            return None


def last_finished(frequency: Frequency, now: datetime) -> Period:
    """Return yesterday, the last Monday..Sunday, or the last calendar month.

    Raises OverflowError when there is none in the calendar (`now` in the first days of the year 1).
    """
    return Period.holding(frequency, now.astimezone(UTC).date()).previous


def finished_before(frequency: Frequency, now: datetime) -> Iterator[Period]:
    """Yield the finished periods, latest first, back to the start of the calendar."""
    try:
        period = last_finished(frequency, now)
        while True:
            yield period
            period = period.previous
    except OverflowError:
        return


def finished_within(frequency: Frequency, *, first: date, last: date, now: datetime) -> Iterator[Period]:
    """Yield the finished periods that hold a day of `first`..`last`, latest first."""
    for period in finished_before(frequency, min(now, _after(frequency, last))):
        if period.end < first:
            return
        yield period


def available_within(frequency: Frequency, *, first: date, last: date, now: datetime) -> Iterator[Period]:
    """Yield the periods that hold a day of `first`..`last` and are due by now, latest first."""
    try:
        shifted = now.astimezone(UTC) - timedelta(hours=AVAILABLE_FROM.hour)  # what was finished then is available now
    except OverflowError:
        return
    yield from finished_within(frequency, first=first, last=last, now=shifted)


def _after(frequency: Frequency, day: date) -> datetime:
    """Return a moment by which the period that holds `day` is finished and the next is not."""
    try:
        following = Period.holding(frequency, day).end + timedelta(days=1)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
    return datetime.combine(following, time(tzinfo=UTC))
