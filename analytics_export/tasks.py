"""Creates tasks in Cloud Tasks, each a later call of this function; thousands in a few seconds.

Each task takes one request. (The batch call of Cloud Tasks is a long-running operation, and reading its result takes
a further permission.) So `THREADS` threads each create one task after the other. At 30 ms a request, 3,652 tasks take
4.6 s on two cores.

The queue sets host and token of every task (Terraform: `http_target`). So the URL here is a placeholder, and the
function needs to know neither its own address nor a service account.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from google.api_core import exceptions, retry
from google.auth.exceptions import GoogleAuthError
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from analytics_export.credentials import no_credentials
from analytics_export.errors import DeadlineReached, ExportError, Misconfigured, UpstreamUnavailable
from analytics_export.retries import Deadline

PLACEHOLDER_URL = "https://queue.invalid/"
"""Cloud Tasks requires a URL; the queue's target replaces its host. `.invalid` never exists (RFC 2606)."""
DISPATCH_DEADLINE = timedelta(seconds=1800)
"""How long Cloud Tasks waits for an answer; a run ends before."""

CREATE_TASKS = "cloudtasks.tasks.create"
THREADS = 32
CALL_TIMEOUT_S = 10.0
BUDGET_S = 20.0
"""All tries of one creation together, in seconds: an outage lasts longer than a wait is worth."""


@dataclass(frozen=True)
class NewTask:
    """A later call of this function."""

    label: str
    """A name such as `granular-daily-2022-04-01`: letters, digits, - and _; unique in its fan-out."""
    body: Mapping[str, object]
    """The JSON object to post."""


@dataclass(frozen=True)
class FanOut:
    """The result of a fan-out. `error` is what stopped it; None when every task is queued."""

    queued: frozenset[str]
    """Labels of the tasks that were queued, now or by an earlier fan-out with the same `run_id`."""
    error: ExportError | None


def task_id(run_id: str, label: str) -> str:
    """Return the last part of a task's name: a hash of both, then the label.

    With a name, a creation whose answer was lost can be tried again without a second task (ALREADY_EXISTS means that
    the first try succeeded), and listings and log lines show the period. A name cannot be used again for up to 24 hours
    after its task has ended or was purged. Named by the period alone, the tasks of a second backfill on the same day
    would be dropped silently; so the fan-out's `run_id` is part of the name. The hash comes first because names with
    equal beginnings slow Cloud Tasks down.
    Source: google-cloud-tasks, `CreateTaskRequest.task`, "Task De-duplication".
    """
    digest = hashlib.sha256(f"{run_id}|{label}".encode()).hexdigest()
    return f"{digest[:16]}-{label}"


