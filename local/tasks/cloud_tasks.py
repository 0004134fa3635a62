"""A stand-in of Cloud Tasks: the parts of `google.cloud.tasks.v2` that a fan-out needs, over plaintext gRPC.

CreateTask, ListTasks, GetQueue, PauseQueue, ResumeQueue, PurgeQueue and TestIamPermissions; everything else answers
UNIMPLEMENTED. `local.tasks.queue` delivers the tasks; `local.tasks.rules` has the reasons for refusals.
"""

import threading
import uuid
from datetime import UTC, datetime, timedelta

import grpc
from google.cloud.tasks_v2 import types
from google.cloud.tasks_v2.types import Task
from google.iam.v1.iam_policy_pb2 import TestIamPermissionsRequest, TestIamPermissionsResponse

from local.faults import Faults
from local.grpc_service import GrpcService, Method, abort, inject_before, lose_answer
from local.request_log import Request, RequestLog
from local.tasks.queue import Queue
from local.tasks.rules import DEFAULT_DEADLINE, Refused, check_queue_name, check_task, task_id

INVOKER = "analytics-export-invoke@local.iam.gserviceaccount.com"
LARGEST_PAGE = 1000
_WORKERS = 128  # more than a client's concurrent calls, so that a delayed call delays no other
_NO_QUEUE = "Queue does not exist. If you just created the queue, wait at least a minute for the queue to initialize."

_QueueRequest = types.GetQueueRequest | types.PauseQueueRequest | types.ResumeQueueRequest | types.PurgeQueueRequest


class CloudTasks(GrpcService):
    """The server. One queue exists from the start: `queue`."""

    def __init__(self, queue: str, *, faults: Faults, port: int = 0) -> None:
        """`queue` is `projects/P/locations/L/queues/Q`."""
        self._faults = faults
        self._lock = threading.Lock()
        self._queues: dict[str, Queue] = {}
        self.requests = RequestLog()
        self._is_started = False
        self.denied: set[str] = set()
        """Permissions that the caller has on no queue, according to TestIamPermissions."""
        self.queue = self.add_queue(queue)
        methods: dict[str, Method] = {
            "CreateTask": (self._create_task, types.CreateTaskRequest, Task),
            "ListTasks": (self._list_tasks, types.ListTasksRequest, types.ListTasksResponse),
            "GetQueue": (self._get_queue, types.GetQueueRequest, types.Queue),
            "PauseQueue": (self._pause_queue, types.PauseQueueRequest, types.Queue),
            "ResumeQueue": (self._resume_queue, types.ResumeQueueRequest, types.Queue),
            "PurgeQueue": (self._purge_queue, types.PurgeQueueRequest, types.Queue),
            "TestIamPermissions": (self._permissions, TestIamPermissionsRequest, TestIamPermissionsResponse),
        }
        super().__init__("google.cloud.tasks.v2.CloudTasks", methods, workers=_WORKERS, port=port)

    def start(self) -> None:
        """Start to answer requests and to deliver tasks."""
        super().start()
        with self._lock:
            self._is_started = True
            queues = list(self._queues.values())
        for queue in queues:
            queue.start()

    def stop(self) -> None:
        """Break every call, those of clients and those to the function."""
        super().stop()
        with self._lock:
            self._is_started = False
            queues = list(self._queues.values())
        for queue in queues:
            queue.stop()

    def reset(self) -> None:
        """Restore the state after the start."""
        for name in [name for name in self._queues if name != self.queue.name]:
            self.remove_queue(name)
        with self._lock:
            self._queues[self.queue.name] = self.queue
        self.queue.reset()
        self.denied.clear()
        self.requests.clear()

    def add_queue(self, name: str) -> Queue:
        """Create another queue."""
        queue = Queue(name, faults=self._faults, log=self.requests)
        with self._lock:
            self._queues[name] = queue
            is_started = self._is_started
        if is_started:
            queue.start()
        return queue

    def remove_queue(self, name: str) -> None:
        """Remove the queue: requests for it are answered NOT_FOUND. `reset` restores the initial queue."""
        with self._lock:
            queue = self._queues.pop(name)
        if queue is not self.queue:
            queue.stop()

    def _create_task(self, request: types.CreateTaskRequest, context: grpc.ServicerContext) -> Task:
        is_lost = self._begin("CreateTask", "task.create", request.task.name or request.parent, context)
        queue = self._queue_named(request.parent, context)
        try:
            requested_id = task_id(request)
            check_task(request.task, now=datetime.now(UTC))
        except Refused as refused:
            abort(context, refused.code, refused.text)
        task = _completed(request.task, f"{queue.name}/tasks/{requested_id or uuid.uuid4().int}")
        if not queue.add(task):
            exists = requested_id is not None and queue.has_task(requested_id)
            abort(context, grpc.StatusCode.ALREADY_EXISTS, _EXISTS if exists else _EXISTED_RECENTLY)
        if is_lost:
            lose_answer(context)
        return _shown(task, request.response_view)

    def _list_tasks(self, request: types.ListTasksRequest, context: grpc.ServicerContext) -> types.ListTasksResponse:
        self._begin("ListTasks", "task.list", request.parent, context)
        queue = self._queue_named(request.parent, context)
        if not 0 <= request.page_size <= LARGEST_PAGE:
            abort(context, grpc.StatusCode.INVALID_ARGUMENT, f"page_size must be in [0, {LARGEST_PAGE}].")
        rest = [task for task in queue.tasks() if task.name > request.page_token]
        page = rest[: request.page_size or LARGEST_PAGE]
        return types.ListTasksResponse(
            tasks=[_shown(task, request.response_view) for task in page],
            next_page_token=page[-1].name if len(page) < len(rest) else "",
        )

    def _get_queue(self, request: types.GetQueueRequest, context: grpc.ServicerContext) -> types.Queue:
        return _described(self._queue_of(request, "GetQueue", "queue.get", context))

    def _pause_queue(self, request: types.PauseQueueRequest, context: grpc.ServicerContext) -> types.Queue:
        queue = self._queue_of(request, "PauseQueue", "queue.pause", context)
        queue.pause()
        return _described(queue)

    def _resume_queue(self, request: types.ResumeQueueRequest, context: grpc.ServicerContext) -> types.Queue:
        queue = self._queue_of(request, "ResumeQueue", "queue.resume", context)
        queue.resume()
        return _described(queue)

    def _purge_queue(self, request: types.PurgeQueueRequest, context: grpc.ServicerContext) -> types.Queue:
        queue = self._queue_of(request, "PurgeQueue", "queue.purge", context)
        queue.purge()
        return _described(queue)

    def _permissions(
        self, request: TestIamPermissionsRequest, context: grpc.ServicerContext
    ) -> TestIamPermissionsResponse:
        """Return which of the permissions the caller has; none on a missing queue, as Google documents it."""
        self._begin("TestIamPermissions", "queue.permissions", request.resource, context)
        with self._lock:
            exists = request.resource in self._queues
        granted = [each for each in request.permissions if each not in self.denied] if exists else []
        return TestIamPermissionsResponse(permissions=granted)

    def _queue_of(self, request: _QueueRequest, path: str, operation: str, context: grpc.ServicerContext) -> Queue:
        self._begin(path, operation, request.name, context)
        return self._queue_named(request.name, context)

    def _begin(self, path: str, operation: str, name: str, context: grpc.ServicerContext) -> bool:
        """Log the request and apply its faults. Return whether the answer shall be lost."""
        request = Request(method="RPC", path=path, operation=operation, name=name)
        self.requests.add(request)
        return inject_before(self._faults, request, context)

    def _queue_named(self, name: str, context: grpc.ServicerContext) -> Queue:
        try:
            check_queue_name(name)
        except Refused as refused:
            abort(context, refused.code, refused.text)
        with self._lock:
            queue = self._queues.get(name)
        if queue is None:
            abort(context, grpc.StatusCode.NOT_FOUND, _NO_QUEUE)
        return queue


