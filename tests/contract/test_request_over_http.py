"""What may be sent to the function, and what is refused before it calls another service."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics_export import export_request
from analytics_export.errors import InvalidRequest
from local.stack import Stack
from tests.support import bad_requests
from tests.support.bad_requests import DAILY
from tests.support.functions import ScannedFunction
from tests.support.requests_and_answers import DAY, PREFIX, exports, only, problem

SCHEDULE_TIME = "X-CloudScheduler-ScheduleTime"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/octet-stream",
        "application/json",
        "application/json; charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "nonsense",
        "",
    ],
)
def test_a_json_body_is_accepted_with_any_content_type(function: ScannedFunction, content_type: str) -> None:
    answer = function.post(DAY, headers={"Content-Type": content_type})
    assert only(answer)["file_prefix"] == PREFIX


def test_a_body_without_a_length_is_accepted(function: ScannedFunction) -> None:
    def blocks() -> Iterator[bytes]:
        yield json.dumps(DAY).encode()

    answer = requests.post(function.url, data=blocks(), timeout=60)
    assert answer.json()["exports"][0]["file_prefix"] == PREFIX


def test_the_fields_may_be_sent_in_the_query(function: ScannedFunction) -> None:
    assert only(function.post(query=DAY))["file_prefix"] == PREFIX


@pytest.mark.parametrize("path", ["daily", "check/", "openapi.json/x", "CHECK"])
@pytest.mark.parametrize("method", ["POST", "GET", "HEAD", "PUT"])
def test_any_other_path_is_answered_404(stack: Stack, function: ScannedFunction, method: str, path: str) -> None:
    answer = function.post(DAY, method=method, path=path)
    assert answer.status == 404
    if method != "HEAD":
        document = problem(answer, 404, "not-found")
        assert "/, /check, /openapi.json" in document["detail"]
    assert stack.exports.requests.count() == stack.storage.requests.count() == 0


@pytest.mark.parametrize("path", ["check", "openapi.json"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_check_and_openapi_accept_only_get_and_head(
    stack: Stack, function: ScannedFunction, method: str, path: str
) -> None:
    answer = function.post(DAY, method=method, path=path)
    problem(answer, 405, "invalid-request")
    assert answer.headers["Allow"] == "GET, HEAD"
    assert stack.exports.requests.count() == stack.storage.requests.count() == 0


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_answered_405_with_allow(stack: Stack, function: ScannedFunction, method: str) -> None:
    answer = function.post(DAY, method=method)
    assert problem(answer, 405, "invalid-request")["exports"] == []
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert_no_service_was_called(stack)


def assert_no_service_was_called(stack: Stack) -> None:
    assert stack.exports.requests.count() == stack.secrets.requests.count() == 0
    assert {request.operation for request in stack.storage.requests.all()} <= {"bucket.get"}  # the test's own client


BODIES = [
    "not JSON", "an array", "NaN", "deep nesting", "a field twice", "an unknown field", "20 MB",
    "bytes that are not UTF-8", "lone surrogates", "nothing",
]  # fmt: skip
FIELDS = [
    "aggregation unknown", "date in German notation", "no such day", "date and last", "from alone", "last 401",
    "refresh another string", "ten years of days",
]  # fmt: skip
"""One of each kind; the unit test of the request has them all."""


@pytest.mark.parametrize("row", BODIES)
def test_a_body_that_is_not_a_request_is_answered_400_and_no_service_is_called(
    stack: Stack, function: ScannedFunction, row: str
) -> None:
    body, says = bad_requests.BODIES[row]
    document = problem(function.post(raw=body), 400, "invalid-request")
    assert says in document["detail"]
    assert (document["exports"], document["bytes_copied"]) == ([], 0)
    assert_no_service_was_called(stack)


@pytest.mark.parametrize("row", FIELDS)
def test_a_wrong_field_is_answered_400_and_no_service_is_called(
    stack: Stack, function: ScannedFunction, row: str
) -> None:
    fields, names, says = bad_requests.FIELDS[row]
    detail = problem(function.post(DAILY | fields), 400, "invalid-request")["detail"]
    assert names in detail
    assert says in detail
    assert_no_service_was_called(stack)


def test_a_field_twice_in_the_query_is_answered_400(function: ScannedFunction) -> None:
    answer = function.post(query=[*DAILY.items(), ("date", "2022-04-01"), ("date", "2022-04-01")])
    assert '"date" is given more than once' in problem(answer, 400, "invalid-request")["detail"]


def test_a_field_in_body_and_query_is_answered_400(function: ScannedFunction) -> None:
    answer = function.post(DAY, query={"date": "2022-04-02"})
    assert '"date" is given more than once' in problem(answer, 400, "invalid-request")["detail"]


@pytest.mark.parametrize(
    "date", [str(datetime.now(UTC).date() + timedelta(days=1)), "9999-12-31"], ids=["tomorrow", "last"]
)
def test_an_unfinished_period_by_date_is_answered_400(stack: Stack, function: ScannedFunction, date: str) -> None:
    answer = function.post(DAILY | {"date": date})
    assert "is not over yet" in problem(answer, 400, "period-not-finished")["detail"]
    assert_no_service_was_called(stack)


@pytest.mark.parametrize(
    ("frequency", "schedule_time", "start", "end"),
    [
        pytest.param("daily", "2022-04-02T09:00:00Z", "2022-04-01", "2022-04-01", id="yesterday"),
        pytest.param("daily", "2022-04-02T23:59:59.5Z", "2022-04-01", "2022-04-01", id="planned before midnight"),
        pytest.param("daily", "2022-04-02T01:00:00+02:00", "2022-03-31", "2022-03-31", id="in UTC"),
        pytest.param("weekly", "2022-04-11T09:00:00Z", "2022-04-04", "2022-04-10", id="the last Monday to Sunday"),
        pytest.param("monthly", "2024-03-01T09:00:00Z", "2024-02-01", "2024-02-29", id="the last calendar month"),
    ],
)
def test_the_schedule_time_determines_the_last_finished_period(
    function: ScannedFunction, frequency: str, schedule_time: str, start: str, end: str
) -> None:
    """So a retry after midnight still means the same period."""
    fields = {"aggregation": "interaction", "frequency": frequency}
    export = only(function.post(fields, headers={SCHEDULE_TIME: schedule_time}))
    assert (export["start_date"], export["end_date"]) == (start, end)


def test_the_schedule_time_determines_which_periods_are_finished(function: ScannedFunction) -> None:
    answer = function.post(DAY, headers={SCHEDULE_TIME: "2022-04-01T09:00:00Z"})
    problem(answer, 400, "period-not-finished")


def test_an_invalid_schedule_time_is_answered_400(function: ScannedFunction) -> None:
    answer = function.post(DAILY, headers={SCHEDULE_TIME: "now"})
    assert SCHEDULE_TIME in problem(answer, 400, "invalid-request")["detail"]


def test_without_a_schedule_time_the_clock_determines_the_period(stack: Stack, function: ScannedFunction) -> None:
    stack.clock.fixed = datetime.now(UTC) + timedelta(days=1)
    before = datetime.now(UTC).date()
    (export,) = exports(function.post(DAILY))
    assert export["start_date"] in {str(before - timedelta(days=1)), str(datetime.now(UTC).date() - timedelta(days=1))}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
likely = st.sampled_from(["granular", "interaction", "daily", "weekly", "monthly", "2022-04-01", True, 3, 400])
fields = st.dictionaries(st.sampled_from(export_request.FIELDS) | st.text(max_size=5), likely | json_values, max_size=6)
bodies = fields.map(json.dumps).map(str.encode) | json_values.map(json.dumps).map(str.encode) | st.binary(max_size=200)
queries = st.lists(
    st.tuples(st.sampled_from(export_request.FIELDS) | st.text(max_size=5), likely.map(str) | st.text(max_size=20)),
    max_size=4,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(body=bodies, query=queries)
def test_no_request_is_answered_with_5xx_unless_it_is_valid(
    body: bytes, query: list[tuple[str, str]], stack: Stack, function: ScannedFunction
) -> None:
    """Fuzzed over HTTP; the pure parser says which requests are valid, for those the period is not available (503)."""
    stack.exports.makes_up_reports = False  # until the stack is reset
    answer = function.post(raw=body, query=query)
    by_name: dict[str, list[str]] = {}
    for name, value in query:
        by_name.setdefault(name, []).append(value)
    try:
        request = export_request.parse(body=body, query=by_name, schedule_time=None, clock=lambda: datetime.now(UTC))
    except InvalidRequest:
        assert answer.status == 400
    else:
        assert answer.status == (503 if request.exports else 200)
