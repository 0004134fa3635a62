"""The request for exports: body, query and headers -> the exports asked for."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import islice
from typing import Any, NoReturn

from analytics_export.errors import InvalidRequest, PeriodNotFinished
from analytics_export.fields import asked_at, boolean, day_of, json_type, one_of, shown
from analytics_export.periods import (
    Aggregation,
    Export,
    Frequency,
    Period,
    finished_before,
    finished_within,
    last_finished,
)

MAX_BODY_BYTES = 64 * 1024
MAX_PERIODS = 400
"""The most periods of one request: over a year of days, which one run can copy before its deadline."""
MAX_PLANNED_PERIODS = 5000
"""The most periods that one request plans or queues: over thirteen years of days."""

SELECTORS = ("date", "from", "to", "last")
SWITCHES = ("refresh", "dry_run", "enqueue")
FIELDS = ("aggregation", "frequency", *SELECTORS, *SWITCHES)


class Purpose(StrEnum):
    """What a request does with its plan."""

    EXPORT = "export"
    """Carry it out."""
    DRY_RUN = "dry_run"
    """Only report it."""
    ENQUEUE = "enqueue"
    """Queue a task for each period."""


@dataclass(frozen=True)
class ExportRequest:
    """The exports asked for, of one aggregation and frequency, oldest first.

    With `skip_complete`, a period with a manifest is not compared with the source, and no task is queued for it.
    """

    exports: tuple[Export, ...]
    skip_complete: bool
    purpose: Purpose = Purpose.EXPORT


def parse(
    *,
    body: bytes,
    query: Mapping[str, Sequence[str]],
    schedule_time: str | None,
    clock: Callable[[], datetime],
) -> ExportRequest:
    """Return the request; `schedule_time` is the header X-CloudScheduler-ScheduleTime.

    Raises InvalidRequest, naming the field and what it accepts, and PeriodNotFinished.
    """
    fields = _fields(body, query)
    now = asked_at(schedule_time, clock)
    aggregation = one_of(Aggregation, fields, "aggregation")
    frequency = one_of(Frequency, fields, "frequency")
    refresh, dry_run, enqueue = (boolean(fields, name) for name in SWITCHES)
    at_most = MAX_PLANNED_PERIODS if dry_run or enqueue else MAX_PERIODS
    chosen = [name for name in SELECTORS if name in fields]
    periods: tuple[Period, ...]
    match chosen:
        case []:
            periods = (_last_finished(frequency, now),)
        case ["date"]:
            periods = (_holding(frequency, day_of(fields, "date"), now),)
        case ["from", "to"]:
            periods = _span(frequency, day_of(fields, "from"), day_of(fields, "to"), now, at_most=at_most)
        case ["last"]:
            periods = tuple(islice(finished_before(frequency, now), _count(fields, "last", at_most=at_most)))
        case _:
            raise InvalidRequest(
                f"Expected `date`, or `from` together with `to`, or `last`; got {', '.join(chosen)}. "
                "Leave all of them out for the last finished period."
            )
    return ExportRequest(
        exports=tuple(Export(aggregation, period) for period in reversed(periods)),
        # a single period is always compared; a task is a span of one period, and skips it when complete
        skip_complete=not refresh and (enqueue or chosen not in ([], ["date"])),
        purpose=Purpose.DRY_RUN if dry_run else Purpose.ENQUEUE if enqueue else Purpose.EXPORT,
    )


def _fields(body: bytes, query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    fields = _json_object(body) if body.strip() else {}
    for name, values in query.items():
        if len(values) > 1 or name in fields:
            raise InvalidRequest(f"Field {shown(name)} is given more than once; give it once.")
        fields[name] = _from_query(name, values[0])
    for name in fields:
        if name not in FIELDS:
            raise InvalidRequest(f"Unknown field {shown(name)}; the fields are {', '.join(FIELDS)}.")
    return fields


def _json_object(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise InvalidRequest(f"Expected a JSON object of at most {MAX_BODY_BYTES} bytes; the body is longer.")
    try:
        value = json.loads(body, object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except InvalidRequest:
        raise
    except (ValueError, RecursionError) as exc:
        raise InvalidRequest(
            'Expected a JSON object such as {"aggregation": "granular", "frequency": "daily"}; the body is not JSON.'
        ) from exc
    if not isinstance(value, dict):
        raise InvalidRequest(f"Expected a JSON object; the body is a JSON {json_type(value)}.")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidRequest("A field of the JSON object is given more than once; give each once.")
    return fields


def _no_constant(name: str) -> NoReturn:
    raise InvalidRequest(f"{name} is not JSON; expected a JSON object.")


def _from_query(name: str, value: str) -> object:
    if name == "last" and re.fullmatch(r"[0-9]{1,6}", value):
        return int(value)
    if name in SWITCHES:
        return {"true": True, "false": False}.get(value, value)
    return value


def _count(fields: Mapping[str, Any], name: str, *, at_most: int) -> int:
    value = fields[name]
    if type(value) is not int or not 1 <= value <= at_most:
        raise InvalidRequest(f"Field `{name}`: expected a whole number from 1 to {at_most}; got {shown(value)}.")
    return value


def _last_finished(frequency: Frequency, now: datetime) -> Period:
    try:
        return last_finished(frequency, now)
    except OverflowError as exc:
        raise InvalidRequest(f"No {frequency} period is finished by {now.isoformat()}.") from exc


def _holding(frequency: Frequency, day: date, now: datetime) -> Period:
    try:
        period = Period.holding(frequency, day)
    except OverflowError as exc:
        raise PeriodNotFinished(f"The {frequency} period that holds {day} ends after the year 9999.") from exc
    if not period.is_finished(now):
        raise PeriodNotFinished(
            f"The {frequency} period that holds {day} ends on {period.end} and is not over yet "
            f"(it is {now:%Y-%m-%dT%H:%M}Z now). Ask again after it, or for an earlier date."
        )
    return period


def _span(frequency: Frequency, first: date, last: date, now: datetime, *, at_most: int) -> tuple[Period, ...]:
    if first > last:
        raise InvalidRequest(f"Field `from` ({first}) must not be after `to` ({last}).")
    periods = tuple(islice(finished_within(frequency, first=first, last=last, now=now), at_most + 1))
    if len(periods) > at_most:
        hint = f", or with `enqueue` (at most {MAX_PLANNED_PERIODS})" if at_most < MAX_PLANNED_PERIODS else ""
        raise InvalidRequest(
            f"The span {first}..{last} holds more than {at_most} {frequency} periods; ask for it in parts{hint}."
        )
    return periods