class TaskQueue:
    """The queue that TASKS_QUEUE names. The first use opens its client."""

    def __init__(self, queue: str, *, emulator: str | None) -> None:
        """`queue` is `projects/P/locations/L/queues/Q`; `emulator` is `host:port` of a plaintext gRPC stand-in."""
        self._queue = queue
        self._emulator = emulator
        self._client: tasks_v2.CloudTasksClient | None = None
        self._opening = threading.Lock()

    def queue_tasks(
        self,
        tasks: Iterable[NewTask],
        *,
        run_id: str,
        deadline: Deadline,
        on_queued: Callable[[str], object] = lambda _: None,
    ) -> FanOut:
        """Create the tasks and return which are queued; `on_queued` is called with each label, from any thread.

        The first failure stops it: Misconfigured when the queue or a permission is missing, UpstreamUnavailable when
        Cloud Tasks does not accept a task within `BUDGET_S`, or DeadlineReached. It is returned and not raised, because
        tasks that are queued by then stay queued. After the deadline it ends within `BUDGET_S` + `CALL_TIMEOUT_S`,
        which is less than the grace.

        `run_id` names this fan-out. With a new one, every task is created again, which is harmless: a task for a
        complete period has nothing to do. With the same one, tasks that exist already count as queued.
        """
        creations = _Creations(iter(tasks), deadline, on_queued)
        try:
            client = self._opened()
        except GoogleAuthError as exc:
            return FanOut(frozenset(), no_credentials(exc))

        def create(task: NewTask) -> None:
            self._create(client, task, run_id)

        with ThreadPoolExecutor(THREADS, thread_name_prefix="queue-task") as pool:
            workers = [pool.submit(creations.work, create) for _ in range(THREADS)]
        for worker in workers:
            worker.result()  # raises a defect
        return creations.outcome()

    def check_access(self, *, timeout_s: float) -> None:
        """Check that tasks can be created, without creating any.

        Raises Misconfigured or UpstreamUnavailable. Where IAM is not implemented, as in an emulator, the queue is read
        instead. Source: IAM, "testIamPermissions": it needs no permission, and returns none for a missing queue.
        """
        try:
            client = self._opened()
            try:
                answer = client.test_iam_permissions(
                    {"resource": self._queue, "permissions": [CREATE_TASKS]}, timeout=timeout_s, retry=None
                )
            except exceptions.MethodNotImplemented:
                client.get_queue(name=self._queue, timeout=timeout_s, retry=None)
                return
        except (exceptions.GoogleAPIError, GoogleAuthError) as exc:
            raise self._error_for(exc) from exc
        if CREATE_TASKS not in answer.permissions:
            raise self._no_access()

    def _opened(self) -> tasks_v2.CloudTasksClient:
        with self._opening:
            if self._client is None:
                self._client = _client(self._emulator)
            return self._client

    def _create(self, client: tasks_v2.CloudTasksClient, task: NewTask, run_id: str) -> None:
        """Create one task; raises an ExportError."""
        try:
            client.create_task(
                parent=self._queue,
                task=_message(f"{self._queue}/tasks/{task_id(run_id, task.label)}", task.body),
                timeout=CALL_TIMEOUT_S,
                retry=retry.Retry(
                    predicate=retry.if_exception_type(
                        exceptions.ServiceUnavailable,
                        exceptions.DeadlineExceeded,
                        exceptions.InternalServerError,
                        exceptions.TooManyRequests,
                    ),
                    initial=0.2,
                    maximum=4.0,
                    timeout=BUDGET_S,
                ),
            )
        except exceptions.AlreadyExists:
            return
        except (exceptions.GoogleAPIError, GoogleAuthError) as exc:
            raise self._error_for(exc) from exc

    def _error_for(self, exc: Exception) -> ExportError:
        place = self._place()
        match exc:
            case GoogleAuthError():
                return no_credentials(exc)
            case exceptions.NotFound():
                return Misconfigured(
                    f"TASKS_QUEUE: {self._queue} does not exist. Let Terraform make it (queue.enabled), with its "
                    f"target. A new one takes a minute to be known: gcloud tasks queues describe {place}"
                )
            case exceptions.PermissionDenied() | exceptions.Unauthenticated():
                return self._no_access()
            case exceptions.InvalidArgument() | exceptions.FailedPrecondition():
                return Misconfigured(
                    f"TASKS_QUEUE: {self._queue} did not accept a task ({type(exc).__name__}). It has to be a queue as "
                    f"Terraform makes it: gcloud tasks queues describe {place}"
                )
        last = exc.cause if isinstance(exc, exceptions.RetryError) else exc
        return UpstreamUnavailable(
            f"Cloud Tasks did not take a task within {BUDGET_S:.0f} s ({type(last).__name__}). Call again later."
        )

    def _no_access(self) -> Misconfigured:
        return Misconfigured(
            f"TASKS_QUEUE: the function's service account may not create tasks in {self._queue}, the queue does not "
            "exist, or the API cloudtasks.googleapis.com is off. Grant roles/cloudtasks.enqueuer on the queue: "
            f"gcloud tasks queues add-iam-policy-binding {self._place()} --role roles/cloudtasks.enqueuer --member ..."
        )

    def _place(self) -> str:
        _, project, _, location, _, name = self._queue.split("/")
        return f"{name} --location {location} --project {project}"


class _Creations:
    """Shared by the threads of one fan-out."""

    def __init__(self, tasks: Iterator[NewTask], deadline: Deadline, on_queued: Callable[[str], object]) -> None:
        self._tasks = tasks
        self._deadline = deadline
        self._on_queued = on_queued
        self._lock = threading.Lock()
        self._queued: set[str] = set()
        self._error: ExportError | None = None

    def work(self, create: Callable[[NewTask], None]) -> None:
        """Create one task after the other until none is left, or until one has failed in any thread."""
        while (task := self._next()) is not None:
            try:
                create(task)
            except ExportError as error:
                self._fail(error)
            else:
                with self._lock:
                    self._queued.add(task.label)
                self._on_queued(task.label)

    def outcome(self) -> FanOut:
        """Return the result, once every thread has ended."""
        return FanOut(frozenset(self._queued), self._error)

    def _next(self) -> NewTask | None:
        with self._lock:
            if self._error is not None:
                return None
            task = next(self._tasks, None)
        if task is not None and self._deadline.is_over:
            self._fail(DeadlineReached("The run's time is over before every task was queued. Call again."))
            return None
        return task

    def _fail(self, error: ExportError) -> None:
        with self._lock:
            self._error = self._error or error


def _message(name: str, body: Mapping[str, object]) -> tasks_v2.Task:
    return tasks_v2.Task(
        name=name,
        http_request=tasks_v2.HttpRequest(
            url=PLACEHOLDER_URL,
            http_method=tasks_v2.HttpMethod.POST,
            headers={"Content-Type": "application/json"},
            body=json.dumps(body).encode(),
        ),
        dispatch_deadline=DISPATCH_DEADLINE,
    )


def _client(emulator: str | None) -> tasks_v2.CloudTasksClient:
    if emulator is None:
        return tasks_v2.CloudTasksClient()
    import grpc  # noqa: PLC0415 - only a stand-in speaks plaintext

    return tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=grpc.insecure_channel(emulator)))
