"""The period that most tests request, where it is stored, and what an answer says."""

from collections.abc import Mapping
from typing import Any

from local.function import Answer

DAY = {"aggregation": "granular", "frequency": "daily", "date": "2022-04-01"}
PREFIX = "granular-2022-04-01"
FOLDER = "granular/daily/start_date=2022-04-01/"
MANIFEST = "manifests/granular/daily/start_date=2022-04-01.json"
KEYS = {
    "aggregation", "frequency", "start_date", "end_date", "file_prefix", "status", "objects", "bytes", "bytes_copied",
    "columns_changed", "manifest", "error",
}  # fmt: skip
"""The fields of each export in an answer."""


def span(first: str, last: str, **fields: object) -> dict[str, object]:
    """A request for a span of days."""
    return {"aggregation": "granular", "frequency": "daily", "from": first, "to": last, **fields}


SPAN = span("2022-03-31", "2022-04-02")
"""DAY with the day before and the day after it."""


def file(number: int, prefix: str = PREFIX) -> str:
    """A file's name as Usercentrics forms it."""
    return f"{prefix}-{number:012d}.csv"


def exports(answer: Answer) -> list[dict[str, Any]]:
    """What the answer says of each period."""
    value = answer.json()["exports"]
    assert isinstance(value, list)
    assert all(set(each) == KEYS for each in value)
    return value


def only(answer: Answer, status: int = 200) -> dict[str, Any]:
    """What the answer says of its one period."""
    assert answer.status == status, answer.text
    (export,) = exports(answer)
    return export


def problem(answer: Answer, status: int, slug: str) -> Mapping[str, Any]:
    """The answer's problem document (RFC 9457); fails if it is another, or none."""
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.text
    value = answer.json()
    assert set(value) == {"type", "title", "status", "detail", "exports", "bytes_copied", "seconds"}
    assert (value["type"], value["status"]) == (slug, status)
    assert value["title"]
    assert value["detail"]
    assert ("Retry-After" in answer.headers) == (status == 503)
    return value


def statuses(answer: Answer) -> dict[str, str]:
    """How each period ended, by its first day."""
    return {each["start_date"]: each["status"] for each in exports(answer)}


def slug(answer: Answer) -> str:
    """The problem's type."""
    return str(answer.json()["type"])
