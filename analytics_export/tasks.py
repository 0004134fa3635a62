"""Hands calls of this function to Cloud Tasks: one task a call, thousands in a few seconds.

A creation is a round trip for one task. (Cloud Tasks has a batch call too; it is a long-running operation, whose
outcome has to be asked for with a further right.) So `THREADS` creations are under way at once, and each thread takes
the next task when it is done with one: nothing piles up. At 30 ms a creation, 3,652 tasks take 4.6 s on two cores.

The queue itself names its target, host and token, in place of whatever a task says (Terraform: `http_target`). So the
URL here is a placeholder that leads nowhere, and the function needs to know neither its own address nor an account.
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
"""Cloud Tasks requires a URL; the queue's target replaces its host, and `.invalid` (RFC 2606) exists nowhere."""
DISPATCH_DEADLINE = timedelta(seconds=1800)
"""The longest that Cloud Tasks waits for an answer; a run ends before."""

CREATE_TASKS = "cloudtasks.tasks.create"
THREADS = 32
CALL_TIMEOUT_S = 10.0
BUDGET_S = 20.0
"""Tries of one creation together, as for the API key: outages outlast any wait worth paying for."""


@dataclass(frozen=True)
class NewTask:
    """A call of this function to come."""

    label: str
    """What it is about, such as `granular-daily-2022-04-01`: letters, digits, - and _; once in a fan-out."""
    body: Mapping[str, object]
    """The JSON object to post."""


@dataclass(frozen=True)
class FanOut:
    """How far it came. `error` is what ended it; None when every task is queued."""

    queued: frozenset[str]
    """Labels of the tasks that are in the queue, or have been there by this `run_id`."""
    error: ExportError | None


def task_id(run_id: str, label: str) -> str:
    """Return the last part of a task's name: a hash of both, then the label.

    Tasks have names so that a creation whose answer got lost can be tried again without a second task (ALREADY_EXISTS
    means that the first try counted), and so that listings and log lines show the period. A name cannot be used again
    for up to 24 hours after its task has ended, purged tasks included: named by the period alone, a second backfill on
    the same day would be swallowed without a word. So the fan-out's `run_id` is part of it. The hash comes first
    because names with equal beginnings slow Cloud Tasks down. Names cost a look-up a creation; unnamed tasks would do
    too, as a second task for a period is harmless.
    Source: google-cloud-tasks, `CreateTaskRequest.task`, "Task De-duplication".
    """
    digest = hashlib.sha256(f"{run_id}|{label}".encode()).hexdigest()
    return f"{digest[:16]}-{label}"


class TaskQueue:
    """The queue that TASKS_QUEUE names. Its client is opened by the first fan-out and kept."""

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
        """Create a task for each, and say which are queued; `on_queued` learns each label at once, from any thread.

        The first definite failure ends it: Misconfigured when the queue or a right is missing, UpstreamUnavailable when
        Cloud Tasks does not take a task within `BUDGET_S`, DeadlineReached. It is returned and not raised, because what
        is queued by then stays queued, and the caller has to know. After the deadline it takes less than
        `BUDGET_S` + `CALL_TIMEOUT_S`, which is less than the grace.

        `run_id` names this fan-out. With another one every task is new: harmless, because a task for a period that is
        complete by then has nothing to do. With the same one, those that were queued before count as queued.
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
            worker.result()  # raises what is a defect
        return creations.outcome()

    def check_access(self, *, timeout_s: float) -> None:
        """Find out whether tasks could be created, without creating any.

        Raises Misconfigured or UpstreamUnavailable. A stand-in without IAM is asked whether it has the queue.
        Source: IAM, "testIamPermissions": it needs no permission, and grants none on what is not there.
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
        """Create one task; raises what it means when that fails."""
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
    """What the threads of one fan-out share."""

    def __init__(self, tasks: Iterator[NewTask], deadline: Deadline, on_queued: Callable[[str], object]) -> None:
        self._tasks = tasks
        self._deadline = deadline
        self._on_queued = on_queued
        self._lock = threading.Lock()
        self._queued: set[str] = set()
        self._error: ExportError | None = None

    def work(self, create: Callable[[NewTask], None]) -> None:
        """Take one task after the other until there is none, or until one has failed anywhere."""
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
        """Return how far it came, once every thread has ended."""
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
