"""A call that is a task gets an answer with which the queue goes on, and its log lines name the task."""

import json
from datetime import date

import pytest

from analytics_export.answers import Answers
from analytics_export.errors import Conflict
from analytics_export.periods import Aggregation, Export, Frequency, Period
from analytics_export.report import ExportResult, Status
from local.faults import Kind
from local.stack import Stack
from tests.support.functions import ScannedFunction, StartFunction
from tests.support.requests_and_answers import DAY, PREFIX, exports, only, problem, span

TASK = {"X-CloudTasks-TaskName": "0123456789abcdef-granular-daily-2022-04-01", "X-CloudTasks-TaskRetryCount": "3"}
BODY = span("2022-04-01", "2022-04-01")


def test_a_task_for_a_period_that_is_not_available_is_answered_200(stack: Stack, function: ScannedFunction) -> None:
    """503 would slow the whole queue down for hours, for a gap that may never close."""
    stack.exports.remove(PREFIX)
    answer = function.post(BODY, headers=TASK)
    export = only(answer)
    assert answer.headers["Content-Type"] == "application/json"
    assert (export["status"], export["error"]["type"]) == ("not_available", "not-available-yet")
    assert "Retry-After" not in answer.headers
    line = function.logs()[-1]
    assert (line["severity"], line["message"]) == ("WARNING", "export_not_available")


def test_a_task_past_its_deadline_is_retried_without_slowing_the_queue(
    stack: Stack, function_with: StartFunction
) -> None:
    stack.faults.add("export.list", Kind.DELAY, seconds=1.2, times=None)
    function = function_with(DEADLINE_SECONDS="1")
    answer = function.post(BODY, headers=TASK)
    assert (answer.status, answer.headers["Content-Type"]) == (409, "application/problem+json")
    assert (answer.json()["type"], answer.json()["status"]) == ("deadline", 409)
    (export,) = exports(answer)
    assert (export["status"], export["error"]["type"]) == ("incomplete", "deadline")
    assert function.post(BODY).status == 503, "for other callers it is 503"


def test_a_task_in_conflict_with_another_run_is_retried_without_slowing_the_queue() -> None:
    export = Export(Aggregation.GRANULAR, Period.holding(Frequency.DAILY, date(2022, 4, 1)))
    conflict = Conflict("Another run changes it.")
    result = ExportResult(export, Status.FAILED, 0, 0, 0, columns_changed=False, manifest=None, error=conflict)
    body, status, headers = Answers().of([result], is_task=True)
    assert (status, json.loads(body)["status"], headers["Retry-After"]) == (409, 409, "60")
    assert Answers().of([result])[1] == 503


@pytest.mark.parametrize(
    ("fault", "status", "slug"),
    [
        ({"where": "export.list", "status": 503, "headers": {"Retry-After": "1234"}}, 503, "upstream-unavailable"),
        ({"where": "export.list", "status": 418}, 502, "export-service-error"),
        ({"where": "link.get", "kind": Kind.WRONG_HASH}, 502, "integrity"),
    ],
    ids=["an outage", "an odd answer", "wrong bytes"],
)
def test_a_task_gets_the_same_answer_as_other_callers_for(
    stack: Stack, function: ScannedFunction, fault: dict[str, object], status: int, slug: str
) -> None:
    stack.exports.put(PREFIX, {"a.csv": b"a\n1\n"})
    stack.faults.add(**({"kind": Kind.STATUS, "times": None} | fault))  # type: ignore[arg-type] # a table
    problem(function.post(BODY, headers=TASK), status, slug)


def test_every_log_line_of_a_task_names_it(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put(PREFIX, {"a.csv": b"a\n1\n"})
    before = len(function.logs())
    function.post(DAY, headers=TASK)
    function.post({"aggregation": "none"}, headers=TASK)
    lines = function.logs()[before:]
    assert {line["message"] for line in lines} >= {"object_copied", "export_complete", "request_refused"}
    assert {(line["task_name"], line["task_retry_count"]) for line in lines} == {(TASK["X-CloudTasks-TaskName"], 3)}
    function.post(DAY)
    assert "task_name" not in function.logs()[-1]
    assert "task_retry_count" not in function.logs()[-1]


@pytest.mark.parametrize("count", [None, "", "x", "-1", "1e3", "9" * 400])
def test_an_invalid_retry_count_of_a_task_is_logged_as_0(function: ScannedFunction, count: str | None) -> None:
    headers = {"X-CloudTasks-TaskName": "x" * 3000} | ({} if count is None else {"X-CloudTasks-TaskRetryCount": count})
    function.post(DAY, headers=headers)
    line = function.logs()[-1]
    assert (line["task_name"], line["task_retry_count"]) == ("x" * 500, 0)


@pytest.mark.parametrize("headers", [{}, {"X-CloudTasks-TaskName": ""}, {"X-CloudTasks-QueueName": "q"}])
def test_a_call_without_a_task_name_is_not_a_task(
    stack: Stack, function: ScannedFunction, headers: dict[str, str]
) -> None:
    stack.exports.remove(PREFIX)
    problem(function.post(BODY, headers=headers), 503, "not-available-yet")


def test_the_headers_of_a_task_grant_nothing(stack: Stack, function: ScannedFunction) -> None:
    """Anyone may send them: what is refused to others is refused to a task."""
    problem(function.post({**BODY, "unknown": 1}, headers=TASK), 400, "invalid-request")
    problem(function.post(span("2010-01-01", "2020-01-01"), headers=TASK), 400, "invalid-request")
    assert function.post(BODY, headers=TASK, method="PUT").status == 405
    stack.faults.add("export.list", Kind.STATUS, status=403, times=None)
    problem(function.post(BODY, headers=TASK), 502, "export-service-refused")
