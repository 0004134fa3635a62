"""`enqueue`: each period that is not complete becomes a task, and the tasks copy it."""

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from local.faults import Kind
from local.function import Answer
from local.stack import QUEUE, Stack
from tests.support.destination import Bucket
from tests.support.functions import ScannedFunction, StartFunction
from tests.support.requests_and_answers import exports, problem, span, statuses

DAYS = ["2022-04-01", "2022-04-02", "2022-04-03"]
HERE = span(DAYS[0], DAYS[-1])


def enqueue(function: ScannedFunction, fields: Mapping[str, object] = HERE) -> Answer:
    return function.post({**fields, "enqueue": True})


def bodies(stack: Stack) -> list[dict[str, Any]]:
    """What the queued tasks post, oldest period first."""
    found = [json.loads(task.http_request.body) for task in stack.tasks.queue.tasks()]
    return sorted(found, key=lambda body: str(body["from"]))


def last_log(function: ScannedFunction) -> dict[str, Any]:
    return function.logs()[-1]


def test_every_period_that_is_not_complete_becomes_a_task(stack: Stack, function: ScannedFunction) -> None:
    for day in DAYS:
        stack.exports.put(f"granular-{day}", {"a.csv": b"a\n"})
    assert function.post(span(DAYS[1], DAYS[1])).status == 200
    before = stack.exports.requests.count()
    answer = enqueue(function)
    assert (answer.status, answer.headers["Content-Type"]) == (202, "application/json")
    assert statuses(answer) == {DAYS[0]: "queued", DAYS[1]: "complete", DAYS[2]: "queued"}
    assert bodies(stack) == [
        {"aggregation": "granular", "frequency": "daily", "from": day, "to": day} for day in (DAYS[0], DAYS[2])
    ]
    assert {task.name.rpartition("/")[0] for task in stack.tasks.queue.tasks()} == {f"{QUEUE}/tasks"}
    assert stack.exports.requests.count() == before, "no request to the export service"


def test_a_queued_period_has_the_documented_fields(function: ScannedFunction) -> None:
    value = enqueue(function, span(DAYS[0], DAYS[0])).json()
    assert isinstance(value.pop("seconds"), float)
    assert value == {
        "exports": [
            {
                "aggregation": "granular",
                "frequency": "daily",
                "start_date": DAYS[0],
                "end_date": DAYS[0],
                "file_prefix": f"granular-{DAYS[0]}",
                "status": "queued",
                "objects": 0,
                "bytes": 0,
                "bytes_copied": 0,
                "columns_changed": False,
                "manifest": None,
                "error": None,
            }
        ],
        "bytes_copied": 0,
    }


def test_enqueue_with_nothing_left_to_queue_is_answered_200(stack: Stack, function: ScannedFunction) -> None:
    for day in DAYS:
        stack.exports.put(f"granular-{day}", {"a.csv": b"a\n"})
    function.post(HERE)
    answer = enqueue(function)
    assert (answer.status, set(statuses(answer).values())) == (200, {"complete"})
    assert stack.tasks.requests.all() == []


def test_enqueue_of_a_span_without_a_finished_period_is_answered_200(stack: Stack, function: ScannedFunction) -> None:
    answer = enqueue(function, span("9999-01-01", "9999-01-02"))
    assert (answer.status, exports(answer), stack.tasks.requests.all()) == (200, [], [])


def test_with_refresh_every_period_becomes_a_task_that_compares(stack: Stack, function: ScannedFunction) -> None:
    for day in DAYS:
        stack.exports.put(f"granular-{day}", {"a.csv": b"a\n"})
    function.post(HERE)
    answer = enqueue(function, {**HERE, "refresh": True})
    assert answer.status == 202
    assert set(statuses(answer).values()) == {"queued"}
    assert exports(answer)[0]["objects"] == 1
    assert bodies(stack) == [
        {"aggregation": "granular", "frequency": "daily", "from": day, "to": day, "refresh": True} for day in DAYS
    ]


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        ({"aggregation": "granular", "frequency": "weekly", "date": "2022-04-06"}, "2022-04-04"),
        ({"aggregation": "interaction", "frequency": "monthly", "date": "2022-04-30"}, "2022-04-01"),
    ],
    ids=["a week", "a month"],
)
def test_a_single_period_becomes_one_task_that_names_its_first_day(
    stack: Stack, function: ScannedFunction, fields: dict[str, str], start: str
) -> None:
    answer = enqueue(function, fields)
    assert (answer.status, statuses(answer)) == (202, {start: "queued"})
    kind = {name: fields[name] for name in ("aggregation", "frequency")}
    assert bodies(stack) == [kind | {"from": start, "to": start}]


