"""[pure] Which tasks Cloud Tasks accepts and which it refuses, and when it retries.

Source of the limits: the docstrings of google-cloud-tasks 2.26 (`CreateTaskRequest`, `Task`, `HttpRequest`,
`RetryConfig`). The texts of refusals are the service's own where those are known, and otherwise ours.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import grpc
from google.cloud.tasks_v2.types import CreateTaskRequest, HttpMethod, Task

QUEUE_NAME = re.compile(r"projects/[A-Za-z0-9.:-]+/locations/[a-z0-9-]+/queues/[A-Za-z0-9-]{1,100}")
TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,500}")
LARGEST_TASK_BYTES = 100 * 1024
LONGEST_URL = 2083
SHORTEST_DEADLINE, DEFAULT_DEADLINE, LONGEST_DEADLINE = (
    timedelta(seconds=15),
    timedelta(minutes=10),
    timedelta(minutes=30),
)
LATEST_SCHEDULE = timedelta(days=30)

_SET_BY_CLOUD_TASKS = re.compile(
    r"(host|content-length|user-agent|authorization|x-(google|appengine|cloudtasks)-.*)", re.IGNORECASE
)


class Refused(Exception):
    """The request breaks a rule, or requires something that this stand-in does not support."""

    def __init__(self, text: str, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True)
class RetryRules:
    """A queue's `retry_config`; its seconds are scaled by the queue's `wait_scale`."""

    max_attempts: int = 8
    """-1: unlimited. There is no `max_retry_duration` here: only the attempts count, as with 0 s."""
    min_backoff_s: float = 60
    max_backoff_s: float = 3600
    max_doublings: int = 4

    def backoff_s(self, failures: int) -> float:
        """Seconds to wait after this many failures: doubled `max_doublings` times, then linear, up to the maximum.

        Source: `RetryConfig.max_doublings`: 10 s, 300 s and 3 give 10, 20, 40, 80, 160, 240, 300, 300.
        """
        doubled = min(failures - 1, self.max_doublings)
        linear = 1 + max(0, failures - 1 - doubled)
        return min(self.min_backoff_s * 2.0**doubled * linear, self.max_backoff_s)

    def allow_another(self, attempts: int) -> bool:
        """Whether a task is retried after this many attempts."""
        return self.max_attempts < 0 or attempts < self.max_attempts


def check_queue_name(name: str) -> None:
    """Raise Refused unless it is `projects/P/locations/L/queues/Q`."""
    if not QUEUE_NAME.fullmatch(name):
        raise Refused(
            'Queue name must be formatted: "projects/<PROJECT_ID>/locations/<LOCATION_ID>/queues/<QUEUE_ID>".'
        )


def task_id(request: CreateTaskRequest) -> str | None:
    """Return the task's ID in the request; None if Cloud Tasks shall choose it.

    Raises Refused for a name of another form, or of another queue.
    """
    if not request.task.name:
        return None
    queue, separator, new_id = request.task.name.rpartition("/tasks/")
    if not separator or not QUEUE_NAME.fullmatch(queue):
        raise Refused(
            "Task name must be formatted: "
            '"projects/<PROJECT_ID>/locations/<LOCATION_ID>/queues/<QUEUE_ID>/tasks/<TASK_ID>"'
        )
    if queue != request.parent:
        raise Refused(
            f"The queue name from request ('{request.parent}') must be the same as the queue name in the named task "
            f"('{queue}')."
        )
    if not TASK_ID.fullmatch(new_id):
        raise Refused(
            f'Task ID "{new_id}" can contain only letters ([A-Za-z]), numbers ([0-9]), hyphens (-), or '
            "underscores (_). Task ID must between 1 and 500 characters."
        )
    return new_id


def check_task(task: Task, *, now: datetime) -> None:
    """Raise Refused for a task that Cloud Tasks would not accept, or that this stand-in cannot deliver."""
    if len(Task.serialize(task)) > LARGEST_TASK_BYTES:
        raise Refused(f"Task size too large: at most {LARGEST_TASK_BYTES} bytes.")
    if "app_engine_http_request" in task or "retry_config" in task:
        raise _unsupported("App Engine tasks and a task's own retry_config")
    if "http_request" not in task:
        raise Refused("A task must have a message type: http_request or app_engine_http_request.")
    _check_request(task)
    if "dispatch_deadline" in task and not SHORTEST_DEADLINE <= task.dispatch_deadline <= LONGEST_DEADLINE:
        raise Refused("Task.dispatch_deadline must be between [15s, 30m].")
    if "schedule_time" in task and task.schedule_time > now + LATEST_SCHEDULE:
        raise Refused("Task.schedule_time must be within 30 days.")


def _check_request(task: Task) -> None:
    request = task.http_request
    if not request.url:
        raise Refused("HttpRequest.url is required.")
    if not re.fullmatch(r"https?://[^/?#\s]+([/?#]\S*)?", request.url) or len(request.url) > LONGEST_URL:
        raise Refused("HttpRequest.url must be a valid URL that begins with http:// or https://.")
    if not request.url.startswith("https://"):
        raise Refused("HttpRequest.url must begin with https://: the queue adds a token to its requests.")
    if request.http_method not in {HttpMethod.HTTP_METHOD_UNSPECIFIED, HttpMethod.POST}:
        raise _unsupported("methods other than POST")
    if "oidc_token" in request or "oauth_token" in request:
        raise _unsupported("a task's own tokens (the queue's token replaces them)")


def sent_headers(task: Task) -> dict[str, str]:
    """Return the task's headers without those that Cloud Tasks ignores or replaces."""
    return {name: value for name, value in task.http_request.headers.items() if not _SET_BY_CLOUD_TASKS.fullmatch(name)}


def _unsupported(what: str) -> Refused:
    return Refused(f"The stand-in does not support {what}.", grpc.StatusCode.UNIMPLEMENTED)
