"""Requests that no caller should send: 400 or 405, never 5xx, and nothing is asked of anybody."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics_export.errors import InvalidRequest
from analytics_export.export_request import FIELDS, parse
from local.function import Answer
from tests.support.requests_and_answers import DAY, slug
from tests.support.world import World

GOOD = json.dumps(DAY)
BODIES: dict[str, bytes] = {
    "no JSON": b"granular daily",
    "half a JSON object": GOOD[:-5].encode(),
    "two JSON objects": (GOOD + GOOD).encode(),
    "an array": b'["granular", "daily"]',
    "a string": b'"granular"',
    "null": b"null",
    "a number": b"7",
    "NaN for a number": b'{"aggregation": "granular", "frequency": "daily", "last": NaN}',
    "Infinity for a number": b'{"aggregation": "granular", "frequency": "daily", "last": -Infinity}',
    "an endless number": b'{"aggregation": "granular", "frequency": "daily", "last": ' + b"9" * 10_000 + b"}",
    "an endless float": b'{"aggregation": "granular", "frequency": "daily", "last": 1e999}',
    "deep nesting": b"[" * 60_000,
    "deep nesting in a field": b'{"aggregation": ' + b"[" * 900 + b"]" * 900 + b"}",
    "a field twice": b'{"aggregation": "granular", "aggregation": "granular", "frequency": "daily"}',
    "an unknown field": json.dumps(DAY | {"day": "2022-04-01"}).encode(),
    "a body of 1 MB": json.dumps(DAY | {"refresh": "x" * 1_000_000}).encode(),
    "a body of 20 MB": b" " * 20_000_000,
    "bytes that are no UTF-8": b'{"aggregation": "\xff\xfe"}',
    "lone surrogates": b'{"aggregation": "\\ud800"}',
    "a null character": b'{"aggregation": "granular\\u0000", "frequency": "daily"}',
    "nothing": b"",
    "white space": b" \n",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_is_refused_that_is_or_has(body: bytes, world: World) -> None:
    """400 with a problem document that says what is expected."""
    answer = world.function.post(raw=body)
    assert (answer.status, slug(answer)) == (400, "invalid-request")
    assert_nothing_was_done(world, answer)


VALUES: dict[str, Any] = {
    "a day that does not exist": {"date": "2022-02-30"},
    "a month that does not exist": {"date": "2022-13-01"},
    "the year 0": {"date": "0000-01-01"},
    "a date in another form": {"date": "2022-4-1"},
    "a date with a time": {"date": "2022-04-01T00:00:00Z"},
    "a date in other digits": {"date": "２０２２-０４-０１"},
    "a number for a date": {"date": 20220401},
    "null for a date": {"date": None},
    "`from` without `to`": {"from": "2022-04-01"},
    "`to` without `from`": {"to": "2022-04-01"},
    "`from` after `to`": {"from": "2022-04-02", "to": "2022-04-01"},
    "`date` and `last`": {"date": "2022-04-01", "last": 1},
    "`last` of 0": {"last": 0},
    "`last` below 0": {"last": -1},
    "`last` of 401": {"last": 401},
    "true for `last`": {"last": True},
    "text for `last`": {"last": "7"},
    "a fraction for `last`": {"last": 1.5},
    "text for `refresh`": {"refresh": "yes"},
    "a number for `refresh`": {"refresh": 1},
    "ten years of days": {"from": "2012-01-01", "to": "2021-12-31"},
    "all the calendar": {"from": "0001-01-01", "to": "9999-12-31"},
    "another aggregation": {"aggregation": "Granular"},
    "no aggregation": {"aggregation": ""},
    "an object for an aggregation": {"aggregation": {}},
    "another frequency": {"frequency": "hourly"},
}


@pytest.mark.parametrize("fields", VALUES.values(), ids=VALUES)
def test_fields_are_refused_that_have(fields: dict[str, Any], world: World) -> None:
    """400 naming the field."""
    request = {"aggregation": "granular", "frequency": "daily"} | fields
    answer = world.function.post(request)
    assert (answer.status, slug(answer)) == (400, "invalid-request")
    assert any(name in str(answer.json()["detail"]) for name in fields) or "span" in str(answer.json()["detail"])
    assert_nothing_was_done(world, answer)


@pytest.mark.parametrize("frequency", ["daily", "weekly", "monthly"])
@pytest.mark.parametrize("date", ["9999-12-31", "9999-12-27", "2999-01-01"])
def test_a_period_that_is_not_over_is_told(frequency: str, date: str, world: World) -> None:
    """400 `period-not-finished`, up to the end of the calendar."""
    answer = world.function.post({"aggregation": "granular", "frequency": frequency, "date": date})
    assert (answer.status, slug(answer)) == (400, "period-not-finished")
    assert_nothing_was_done(world, answer)


@pytest.mark.parametrize("when", ["yesterday", "2022-04-02", "2022-04-02T06:00:00", "0001-01-01T00:00:00Z", "9" * 500])
def test_a_schedule_time_that_is_none_is_refused(when: str, world: World) -> None:
    """400 naming the header; the year 1 has no finished period."""
    answer = world.function.post(
        {"aggregation": "granular", "frequency": "daily"}, headers={"X-CloudScheduler-ScheduleTime": when}
    )
    assert (answer.status, slug(answer)) == (400, "invalid-request")
    assert_nothing_was_done(world, answer)


def test_repeated_query_fields_are_refused(world: World) -> None:
    """In the query, and between query and body."""
    for query in ([("date", "2022-04-01"), ("date", "2022-04-01")], [("date", "2022-04-01")]):
        answer = world.function.post(DAY, query=query)
        assert (answer.status, slug(answer)) == (400, "invalid-request")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_not_allowed(method: str, world: World) -> None:
    """405 with Allow."""
    answer = world.function.post(method=method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, POST")


def assert_nothing_was_done(world: World, answer: Answer) -> None:
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["exports"] == []
    assert world.stack.exports.requests.count() == 0
    asked = {request.operation for request in world.stack.storage.requests.all()}
    assert asked <= {"bucket.get"}  # the test's own client looks at the bucket in the background


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
likely = st.sampled_from(["granular", "interaction", "daily", "weekly", "monthly", "2022-04-01", True, 3, 400])
fields = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), likely | json_values, max_size=6)
bodies = fields.map(json.dumps).map(str.encode) | json_values.map(json.dumps).map(str.encode) | st.binary(max_size=200)
queries = st.lists(
    st.tuples(st.sampled_from(FIELDS) | st.text(max_size=5), likely.map(str) | st.text(max_size=20)), max_size=4
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(body=bodies, query=queries)
def test_no_request_is_answered_with_5xx_unless_it_is_valid(
    body: bytes, query: list[tuple[str, str]], world: World
) -> None:
    """Fuzzed over HTTP; the pure parser says which requests are valid, for those the period is not there (503)."""
    world.stack.exports.makes_up_reports = False
    try:
        answer = world.function.post(raw=body, query=query)
    finally:
        world.stack.exports.makes_up_reports = True
    by_name: dict[str, list[str]] = {}
    for name, value in query:
        by_name.setdefault(name, []).append(value)
    try:
        asked = parse(body=body, query=by_name, schedule_time=None, clock=lambda: datetime.now(UTC))
    except InvalidRequest:
        assert answer.status == 400
    else:
        assert answer.status == (503 if asked.exports else 200)