def test_a_single_period_that_is_complete_gets_no_task(stack: Stack, function: ScannedFunction) -> None:
    """Its task would only find it complete; with `refresh` it would be compared."""
    stack.exports.put(f"granular-{DAYS[0]}", {"a.csv": b"a\n"})
    one = {"aggregation": "granular", "frequency": "daily", "date": DAYS[0]}
    function.post(one)
    answer = enqueue(function, one)
    assert (answer.status, statuses(answer)) == (200, {DAYS[0]: "complete"})
    assert enqueue(function, {**one, "refresh": True}).status == 202
    assert [body["refresh"] for body in bodies(stack)] == [True]


def test_enqueue_is_accepted_in_the_query(stack: Stack, function: ScannedFunction) -> None:
    query = {key: str(value) for key, value in HERE.items()} | {"enqueue": "true"}
    assert function.post(query=query).status == 202
    assert len(bodies(stack)) == 3


def test_queued_periods_are_copied(stack: Stack, function: ScannedFunction, bucket: Bucket) -> None:
    for day in DAYS:
        stack.exports.put(f"granular-{day}", {f"{day}.csv": day.encode()})
    stack.tasks.queue.targets = [function.url]
    assert enqueue(function).status == 202
    stack.tasks.queue.wait_until_empty()
    assert stack.tasks.queue.gave_up == []
    assert bucket.contents("granular/") == {f"granular/daily/start_date={day}/{day}.csv": day.encode() for day in DAYS}
    assert set(statuses(enqueue(function)).values()) == {"complete"}


def test_enqueue_reads_no_key_and_writes_nothing(stack: Stack, start_function: StartFunction, bucket: Bucket) -> None:
    assert enqueue(start_function()).status == 202
    assert stack.secrets.requests.count() == stack.exports.requests.count() == 0
    assert bucket.names() == []


def test_enqueue_logs_one_line_and_no_export_complete(stack: Stack, function: ScannedFunction) -> None:
    """An alert waits for `export_complete`: a backfill that is only queued must not silence it."""
    stack.exports.put(f"granular-{DAYS[0]}", {"a.csv": b"a\n"})
    function.post(span(DAYS[0], DAYS[0]))
    before = len(function.logs())
    enqueue(function)
    (line,) = function.logs()[before:]
    expected = {
        "severity": "INFO", "message": "periods_queued", "aggregation": "granular", "frequency": "daily",
        "first_start_date": DAYS[0], "last_start_date": DAYS[2], "periods": 3, "queued": 2,
    }  # fmt: skip
    assert {name: line[name] for name in expected} == expected


# What the operator must fix, and what interrupts it


def test_enqueue_without_a_queue_says_what_to_set(stack: Stack, function_with: StartFunction) -> None:
    function = function_with(TASKS_QUEUE="")
    detail = problem(enqueue(function), 500, "misconfigured")["detail"]
    assert detail.startswith("TASKS_QUEUE is not set")
    assert "queue.enabled" in detail
    assert last_log(function)["error_type"] == "misconfigured"
    assert function.post(span("9999-01-01", "9999-01-01")).status == 200, "only `enqueue` needs it"
    assert stack.tasks.requests.all() == []


