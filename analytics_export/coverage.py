"""Is the data there? The query, and the answer from the manifests. No I/O.

A period is due once Usercentrics should have it (`Period.available_at`). One that is due and not complete is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import islice, product
from typing import Any

from analytics_export.bucket.manifest import Summary
from analytics_export.errors import InvalidRequest, PeriodsMissing
from analytics_export.fields import asked_at, boolean, day_of, one_of, shown
from analytics_export.periods import Aggregation, Export, Frequency, Period, available_within
from analytics_export.plan import PlannedExport, plan

FIELDS = ("aggregation", "frequency", "from", "to", "require_complete")
MAX_PERIODS = 5000
"""The most periods of one aggregation and frequency: over thirteen years of days, in an answer of under a megabyte."""
NAMED_IN_A_PROBLEM = 5
"""How many missing periods of each kind a problem's detail names; its coverage has all of them."""

Kind = tuple[Aggregation, Frequency]


@dataclass(frozen=True)
class CoverageRequest:
    """A query for coverage, as of one moment."""

    aggregation: Aggregation | None
    frequency: Frequency | None
    first: date | None
    last: date | None
    require_complete: bool
    as_of: datetime

    @property
    def kinds(self) -> list[Kind]:
        """The aggregations and frequencies asked for."""
        aggregations = [self.aggregation] if self.aggregation else list(Aggregation)
        frequencies = [self.frequency] if self.frequency else list(Frequency)
        return list(product(aggregations, frequencies))

    @property
    def includes_kinds_without_manifests(self) -> bool:
        """Whether the answer has an aggregation and frequency of which no period was ever complete."""
        return None not in (self.aggregation, self.frequency, self.first)


@dataclass(frozen=True)
class ExportCoverage:
    """The complete and missing periods of one aggregation and frequency."""

    aggregation: Aggregation
    frequency: Frequency
    periods: tuple[PlannedExport, ...]
    """The periods that are due, oldest first."""

    @cached_property
    def complete(self) -> list[Summary]:
        """The summaries of the complete periods."""
        return [each.complete for each in self.periods if each.complete is not None]

    @cached_property
    def missing(self) -> list[Period]:
        """The periods that are due and not complete."""
        return [each.export.period for each in self.periods if each.complete is None]

    @property
    def size_bytes(self) -> int:
        """Of all objects of the complete periods."""
        return sum(summary.size_bytes for summary in self.complete)

    @property
    def newest(self) -> Summary | None:
        """The last complete period."""
        return self.complete[-1] if self.complete else None


@dataclass(frozen=True)
class Coverage:
    """The answer to a query."""

    request: CoverageRequest
    exports: tuple[ExportCoverage, ...]

    @property
    def problem(self) -> PeriodsMissing | None:
        """The error of `require_complete`; None where nothing is missing, or where it was not asked for."""
        gaps = [
            f"{len(each.missing)} of {each.aggregation}/{each.frequency} ({_named(each.missing)})"
            for each in self.exports
            if each.missing
        ]
        if not gaps or not self.request.require_complete:
            return None
        return PeriodsMissing(f"Missing: {'; '.join(gaps)}. Export them with POST, or wait for the next catch-up.")

    def to_json(self) -> dict[str, object]:
        """Return the form that the answer has."""
        return {"as_of": utc(self.request.as_of), "coverage": [_export_json(each) for each in self.exports]}


def parse(
    query: Mapping[str, Sequence[str]], *, schedule_time: str | None, clock: Callable[[], datetime]
) -> CoverageRequest:
    """Return the query; `schedule_time` is the header X-CloudScheduler-ScheduleTime.

    Raises InvalidRequest, naming the field and what it accepts.
    """
    fields: dict[str, Any] = {}
    for name, values in query.items():
        if name not in FIELDS:
            raise InvalidRequest(f"Unknown field {shown(name)}; the fields are {', '.join(FIELDS)}.")
        if len(values) > 1:
            raise InvalidRequest(f"Field {shown(name)} is given more than once; give it once.")
        is_switch = name == "require_complete"
        fields[name] = {"true": True, "false": False}.get(values[0], values[0]) if is_switch else values[0]
    first, last = (day_of(fields, name) if name in fields else None for name in ("from", "to"))
    if first and last and first > last:
        raise InvalidRequest(f"Field `from` ({first}) must not be after `to` ({last}).")
    return CoverageRequest(
        aggregation=one_of(Aggregation, fields, "aggregation") if "aggregation" in fields else None,
        frequency=one_of(Frequency, fields, "frequency") if "frequency" in fields else None,
        first=first,
        last=last,
        require_complete=boolean(fields, "require_complete"),
        as_of=asked_at(schedule_time, clock),
    )


def last_due(frequency: Frequency, as_of: datetime) -> Period | None:
    """Return the last period that is due by then; None where there is none."""
    return next(available_within(frequency, first=date.min, last=date.max, now=as_of), None)


def coverage(
    request: CoverageRequest, summaries: Mapping[Kind, Mapping[Export, Summary]], *, analytics_id: str
) -> Coverage:
    """Return the answer; `summaries` are those of all manifests up to the last period that is due.

    Raises InvalidRequest where there are more than `MAX_PERIODS` periods of one aggregation and frequency.
    """
    found = (_of_kind(request, kind, summaries.get(kind, {}), analytics_id) for kind in request.kinds)
    return Coverage(request, tuple(each for each in found if each is not None))


def _of_kind(
    request: CoverageRequest, kind: Kind, summaries: Mapping[Export, Summary], analytics_id: str
) -> ExportCoverage | None:
    aggregation, frequency = kind
    planned = plan(summaries, summaries, analytics_id=analytics_id, skip_complete=True)
    days = [each.export.period.start for each in planned if each.complete is not None]
    if not days and not request.includes_kinds_without_manifests:
        return None
    first = min(days) if request.first is None else request.first
    exports = tuple(Export(aggregation, period) for period in reversed(_due(request, frequency, first)))
    return ExportCoverage(
        aggregation, frequency, plan(exports, summaries, analytics_id=analytics_id, skip_complete=True)
    )


def _due(request: CoverageRequest, frequency: Frequency, first: date) -> list[Period]:
    due = available_within(frequency, first=first, last=request.last or date.max, now=request.as_of)
    periods = list(islice(due, MAX_PERIODS + 1))
    if len(periods) > MAX_PERIODS:
        raise InvalidRequest(
            f"More than {MAX_PERIODS} {frequency} periods are due since {first}; ask with a later `from`, "
            "or in parts with `from` and `to`."
        )
    return periods


def utc(moment: datetime) -> str:
    """Return a moment as answers write it: RFC 3339, in UTC, to the second."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _named(periods: Sequence[Period]) -> str:
    names = [period.start.isoformat() for period in periods[:NAMED_IN_A_PROBLEM]]
    more = len(periods) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _export_json(export: ExportCoverage) -> dict[str, object]:
    return {
        "aggregation": export.aggregation,
        "frequency": export.frequency,
        "complete": len(export.complete),
        "missing": len(export.missing),
        "bytes": export.size_bytes,
        "periods": [_period_json(each) for each in export.periods],
    }


def _period_json(planned: PlannedExport) -> dict[str, object]:
    period, summary = planned.export.period, planned.complete
    days = {"start_date": period.start.isoformat(), "end_date": period.end.isoformat()}
    if summary is None:
        return {**days, "status": "missing"}
    return {
        **days,
        "status": "complete",
        "objects": summary.objects,
        "bytes": summary.size_bytes,
        "completed_at": utc(summary.completed_at),
    }
