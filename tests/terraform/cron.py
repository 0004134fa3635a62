"""The times at which a cron schedule of the module fires: one minute, a list of hours, `*` for the month."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta


def fires(schedule: str, *, year: int) -> Iterator[datetime]:
    minute, hours, day_of_month, month, day_of_week = schedule.split()
    assert month == "*"
    day = date(year, 1, 1)
    while day.year == year:
        if day_of_month in {"*", str(day.day)} and day_of_week in {"*", str(day.isoweekday() % 7)}:
            for hour in sorted(map(int, hours.split(","))):
                yield datetime.combine(day, time(hour, int(minute)), UTC)
        day += timedelta(days=1)