def test_enqueue_names_a_queue_that_does_not_exist(stack: Stack, function_with: StartFunction) -> None:
    other = "projects/local/locations/europe-west1/queues/other"
    function = function_with(TASKS_QUEUE=other)
    answer = enqueue(function)
    assert f"TASKS_QUEUE: {other} does not exist" in problem(answer, 500, "misconfigured")["detail"]
    assert set(statuses(answer).values()) == {"failed"}
    line = last_log(function)
    assert (line["severity"], line["message"], line["error_type"]) == ("ERROR", "planning_broken_off", "misconfigured")
    assert stack.exports.requests.count() == 0


def test_enqueue_names_a_missing_permission(stack: Stack, function: ScannedFunction) -> None:
    stack.faults.add("task.create", Kind.STATUS, status="PERMISSION_DENIED", times=None)
    answer = enqueue(function)
    assert "roles/cloudtasks.enqueuer" in problem(answer, 500, "misconfigured")["detail"]
    assert {each["error"]["type"] for each in exports(answer)} == {"misconfigured"}


@pytest.mark.ours_only
def test_enqueue_names_a_bucket_that_may_not_be_read(stack: Stack, function: ScannedFunction) -> None:
    stack.faults.add("object.list", Kind.STATUS, status=403, times=None)
    answer = enqueue(function)
    assert problem(answer, 500, "misconfigured")["detail"].startswith("BUCKET: ")
    assert set(statuses(answer).values()) == {"failed"}
    assert stack.tasks.requests.all() == []


def test_an_interrupted_enqueue_says_which_are_queued_and_the_next_call_queues_the_rest(
    stack: Stack, function_with: StartFunction
) -> None:
    function = function_with(DEADLINE_SECONDS="1")
    stack.faults.add("task.create", Kind.DELAY, seconds=1.2, skip=20, times=None)
    whole = span("2021-01-01", "2021-03-31")
    answer = enqueue(function, whole)
    assert "Call again" in problem(answer, 503, "deadline")["detail"]
    found = statuses(answer)
    queued = {day for day, status in found.items() if status == "queued"}
    assert 20 <= len(queued) < 90
    assert set(found.values()) == {"queued", "incomplete"}
    assert {body["from"] for body in bodies(stack)} == queued
    assert all((each["error"] is None) == (each["start_date"] in queued) for each in exports(answer))
    line = last_log(function)
    assert (line["severity"], line["message"], line["queued"]) == ("WARNING", "planning_broken_off", len(queued))
    stack.faults.clear()
    again = enqueue(function, whole)
    assert (again.status, set(statuses(again).values())) == (202, {"queued"})
    assert {body["from"] for body in bodies(stack)} == set(found)


# Large spans


def test_enqueue_of_ten_years_of_days_takes_at_most_ten_seconds_at_30_ms_a_task(
    stack: Stack, function: ScannedFunction
) -> None:
    """The best of three, as the machine may be busy."""
    stack.faults.add("task.create", Kind.DELAY, seconds=0.03, times=None)
    took_s: list[float] = []
    while min(took_s, default=10) >= 10 and len(took_s) < 3:
        began = time.monotonic()
        answer = enqueue(function, span("2014-01-01", "2023-12-31"))
        took_s.append(time.monotonic() - began)
        assert (answer.status, len(exports(answer))) == (202, 3652)
    assert min(took_s) < 10
    assert len(stack.tasks.queue.tasks()) == 3652 * len(took_s)


def test_enqueue_of_5000_periods_takes_bounded_memory(stack: Stack, start_function: StartFunction) -> None:
    function = start_function()
    assert enqueue(function, span("2009-12-31", "2009-12-31")).status == 202
    before = function.peak_rss_bytes()
    answer = enqueue(function, span("2010-01-01", "2023-09-09"))
    assert (answer.status, len(exports(answer))) == (202, 5000)
    assert function.peak_rss_bytes() - before < 40_000_000
    assert len(stack.tasks.queue.tasks()) == 5001


def test_two_fan_outs_at_once_do_not_disturb_each_other(stack: Stack, function: ScannedFunction) -> None:
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(enqueue(function))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [202, 202]
    assert len(stack.tasks.queue.tasks()) == 6, "a second task for a period is harmless, and none is lost"
