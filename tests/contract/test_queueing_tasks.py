"""Queueing calls in Cloud Tasks: fast, each once, and errors say what is wrong."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from google.cloud.tasks_v2.types import HttpMethod

from analytics_export import tasks as module
from analytics_export.errors import DeadlineReached, ExportError, Misconfigured, UpstreamUnavailable
from analytics_export.retries import Clock, Deadline
from analytics_export.tasks import THREADS, FanOut, NewTask, TaskQueue, task_id
from local.faults import Faults, Kind
from local.stack import QUEUE
from local.tasks.cloud_tasks import CloudTasks
from local.tasks.rules import TASK_ID
from tests.support.answering import AnsweringServer
from tests.support.world import wait_for


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def service(faults: Faults) -> Iterator[CloudTasks]:
    service = CloudTasks(QUEUE, faults=faults)
    service.start()
    yield service
    faults.clear()
    service.stop()


@pytest.fixture
def queue(service: CloudTasks) -> TaskQueue:
    return TaskQueue(QUEUE, emulator=service.host)


def days(count: int) -> Iterator[NewTask]:
    return (NewTask(f"granular-daily-{number:04}", {"from": number}) for number in range(count))


def fan_out(
    queue: TaskQueue, tasks: Iterator[NewTask], *, run_id: str = "run", deadline: Deadline | None = None
) -> FanOut:
    return queue.queue_tasks(tasks, run_id=run_id, deadline=deadline or Deadline(1740, Clock()))


def queued_labels(service: CloudTasks) -> set[str]:
    return {task.name.rpartition("/")[2][17:] for task in service.queue.tasks()}


def error_of(outcome: FanOut, kind: type[ExportError]) -> ExportError:
    assert type(outcome.error) is kind, outcome.error
    assert outcome.error is not None
    return outcome.error


def test_ten_years_of_days_are_queued_once_each_and_many_at_once(
    queue: TaskQueue, service: CloudTasks, faults: Faults
) -> None:
    hold = faults.add("task.create", Kind.HOLD, times=None)
    with ThreadPoolExecutor(1) as caller:
        running = caller.submit(fan_out, queue, days(3652))
        wait_for(lambda: service.requests.count("task.create") == THREADS)
        hold.release()
        outcome = running.result()
    assert outcome.error is None
    assert outcome.queued == {task.label for task in days(3652)}
    assert queued_labels(service) == outcome.queued
    assert service.requests.count("task.create") == 3652


def test_a_task_posts_its_body_to_the_target_of_its_queue(queue: TaskQueue, service: CloudTasks) -> None:
    assert fan_out(queue, days(1)).error is None
    (task,) = service.queue.tasks()
    assert task.name == f"{QUEUE}/tasks/{task_id('run', 'granular-daily-0000')}"
    assert (task.http_request.url, task.http_request.http_method) == ("https://queue.invalid/", HttpMethod.POST)
    assert task.http_request.headers["Content-Type"] == "application/json"
    assert json.loads(task.http_request.body) == {"from": 0}
    assert task.dispatch_deadline == timedelta(minutes=30)
    with AnsweringServer() as function:
        service.queue.targets = [function.url]
        service.queue.wait_until_empty()
        assert [json.loads(body) for body in function.bodies] == [{"from": 0}]


def test_a_fan_out_reads_the_plan_only_as_fast_as_it_queues(queue: TaskQueue, faults: Faults) -> None:
    """Memory is bounded by the tasks being created, not by the plan."""
    taken = []

    def watched() -> Iterator[NewTask]:
        for task in days(400):
            taken.append(task)
            most_ahead.append(len(taken) - len(created))
            yield task

    created: list[str] = []
    most_ahead: list[int] = []
    faults.add("task.create", Kind.CALL, times=None, call=lambda request: created.append(request.name))
    assert fan_out(queue, watched()).error is None
    assert len(created) == len(taken) == 400
    assert max(most_ahead) <= THREADS


def test_a_fan_out_without_tasks_sends_no_request(queue: TaskQueue, service: CloudTasks) -> None:
    assert fan_out(queue, days(0)) == FanOut(frozenset(), None)
    assert service.requests.all() == []


@pytest.mark.parametrize("status", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED"])
def test_a_temporary_failure_of_cloud_tasks_is_retried(
    queue: TaskQueue, service: CloudTasks, faults: Faults, status: str
) -> None:
    faults.add("task.create", Kind.STATUS, status=status, times=5)
    outcome = fan_out(queue, days(20))
    assert (len(outcome.queued), outcome.error) == (20, None)
    assert len(service.queue.tasks()) == 20
    assert service.requests.count("task.create") == 25


def test_a_lost_answer_of_cloud_tasks_leaves_one_task(queue: TaskQueue, service: CloudTasks, faults: Faults) -> None:
    faults.add("task.create", Kind.LOSE_ANSWER, times=3)
    outcome = fan_out(queue, days(20))
    assert (len(outcome.queued), outcome.error) == (20, None)
    assert len(service.queue.tasks()) == 20
    assert service.requests.count("task.create") == 23


def test_a_missing_queue_is_named_with_what_to_do(service: CloudTasks) -> None:
    other = "projects/my-project/locations/europe-west1/queues/backfill"
    error = error_of(fan_out(TaskQueue(other, emulator=service.host), days(100)), Misconfigured)
    assert f"TASKS_QUEUE: {other} does not exist" in error.detail
    assert "gcloud tasks queues describe backfill --location europe-west1 --project my-project" in error.detail
    assert service.requests.count("task.create") <= THREADS


@pytest.mark.parametrize("status", ["PERMISSION_DENIED", "UNAUTHENTICATED"])
def test_a_missing_permission_on_the_queue_is_named_with_the_role(
    queue: TaskQueue, faults: Faults, status: str
) -> None:
    faults.add("task.create", Kind.STATUS, status=status, times=None)
    error = error_of(fan_out(queue, days(3)), Misconfigured)
    assert f"TASKS_QUEUE: the function's service account may not create tasks in {QUEUE}" in error.detail
    assert "--role roles/cloudtasks.enqueuer" in error.detail


@pytest.mark.parametrize("status", ["INVALID_ARGUMENT", "FAILED_PRECONDITION"])
def test_a_refused_task_is_a_misconfigured_queue(queue: TaskQueue, faults: Faults, status: str) -> None:
    faults.add("task.create", Kind.STATUS, status=status)
    error = error_of(fan_out(queue, days(3)), Misconfigured)
    assert f"TASKS_QUEUE: {QUEUE} did not accept a task" in error.detail


def test_the_first_permanent_failure_ends_a_fan_out_and_says_what_is_queued(
    queue: TaskQueue, service: CloudTasks, faults: Faults
) -> None:
    faults.add("task.create", Kind.STATUS, status="PERMISSION_DENIED", skip=10, times=None)
    outcome = fan_out(queue, days(500))
    error_of(outcome, Misconfigured)
    assert len(outcome.queued) == 10
    assert queued_labels(service) == outcome.queued
    assert service.requests.count("task.create") <= 10 + THREADS


def test_an_outage_of_cloud_tasks_ends_a_fan_out_within_its_budget(
    queue: TaskQueue, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUDGET_S", 0.5)
    faults.add("task.create", Kind.STATUS, status="UNAVAILABLE", times=None)
    began = time.monotonic()
    error = error_of(fan_out(queue, days(100)), UpstreamUnavailable)
    assert time.monotonic() - began < 3
    assert "Cloud Tasks did not take a task" in error.detail
    assert "(ServiceUnavailable)" in error.detail


def test_cloud_tasks_is_given_up_if_it_never_answers(
    queue: TaskQueue, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUDGET_S", 0.6)
    monkeypatch.setattr(module, "CALL_TIMEOUT_S", 0.3)
    faults.add("task.create", Kind.HOLD, times=None)
    began = time.monotonic()
    outcome = fan_out(queue, days(100))
    error_of(outcome, UpstreamUnavailable)
    assert time.monotonic() - began < 4
    assert outcome.queued == frozenset()


def test_an_emulator_that_does_not_run_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is opened by the first fan-out, not before."""
    monkeypatch.setattr(module, "BUDGET_S", 0.5)
    queue = TaskQueue(QUEUE, emulator="127.0.0.1:1")
    error_of(fan_out(queue, days(3)), UpstreamUnavailable)


