"""[pure] Which period a report's file prefix names, and when the report becomes available."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

AVAILABLE_FROM = time(8, tzinfo=UTC)
_PREFIX = re.compile(r"(interaction|granular)-(\d{4}-\d\d-\d\d)(?:-(\d{4}-\d\d-\d\d))?", re.ASCII)


@dataclass(frozen=True)
class ReportPeriod:
    """The aggregation and the period that a file prefix names."""

    aggregation: str
    first: date
    last: date

    @classmethod
    def parse(cls, file_prefix: str) -> "ReportPeriod | None":
        """Parse the prefix of a day, a week from Monday to Sunday or a whole month; None for anything else."""
        match = _PREFIX.fullmatch(file_prefix)
        if match is None:
            return None
        try:
            first = date.fromisoformat(match[2])
            last = date.fromisoformat(match[3]) if match[3] else first
        except ValueError:
            return None
        is_day = match[3] is None
        is_week = first.weekday() == 0 and last - first == timedelta(days=6)
        is_month = first.day == 1 and last == first.replace(day=monthrange(first.year, first.month)[1])
        return cls(match[1], first, last) if is_day or is_week or is_month else None

    def is_available(self, now: datetime) -> bool:
        """Whether the report is available at `now`."""
        return self.last < date.max and now >= datetime.combine(self.last + timedelta(days=1), AVAILABLE_FROM)