_EXISTS = "Requested entity already exists"
_EXISTED_RECENTLY = "The task cannot be created because a task with this name existed too recently."


def _completed(requested: Task, name: str) -> Task:
    """Return the task as the queue keeps it."""
    now = datetime.now(UTC)
    task = Task(name=name, http_request=requested.http_request, create_time=now.replace(microsecond=0))
    task.http_request.http_method = types.HttpMethod(types.HttpMethod.POST)
    task.http_request.headers["User-Agent"] = "Google-Cloud-Tasks"
    task.dispatch_deadline = requested.dispatch_deadline if "dispatch_deadline" in requested else DEFAULT_DEADLINE
    task.schedule_time = max(now, requested.schedule_time) if "schedule_time" in requested else now
    return task


def _shown(task: Task, view: Task.View) -> Task:
    """Return the task as an answer shows it: without its body, unless the view is FULL."""
    is_full = view == Task.View.FULL
    shown = Task(task)
    shown.view = Task.View(Task.View.FULL if is_full else Task.View.BASIC)
    if not is_full:
        shown.http_request.body = b""
    return shown


def _described(queue: Queue) -> types.Queue:
    state = types.Queue.State.PAUSED if queue.is_paused else types.Queue.State.RUNNING
    described = types.Queue(
        name=queue.name,
        state=state,
        rate_limits=types.RateLimits(
            max_dispatches_per_second=queue.pace.dispatches_per_second,
            max_concurrent_dispatches=queue.max_concurrent_dispatches,
        ),
        retry_config=types.RetryConfig(
            max_attempts=queue.retry.max_attempts,
            min_backoff=timedelta(seconds=queue.retry.min_backoff_s),
            max_backoff=timedelta(seconds=queue.retry.max_backoff_s),
            max_doublings=queue.retry.max_doublings,
        ),
    )
    if queue.purged_at is not None:
        described.purge_time = datetime.fromtimestamp(queue.purged_at, UTC)
    if queue.targets:
        described.http_target = _target(queue.targets[0])
    return described


def _target(url: str) -> types.HttpTarget:
    """Return the target in the form that Terraform sets; but here the host has a port and speaks plain HTTP."""
    host, _, port = url.removeprefix("http://").partition(":")
    return types.HttpTarget(
        uri_override=types.UriOverride(
            scheme=types.UriOverride.Scheme.HTTP,
            host=host,
            port=int(port or 80),
            uri_override_enforce_mode=types.UriOverride.UriOverrideEnforceMode.ALWAYS,
        ),
        oidc_token=types.OidcToken(service_account_email=INVOKER, audience=url),
    )
