"""What may be sent to the function, and what is refused before anybody else is asked."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests

from local.stack import Stack
from tests.support.functions import ScannedFunction
from tests.support.requests_and_answers import DAY, PREFIX, exports, only, problem

SCHEDULE_TIME = "X-CloudScheduler-ScheduleTime"
DAILY = {"aggregation": "granular", "frequency": "daily"}


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
def test_a_json_body_is_taken_whatever_the_content_type_says(function: ScannedFunction, content_type: str) -> None:
    answer = function.post(DAY, headers={"Content-Type": content_type})
    assert only(answer)["file_prefix"] == PREFIX


def test_a_body_without_a_length_is_taken(function: ScannedFunction) -> None:
    def blocks() -> Iterator[bytes]:
        yield json.dumps(DAY).encode()

    answer = requests.post(function.url, data=blocks(), timeout=60)
    assert answer.json()["exports"][0]["file_prefix"] == PREFIX


def test_the_fields_may_come_in_the_query(function: ScannedFunction) -> None:
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
def test_questions_take_get_and_head(stack: Stack, function: ScannedFunction, method: str, path: str) -> None:
    answer = function.post(DAY, method=method, path=path)
    problem(answer, 405, "invalid-request")
    assert answer.headers["Allow"] == "GET, HEAD"
    assert stack.exports.requests.count() == stack.storage.requests.count() == 0


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_answered_405_with_allow(stack: Stack, function: ScannedFunction, method: str) -> None:
    answer = function.post(DAY, method=method)
    assert problem(answer, 405, "invalid-request")["exports"] == []
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert stack.exports.requests.count() == 0


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"aggregation": "granular"}, "`frequency` is missing"),
        ({"frequency": "daily"}, "`aggregation` is missing"),
        (DAILY | {"aggregation": "both"}, '"interaction" or "granular"; got "both"'),
        (DAILY | {"date": "01.04.2022"}, "YYYY-MM-DD"),
        (DAILY | {"date": "2022-04-01", "last": 2}, "got date, last"),
        (DAILY | {"from": "2022-04-01"}, "`from` together with `to`"),
        (DAILY | {"last": 401}, "from 1 to 400"),
        (DAILY | {"refresh": "yes"}, "true or false"),
        (DAILY | {"day": "2022-04-01"}, 'Unknown field "day"'),
        ([], "JSON array"),
    ],
)
def test_a_wrong_request_is_answered_400_and_nobody_is_asked(
    stack: Stack, function: ScannedFunction, fields: object, says: str
) -> None:
    document = problem(function.post(fields), 400, "invalid-request")
    assert says in document["detail"]
    assert (document["exports"], document["bytes_copied"]) == ([], 0)
    assert stack.exports.requests.count() == stack.secrets.requests.count() == 0


@pytest.mark.parametrize(
    "body", [b"nonsense", b"{" + b" " * 70_000 + b"}", b'{"last": NaN}'], ids=["not JSON", "too long", "NaN"]
)
def test_a_body_that_is_no_json_object_is_answered_400(function: ScannedFunction, body: bytes) -> None:
    assert "JSON object" in problem(function.post(raw=body, query=DAY), 400, "invalid-request")["detail"]


def test_no_body_and_no_query_is_answered_400(function: ScannedFunction) -> None:
    assert "aggregation" in problem(function.post(), 400, "invalid-request")["detail"]


def test_a_field_in_body_and_query_is_answered_400(function: ScannedFunction) -> None:
    answer = function.post(DAY, query={"date": "2022-04-02"})
    assert '"date" is given more than once' in problem(answer, 400, "invalid-request")["detail"]


def test_an_unfinished_period_by_date_is_answered_400(stack: Stack, function: ScannedFunction) -> None:
    answer = function.post(DAILY | {"date": str(datetime.now(UTC).date() + timedelta(days=1))})
    assert "is not over yet" in problem(answer, 400, "period-not-finished")["detail"]
    assert stack.exports.requests.count() == 0


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
def test_the_schedule_time_says_what_the_last_finished_period_is(
    function: ScannedFunction, frequency: str, schedule_time: str, start: str, end: str
) -> None:
    """So a retry after midnight still means the same period."""
    fields = {"aggregation": "interaction", "frequency": frequency}
    export = only(function.post(fields, headers={SCHEDULE_TIME: schedule_time}))
    assert (export["start_date"], export["end_date"]) == (start, end)


def test_the_schedule_time_decides_what_is_finished(function: ScannedFunction) -> None:
    answer = function.post(DAY, headers={SCHEDULE_TIME: "2022-04-01T09:00:00Z"})
    problem(answer, 400, "period-not-finished")


def test_a_schedule_time_that_is_no_time_is_answered_400(function: ScannedFunction) -> None:
    answer = function.post(DAILY, headers={SCHEDULE_TIME: "now"})
    assert SCHEDULE_TIME in problem(answer, 400, "invalid-request")["detail"]


def test_without_a_schedule_time_the_clock_decides(stack: Stack, function: ScannedFunction) -> None:
    stack.clock.fixed = datetime.now(UTC) + timedelta(days=1)
    before = datetime.now(UTC).date()
    (export,) = exports(function.post(DAILY))
    assert export["start_date"] in {str(before - timedelta(days=1)), str(datetime.now(UTC).date() - timedelta(days=1))}
