"""The stand-in of Cloud Tasks is as strict as the real service, and delivers as that does."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.tasks_v2 import CloudTasksClient
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport
from google.cloud.tasks_v2.types import HttpMethod, ListTasksRequest, Queue, Task

from local.faults import Faults, Kind
from local.http.exchange import Exchange
from local.http.response import Outcome, Response
from local.http.server import Handler
from local.stack import QUEUE, Stack
from local.tasks.cloud_tasks import CloudTasks
from local.tasks.rules import RetryRules
from tests.support.answering import OPERATION, AnsweringServer, always, in_turn

URL = "https://queue.invalid/"
BODY = json.dumps({"aggregation": "granular"}).encode()
WAIT_SCALE = 0.001
"""A minute of backoff is 60 ms here."""


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def tasks(faults: Faults) -> Iterator[CloudTasks]:
    service = CloudTasks(QUEUE, faults=faults)
    service.queue.wait_scale = WAIT_SCALE
    service.start()
    yield service
    faults.clear()
    service.stop()


@pytest.fixture
def client(tasks: CloudTasks) -> Iterator[CloudTasksClient]:
    with grpc.insecure_channel(tasks.host) as channel:
        yield CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))


@pytest.fixture
def function() -> Iterator[AnsweringServer]:
    with AnsweringServer() as server:
        yield server
        assert server.mistakes == []


def a_task(task_id: str | None = None, **fields: Any) -> Task:
    request = {"url": URL, "body": BODY, "headers": {"Content-Type": "application/json"}} | fields.pop("request", {})
    name = {"name": f"{QUEUE}/tasks/{task_id}"} if task_id else {}
    return Task({"http_request": request, **name, **fields})


def completed_task(task_id: str) -> Task:
    """A task as CreateTask adds it to the queue."""
    return a_task(task_id, dispatch_deadline=timedelta(minutes=30), schedule_time=datetime.now(UTC))


def first_task(response: Response) -> Handler:
    """Answers the task "first" with this response, every other task with 200."""
    return lambda exchange: (
        response if exchange.head.headers.value("X-CloudTasks-TaskName") == "first" else Response(200)
    )


def create(client: CloudTasksClient, task_id: str | None = None, **fields: Any) -> Task:
    return client.create_task(parent=QUEUE, task=a_task(task_id, **fields), timeout=5)


class TestCreate:
    def test_answers_with_the_task_without_its_body(self, client: CloudTasksClient) -> None:
        before = datetime.now(UTC).replace(microsecond=0)
        task = create(client, "a", dispatch_deadline=timedelta(minutes=30))
        assert task.name == f"{QUEUE}/tasks/a"
        assert (task.http_request.url, task.http_request.http_method) == (URL, HttpMethod.POST)
        assert dict(task.http_request.headers) == {
            "Content-Type": "application/json",
            "User-Agent": "Google-Cloud-Tasks",
        }
        assert task.http_request.body == b""
        assert task.dispatch_deadline == timedelta(minutes=30)
        assert task.create_time >= before
        assert task.schedule_time >= before
        assert task.view == Task.View.BASIC

    def test_chooses_a_unique_name_for_a_task_without_one(self, client: CloudTasksClient) -> None:
        one, other = create(client), create(client)
        assert one.name.startswith(f"{QUEUE}/tasks/")
        assert one.name != other.name
        assert one.dispatch_deadline == timedelta(minutes=10)

    def test_refuses_a_name_while_its_task_exists(self, client: CloudTasksClient, tasks: CloudTasks) -> None:
        create(client, "a")
        with pytest.raises(exceptions.AlreadyExists, match="Requested entity already exists"):
            create(client, "a")
        assert len(tasks.queue.tasks()) == 1

    def test_refuses_a_name_for_a_while_after_its_task_has_ended(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        tasks.queue.targets = [function.url]
        create(client, "a")
        tasks.queue.wait_until_empty()
        with pytest.raises(exceptions.AlreadyExists, match="existed too recently"):
            create(client, "a")
        tasks.queue.name_memory_s = 0
        create(client, "a")
        tasks.queue.wait_until_empty()
        assert function.task_ids == ["a", "a"]

    def test_also_remembers_the_names_of_purged_tasks(self, client: CloudTasksClient) -> None:
        create(client, "a")
        client.purge_queue(name=QUEUE)
        with pytest.raises(exceptions.AlreadyExists, match="existed too recently"):
            create(client, "a")

    @pytest.mark.parametrize(
        ("task", "text"),
        [
            (a_task("not a valid id"), 'Task ID "not a valid id" can contain only letters'),
            (a_task("x" * 501), "Task ID must between 1 and 500 characters"),
            (Task(name="a", http_request={"url": URL}), "Task name must be formatted"),
            (Task(name=f"{QUEUE}-2/tasks/a", http_request={"url": URL}), "must be the same as the queue name"),
            (Task(), "must have a message type"),
            (a_task(request={"url": ""}), "HttpRequest.url is required"),
            (a_task(request={"url": "ftp://example.com/"}), "HttpRequest.url must be a valid URL"),
            (a_task(request={"url": "https://"}), "HttpRequest.url must be a valid URL"),
            (a_task(request={"url": "https://example.com/" + "x" * 2083}), "HttpRequest.url must be a valid URL"),
            (a_task(request={"url": "http://example.com/"}), "must begin with https://"),
            (a_task(dispatch_deadline=timedelta(seconds=14)), "dispatch_deadline must be between"),
            (a_task(dispatch_deadline=timedelta(seconds=1801)), "dispatch_deadline must be between"),
            (a_task(request={"body": b"x" * 102_400}), "Task size too large"),
            (a_task(schedule_time=datetime.now(UTC) + timedelta(days=31)), "schedule_time must be within 30 days"),
        ],
    )
    def test_refuses_a_task_that_breaks_a_rule(
        self, client: CloudTasksClient, tasks: CloudTasks, task: Task, text: str
    ) -> None:
        with pytest.raises(exceptions.InvalidArgument, match=text):
            client.create_task(parent=QUEUE, task=task)
        assert tasks.queue.tasks() == []

    @pytest.mark.parametrize(
        "task",
        [
            a_task(dispatch_deadline=timedelta(seconds=15)),
            a_task(dispatch_deadline=timedelta(minutes=30)),
            a_task(request={"body": b"x" * 102_000}),
            a_task("x" * 500),
        ],
    )
    def test_accepts_a_task_at_the_limit_of_a_rule(self, client: CloudTasksClient, task: Task) -> None:
        client.create_task(parent=QUEUE, task=task)

    @pytest.mark.parametrize(
        "task",
        [
            Task(app_engine_http_request={"relative_uri": "/"}),
            a_task(retry_config={"max_attempts": 3}),
            a_task(request={"http_method": HttpMethod.GET}),
            a_task(request={"oidc_token": {"service_account_email": "a@example.com"}}),
        ],
    )
    def test_answers_unimplemented_for_a_task_that_only_the_real_service_supports(
        self, client: CloudTasksClient, task: Task
    ) -> None:
        with pytest.raises(exceptions.MethodNotImplemented):
            client.create_task(parent=QUEUE, task=task)


class TestQueues:
    @pytest.mark.parametrize("method", ["get_queue", "pause_queue", "resume_queue", "purge_queue"])
    def test_an_unknown_queue_is_answered_not_found(self, client: CloudTasksClient, method: str) -> None:
        with pytest.raises(exceptions.NotFound, match="Queue does not exist"):
            getattr(client, method)(name=f"{QUEUE}-2")
        with pytest.raises(exceptions.InvalidArgument, match="Queue name must be formatted"):
            getattr(client, method)(name="analytics-export")

    def test_requests_for_tasks_of_an_unknown_queue_are_answered_not_found(
        self, client: CloudTasksClient, tasks: CloudTasks
    ) -> None:
        with pytest.raises(exceptions.NotFound, match="Queue does not exist"):
            client.create_task(parent=f"{QUEUE}-2", task=a_task())
        with pytest.raises(exceptions.NotFound, match="Queue does not exist"):
            client.list_tasks(parent=f"{QUEUE}-2")
        tasks.remove_queue(QUEUE)
        with pytest.raises(exceptions.NotFound, match="Queue does not exist"):
            create(client)
        tasks.reset()
        create(client)

    def test_get_queue_returns_limits_retries_state_and_target(
        self, client: CloudTasksClient, tasks: CloudTasks
    ) -> None:
        tasks.queue.targets = ["http://127.0.0.1:8080"]
        queue = client.get_queue(name=QUEUE)
        assert (queue.name, queue.state) == (QUEUE, Queue.State.RUNNING)
        assert queue.rate_limits.max_concurrent_dispatches == 2
        assert queue.rate_limits.max_dispatches_per_second == 500
        assert queue.retry_config.max_attempts == 8
        assert queue.retry_config.min_backoff == timedelta(seconds=60)
        assert queue.retry_config.max_backoff == timedelta(seconds=3600)
        assert queue.retry_config.max_doublings == 4
        override = queue.http_target.uri_override
        assert (override.host, override.port) == ("127.0.0.1", 8080)
        assert override.uri_override_enforce_mode.name == "ALWAYS"
        assert queue.http_target.oidc_token.audience == "http://127.0.0.1:8080"

    def test_tasks_are_listed_in_pages(self, client: CloudTasksClient) -> None:
        for number in range(5):
            create(client, f"task-{number}")
        pages = list(client.list_tasks(ListTasksRequest(parent=QUEUE, page_size=2)).pages)
        names = [[task.name.rpartition("/")[2] for task in page.tasks] for page in pages]
        assert names == [["task-0", "task-1"], ["task-2", "task-3"], ["task-4"]]
        full = client.list_tasks(ListTasksRequest(parent=QUEUE, response_view=Task.View.FULL))
        assert [task.http_request.body for task in full] == [BODY] * 5
        with pytest.raises(exceptions.InvalidArgument):
            client.list_tasks(ListTasksRequest(parent=QUEUE, page_size=1001))

    def test_unsupported_methods_are_refused(self, client: CloudTasksClient) -> None:
        with pytest.raises(exceptions.MethodNotImplemented):
            client.delete_task(name=f"{QUEUE}/tasks/a")


class TestDelivery:
    def test_a_task_reaches_the_function_once_with_the_headers_of_cloud_tasks(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        tasks.queue.targets = [function.url]
        create(client, "a", request={"headers": {"Content-Type": "application/json", "Host": "b", "X-Own": "1"}})
        tasks.queue.wait_until_empty()
        (call,) = function.requests.all()
        headers = {name: value for name, value in call.headers.items() if name not in {"accept-encoding", "host"}}
        assert abs(float(headers.pop("x-cloudtasks-tasketa")) - time.time()) < 5
        assert headers == {
            "authorization": "Bearer local-oidc-token",
            "content-length": str(len(BODY)),
            "content-type": "application/json",
            "user-agent": "Google-Cloud-Tasks",
            "x-cloudtasks-queuename": "analytics-export",
            "x-cloudtasks-taskexecutioncount": "0",
            "x-cloudtasks-taskname": "a",
            "x-cloudtasks-taskretrycount": "0",
            "x-own": "1",
        }
        assert call.headers["host"] == function.url.removeprefix("http://")
        assert (call.path, function.bodies) == ("/", [BODY])

    def test_the_path_of_the_tasks_url_is_kept(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        tasks.queue.targets = [function.url]
        create(client, request={"url": "https://queue.invalid/a/b"})
        tasks.queue.wait_until_empty()
        assert [request.path for request in function.requests.all()] == ["/a/b"]

    def test_nothing_is_delivered_before_there_is_a_target(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        create(client, "a")
        with pytest.raises(TimeoutError, match="1 tasks were left"):
            tasks.queue.wait_until_empty(0.1)
        tasks.queue.targets = [function.url]
        tasks.queue.wait_until_empty()
        assert function.task_ids == ["a"]

    def test_a_task_is_not_delivered_before_its_time(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        tasks.queue.targets = [function.url]
        began = time.monotonic()
        create(client, "later", schedule_time=datetime.now(UTC) + timedelta(seconds=0.3))
        create(client, "now")
        tasks.queue.wait_until_empty()
        assert function.task_ids == ["now", "later"]
        assert function.requests.all()[1].at - began > 0.25

    def test_the_headers_of_a_retry_have_the_earlier_results(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        """As recorded from the service: 404 counts as an execution, 503 does not; the reason for the retry is empty."""
        function.answer = in_turn(*(always(Response(status)) for status in (503, 404, 200)))
        tasks.queue.targets = [function.url]
        create(client, "a")
        tasks.queue.wait_until_empty()
        names = ["RetryCount", "ExecutionCount", "PreviousResponse", "RetryReason"]
        seen = [
            tuple(request.headers.get(f"x-cloudtasks-task{name.lower()}") for name in names)
            for request in function.requests.all()
        ]
        assert seen == [("0", "0", None, None), ("1", "0", "503", ""), ("2", "1", "404", "")]
        assert [request.status for request in tasks.requests.of("task.deliver")] == [503, 404, 200]

    @pytest.mark.parametrize("status", [200, 202, 204])
    def test_every_2xx_ends_the_task(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer, status: int
    ) -> None:
        function.answer = always(Response(status))
        tasks.queue.targets = [function.url]
        create(client)
        tasks.queue.wait_until_empty()
        assert function.requests.count() == 1
        assert tasks.queue.gave_up == []

    @pytest.mark.parametrize("status", [302, 400, 409, 500])
    def test_after_the_last_attempt_the_task_is_deleted(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer, status: int
    ) -> None:
        function.answer = always(Response(status))
        tasks.queue.retry = RetryRules(max_attempts=3)
        tasks.queue.targets = [function.url]
        create(client, "a")
        tasks.queue.wait_until_empty()
        assert function.task_ids == ["a"] * 3
        assert tasks.queue.gave_up == ["a"]
        assert tasks.queue.pace.slow_downs == 0

    def test_the_backoff_doubles_and_then_grows_linearly_up_to_the_maximum(self) -> None:
        """Google's own example."""
        rules = RetryRules(min_backoff_s=10, max_backoff_s=300, max_doublings=3)
        assert [rules.backoff_s(failures) for failures in range(1, 9)] == [10, 20, 40, 80, 160, 240, 300, 300]

    def test_a_retry_waits_for_the_backoff(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        function.answer = always(Response(409))
        tasks.queue.retry = RetryRules(max_attempts=4)  # 60, 120, 240 s: here 60, 120, 240 ms
        tasks.queue.targets = [function.url]
        create(client)
        tasks.queue.wait_until_empty()
        waits = function.waits_s()
        assert [wait >= backoff for wait, backoff in zip(waits, (0.06, 0.12, 0.24), strict=True)] == [True] * 3
        assert sum(waits) < 2

    def test_a_retry_waits_for_a_longer_retry_after(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        function.answer = in_turn(always(Response(409, [("Retry-After", "500")])), always(Response(200)))
        tasks.queue.targets = [function.url]
        create(client)
        tasks.queue.wait_until_empty()
        assert function.waits_s()[0] >= 0.5

    def test_no_answer_within_the_dispatch_deadline_counts_as_504(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        function.answer = in_turn(always(Response(200), after_s=1), always(Response(200)))
        tasks.queue.deadline_scale = 0.01
        tasks.queue.targets = [function.url]
        create(client, dispatch_deadline=timedelta(seconds=15))
        tasks.queue.wait_until_empty()
        assert function.headers("X-CloudTasks-TaskPreviousResponse")[1] == "504"
        assert function.headers("X-CloudTasks-TaskExecutionCount")[1] == "0"
        assert function.waits_s()[0] < 0.9

    def test_the_dispatch_deadline_is_for_the_whole_answer(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        function.answer = always(Response(200, body=b"x" * 50))
        function.faults.add(OPERATION, Kind.DRIP, seconds=0.01)
        tasks.queue.deadline_scale = 0.01
        tasks.queue.targets = [function.url]
        create(client, dispatch_deadline=timedelta(seconds=15))
        tasks.queue.wait_until_empty()
        assert function.headers("X-CloudTasks-TaskPreviousResponse")[1] == "504"

    def test_an_incomplete_answer_counts_as_503(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        function.answer = always(Response(200, body=b"half"))
        function.faults.add(OPERATION, Kind.WRONG_LENGTH, shift=4)
        tasks.queue.targets = [function.url]
        create(client)
        tasks.queue.wait_until_empty()
        assert function.headers("X-CloudTasks-TaskPreviousResponse")[1] == "503"

    def test_a_refused_connection_counts_as_503(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        with AnsweringServer() as stopped:
            pass
        tasks.queue.targets = [stopped.url]
        create(client)
        while not tasks.requests.of("task.deliver") or tasks.requests.of("task.deliver")[0].status == 0:
            time.sleep(0.005)
        tasks.queue.targets = [function.url]
        tasks.queue.wait_until_empty()
        assert function.headers("X-CloudTasks-TaskPreviousResponse")[0] == "503"


class TestLimits:
    @pytest.mark.parametrize("limit", [1, 3])
    def test_concurrent_calls_are_limited(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer, limit: int
    ) -> None:
        function.answer = always(Response(200), after_s=0.02)
        tasks.queue.max_concurrent_dispatches = limit
        tasks.queue.targets = [function.url]
        for _ in range(12):
            create(client)
        tasks.queue.wait_until_empty()
        assert function.most_at_once == limit
        assert function.requests.count() == 12

    def test_calls_per_second_are_limited(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        tasks.queue.pace.dispatches_per_second = 20
        for _ in range(6):
            create(client)
        tasks.queue.targets = [function.url]
        tasks.queue.wait_until_empty()
        assert sum(function.waits_s()) >= 5 / 20 - 0.02

    def test_several_instances_share_the_calls(self, client: CloudTasksClient, tasks: CloudTasks) -> None:
        slow = always(Response(200), after_s=0.1)
        with AnsweringServer(slow) as one, AnsweringServer(slow) as other:
            tasks.queue.targets = [one.url, other.url]
            for _ in range(6):
                create(client)
            tasks.queue.wait_until_empty()
            assert (one.requests.count(), other.requests.count()) == (3, 3)
            assert (one.most_at_once, other.most_at_once) == (1, 1)

    @pytest.mark.parametrize(("status", "slow_downs"), [(503, 1), (429, 1), (500, 0), (409, 0)])
    def test_429_and_503_delay_the_other_tasks_but_other_errors_do_not(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer, status: int, slow_downs: int
    ) -> None:
        function.answer = first_task(Response(status))
        tasks.queue.wait_scale = 0.3  # a slow-down of 0.3 s
        tasks.queue.retry = RetryRules(max_attempts=1)
        tasks.queue.max_concurrent_dispatches = 1
        create(client, "first")
        create(client, "second")
        tasks.queue.targets = [function.url]
        tasks.queue.wait_until_empty()
        assert function.task_ids == ["first", "second"]
        assert (function.waits_s()[0] >= 0.3) == (slow_downs > 0)
        assert tasks.queue.pace.slow_downs == slow_downs

    def test_the_slow_down_grows_with_each_503_in_a_row(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        function.answer = in_turn(*(always(Response(status)) for status in (503, 503, 503, 200, 503, 200)))
        tasks.queue.wait_scale = 0.15
        tasks.queue.retry = RetryRules(max_attempts=1)
        tasks.queue.max_concurrent_dispatches = 1
        for number in range(6):
            create(client, f"task-{number}")
        tasks.queue.targets = [function.url]
        tasks.queue.wait_until_empty()
        waits = function.waits_s()
        assert waits[0] >= 0.15
        assert waits[1] >= 0.3
        assert waits[2] >= 0.6
        assert waits[3] < 0.15
        assert 0.15 <= waits[4] < 1, "the row has ended, and another begins"
        assert len(tasks.queue.gave_up) == 4

    def test_the_retry_after_of_a_503_makes_the_pause_longer(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        function.answer = first_task(Response(503, [("Retry-After", "300")]))
        tasks.queue.retry = RetryRules(max_attempts=1)
        tasks.queue.max_concurrent_dispatches = 1
        create(client, "first")
        create(client, "second")
        tasks.queue.targets = [function.url]
        tasks.queue.wait_until_empty()
        assert function.waits_s()[0] >= 0.3


class TestOperating:
    def test_a_paused_queue_accepts_tasks_but_delivers_none(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        tasks.queue.targets = [function.url]
        assert client.pause_queue(name=QUEUE).state == Queue.State.PAUSED
        create(client, "a")
        with pytest.raises(TimeoutError):
            tasks.queue.wait_until_empty(0.15)
        assert function.requests.all() == []
        assert client.resume_queue(name=QUEUE).state == Queue.State.RUNNING
        tasks.queue.wait_until_empty()
        assert function.task_ids == ["a"]

    def test_a_purge_ends_waiting_tasks_and_ignores_the_answers_of_running_ones(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer, faults: Faults
    ) -> None:
        function.answer = always(Response(409))
        hold = faults.add("task.deliver", Kind.HOLD, name="running")
        tasks.queue.max_concurrent_dispatches = 1
        tasks.queue.targets = [function.url]
        create(client, "running")
        hold.wait_until_reached()
        create(client, "waiting")
        before = datetime.now(UTC).replace(microsecond=0)
        purged = client.purge_queue(name=QUEUE)
        assert purged.purge_time >= before
        assert list(client.list_tasks(parent=QUEUE)) == []
        hold.release()
        tasks.queue.wait_until_empty()
        assert function.task_ids == ["running"]
        assert tasks.queue.gave_up == []

    def test_the_listing_has_the_number_of_attempts_of_a_task(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer
    ) -> None:
        function.answer = always(Response(409))
        tasks.queue.retry = RetryRules(min_backoff_s=3600_000)
        tasks.queue.targets = [function.url]
        create(client, "a")
        while next(iter(client.list_tasks(parent=QUEUE))).dispatch_count == 0:
            time.sleep(0.01)
        assert [task.dispatch_count for task in client.list_tasks(parent=QUEUE)] == [1]

    def test_stopping_breaks_off_the_calls_in_progress(self, faults: Faults, function: AnsweringServer) -> None:
        ended = threading.Event()

        def answer(_: Exchange) -> Outcome:
            ended.wait(20)
            return Response(200)

        function.answer = answer
        service = CloudTasks(QUEUE, faults=faults)
        service.start()
        service.queue.targets = [function.url]
        service.queue.add(completed_task("a"))
        while not function.requests.all():
            time.sleep(0.005)
        began = time.monotonic()
        service.stop()
        ended.set()
        assert time.monotonic() - began < 2


class TestFaults:
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            ("UNAVAILABLE", exceptions.ServiceUnavailable),
            ("PERMISSION_DENIED", exceptions.PermissionDenied),
            (429, exceptions.ResourceExhausted),
        ],
    )
    def test_creating_a_task_may_fail(
        self, client: CloudTasksClient, tasks: CloudTasks, faults: Faults, status: str | int, error: type[Exception]
    ) -> None:
        faults.add("task.create", Kind.STATUS, status=status, name="/a$")
        with pytest.raises(error):
            create(client, "a")
        assert tasks.queue.tasks() == []
        create(client, "a")
        assert faults.fired == {"task.create status": 1}
        assert [request.name for request in tasks.requests.of("task.create")] == [f"{QUEUE}/tasks/a"] * 2

    def test_creating_a_task_may_be_slow(self, client: CloudTasksClient, faults: Faults) -> None:
        faults.add("task.create", Kind.DELAY, seconds=0.2)
        began = time.monotonic()
        create(client)
        assert time.monotonic() - began >= 0.2

    def test_the_answer_to_create_task_may_get_lost(
        self, client: CloudTasksClient, tasks: CloudTasks, faults: Faults
    ) -> None:
        faults.add("task.create", Kind.LOSE_ANSWER)
        with pytest.raises(exceptions.ServiceUnavailable):
            create(client, "a")
        assert len(tasks.queue.tasks()) == 1

    def test_a_task_may_be_delivered_twice_at_the_same_time(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer, faults: Faults
    ) -> None:
        function.answer = always(Response(200), after_s=0.1)
        faults.add("task.deliver", Kind.TWICE)
        tasks.queue.targets = [function.url]
        create(client, "a")
        tasks.queue.wait_until_empty()
        assert function.task_ids == ["a", "a"]
        assert function.most_at_once == 2
        assert function.headers("X-CloudTasks-TaskRetryCount") == ["0", "0"]

    def test_a_task_may_be_delivered_again_after_it_has_ended(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer, faults: Faults
    ) -> None:
        faults.add("task.deliver", Kind.AGAIN)
        tasks.queue.targets = [function.url]
        create(client, "a")
        tasks.queue.wait_until_empty()
        assert function.task_ids == ["a", "a"]
        assert function.most_at_once == 1

    def test_a_second_delivery_that_fails_is_not_retried(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer, faults: Faults
    ) -> None:
        function.answer = in_turn(always(Response(200)), always(Response(500)))
        faults.add("task.deliver", Kind.AGAIN)
        tasks.queue.targets = [function.url]
        create(client, "a")
        tasks.queue.wait_until_empty()
        assert function.requests.count() == 2

    def test_a_task_may_be_delivered_late_and_after_others(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer, faults: Faults
    ) -> None:
        faults.add("task.deliver", Kind.DELAY, name="^a$", seconds=0.2, times=None)
        tasks.queue.max_concurrent_dispatches = 1
        tasks.queue.targets = [function.url]
        for task_id in "abc":
            create(client, task_id)
        tasks.queue.wait_until_empty()
        assert function.task_ids == ["b", "c", "a"]

    def test_a_fault_may_replace_or_lose_the_functions_answer(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer, faults: Faults
    ) -> None:
        """With 429 instead, no instance was free. With a lost answer, the function ran, and is called again."""
        faults.add("task.deliver", Kind.STATUS, status=429, headers={"Retry-After": "100"})
        faults.add("task.deliver", Kind.LOSE_ANSWER, skip=1)
        tasks.queue.targets = [function.url]
        create(client, "a")
        tasks.queue.wait_until_empty()
        assert [request.status for request in tasks.requests.of("task.deliver")] == [429, 503, 200]
        assert function.headers("X-CloudTasks-TaskPreviousResponse") == ["429", "503"]

    def test_a_delivery_may_be_stopped_and_observed(
        self, client: CloudTasksClient, tasks: CloudTasks, function: AnsweringServer, faults: Faults
    ) -> None:
        seen = []
        faults.add("task.deliver", Kind.CALL, call=lambda request: seen.append(request.name))
        hold = faults.add("task.deliver", Kind.HOLD)
        tasks.queue.targets = [function.url]
        create(client, "a")
        hold.wait_until_reached()
        assert (seen, function.requests.all()) == (["a"], [])
        hold.release()
        tasks.queue.wait_until_empty()
        assert function.task_ids == ["a"]


class TestTheStack:
    def test_has_the_queue_that_its_settings_name(self, stack: Stack) -> None:
        env = stack.function_env()
        with grpc.insecure_channel(env["CLOUD_TASKS_EMULATOR_HOST"]) as channel:
            client = CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
            client.create_task(parent=env["TASKS_QUEUE"], task=a_task("a"))
            assert [task.name for task in stack.tasks.queue.tasks()] == [f"{QUEUE}/tasks/a"]

    def test_resets_the_queue(self, stack: Stack, function: AnsweringServer) -> None:
        queue = stack.tasks.queue
        queue.targets = [function.url]
        queue.max_concurrent_dispatches = 7
        queue.add(completed_task("a"))
        queue.wait_until_empty()
        queue.pause()
        queue.add(completed_task("b"))
        stack.reset()
        assert (queue.tasks(), queue.targets, queue.is_paused) == ([], [], False)
        assert queue.max_concurrent_dispatches == 2
        assert queue.add(completed_task("a"))
        assert stack.tasks.requests.all() == []