def test_a_fan_out_without_credentials_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    outcome = fan_out(TaskQueue(QUEUE, emulator=None), days(3))
    assert "No Google credentials" in error_of(outcome, Misconfigured).detail
    assert outcome.queued == frozenset()


def test_a_fan_out_queues_nothing_after_the_deadline(queue: TaskQueue, service: CloudTasks) -> None:
    outcome = fan_out(queue, days(3), deadline=Deadline(0, Clock()))
    error_of(outcome, DeadlineReached)
    assert (outcome.queued, service.queue.tasks()) == (frozenset(), [])


def test_a_repeated_fan_out_adds_no_second_task_and_says_queued(queue: TaskQueue, service: CloudTasks) -> None:
    fan_out(queue, days(3))
    outcome = fan_out(queue, days(5))
    assert (len(outcome.queued), outcome.error) == (5, None)
    assert len(service.queue.tasks()) == 5


def test_another_fan_out_uses_other_task_names(queue: TaskQueue, service: CloudTasks) -> None:
    """After a purge names stay reserved for a day: if they were the same, nothing would be queued, without an error."""
    fan_out(queue, days(3), run_id="first")
    service.queue.purge()
    assert len(fan_out(queue, days(3), run_id="second").queued) == 3
    assert queued_labels(service) == {task.label for task in days(3)}


def test_task_names_are_valid_and_name_the_period_and_begin_differently() -> None:
    labels = [f"interaction-monthly-20{year:02}-{month:02}-01" for year in range(100) for month in range(1, 13)]
    names = [task_id("run", label) for label in labels]
    assert all(TASK_ID.fullmatch(name) and name.endswith(label) for name, label in zip(names, labels, strict=True))
    assert len({name[:3] for name in names}) > 900
    assert task_id("run", "a") != task_id("other", "a")


def test_a_defect_in_the_plan_is_raised(queue: TaskQueue) -> None:
    def broken() -> Iterator[NewTask]:
        yield from days(3)
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        fan_out(queue, broken())
