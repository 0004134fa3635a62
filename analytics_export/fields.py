"""Checks of the fields of a request; each raises InvalidRequest, which names the field. No I/O."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, TypeVar

from analytics_export.errors import InvalidRequest

E = TypeVar("E", bound=StrEnum)


def asked_at(schedule_time: str | None, clock: Callable[[], datetime]) -> datetime:
    """Return the time that counts as now: the header X-CloudScheduler-ScheduleTime (RFC 3339), else the clock's."""
    if schedule_time is None:
        return clock()
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt].*([Zz]|[+-][0-9]{2}:[0-9]{2})", schedule_time):
            raise ValueError(schedule_time)
        return datetime.fromisoformat(schedule_time.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise InvalidRequest(
            "Header X-CloudScheduler-ScheduleTime: expected an RFC 3339 time such as 2022-04-02T09:00:00Z; "
            f"got {shown(schedule_time)}."
        ) from exc


def one_of(kind: type[E], fields: Mapping[str, Any], name: str) -> E:
    """Return a required field as a member of `kind`."""
    accepted = " or ".join(f'"{member}"' for member in kind)
    if name not in fields:
        raise InvalidRequest(f"Field `{name}` is missing; it must be {accepted}.")
    if fields[name] not in list(kind):
        raise InvalidRequest(f"Field `{name}`: expected {accepted}; got {shown(fields[name])}.")
    return kind(fields[name])


def boolean(fields: Mapping[str, Any], name: str) -> bool:
    """Return a field that must be true or false; false where it is missing."""
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise InvalidRequest(f"Field `{name}`: expected true or false; got {shown(value)}.")
    return value


def day_of(fields: Mapping[str, Any], name: str) -> date:
    """Return a field, which must be there, as a date."""
    value = fields[name]
    try:
        if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            raise ValueError(name)
        return date.fromisoformat(value)
    except ValueError as exc:
        raise InvalidRequest(f"Field `{name}`: expected a date as YYYY-MM-DD; got {shown(value)}.") from exc


def shown(value: object) -> str:
    """Return a value for an error message: as JSON, shortened."""
    if isinstance(value, list | dict):
        return f"a JSON {json_type(value)}"
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - an answer need not repeat a long value


def json_type(value: object) -> str:
    """Return what JSON calls the type of a value."""
    names = {
        dict: "object",
        list: "array",
        str: "string",
        bool: "boolean",
        int: "number",
        float: "number",
        type(None): "null",
    }
    return names[type(value)]
