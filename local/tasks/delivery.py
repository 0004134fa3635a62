"""One delivery of a task: a POST to the function with Cloud Tasks' headers, and the status that it results in."""

import contextlib
import http.client
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

TOKEN = "local-oidc-token"  # noqa: S105 - made up; the real one is a JWT of the queue's service account
TIMEOUT_STATUS = 504
NO_ANSWER_STATUS = 503
"""For a connection that is refused or breaks: Cloud Run answers this for an instance that dies."""


@dataclass(frozen=True)
class Reply:
    """The answer to a delivery; `retry_after_s` is from the Retry-After header, 0 without a valid one."""

    status: int
    retry_after_s: float = 0.0

    @property
    def is_success(self) -> bool:
        """Whether the task is done."""
        return 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110: Successful


@dataclass(frozen=True)
class Attempt:
    """One delivery of a task, and the results of those before it."""

    eta: float
    """When it was due, in seconds since 1970."""
    retries: int = 0
    executions: int = 0
    """The number of earlier answers from 100 to 499: server errors and timeouts do not count."""
    previous_status: int | None = None

    def failed(self, status: int, *, next_eta: float) -> "Attempt":
        """Return the attempt after this one failed."""
        executions = self.executions + (status < 500)  # noqa: PLR2004 - RFC 9110: Server Error
        return Attempt(next_eta, self.retries + 1, executions, status)


class Delivery:
    """A POST; `break_off` ends it from another thread."""

    def __init__(self, target: str, *, path: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> None:
        """`target` is `http://host:port`: the queue's override of the host in the task's URL."""
        self._path = path
        self._headers = headers
        self._body = body
        self._until = time.monotonic() + timeout_s
        address = urlsplit(target)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout_s)
        self._socket: socket.socket | None = None
        self._is_broken_off = False

    def run(self) -> Reply:
        """Send the request and receive the whole answer. Redirects are not followed; their status counts."""
        try:
            self._connect()
            self._connection.request("POST", self._path, self._body, dict(self._headers))
            response = self._connection.getresponse()
            while response.read1(1 << 16):
                self._check_time()
        except TimeoutError:
            return Reply(TIMEOUT_STATUS)
        except (OSError, http.client.HTTPException):
            return Reply(NO_ANSWER_STATUS)
        finally:
            self._connection.close()
        if response.length:  # the connection ended before the answer did
            return Reply(NO_ANSWER_STATUS)
        return Reply(response.status, _seconds(response.headers.get("Retry-After")))

    def break_off(self) -> None:
        """Break the connection, or prevent it if it is not open yet."""
        self._is_broken_off = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _connect(self) -> None:
        self._connection.connect()
        self._socket = self._connection.sock
        if self._is_broken_off:
            raise ConnectionAbortedError

    def _check_time(self) -> None:
        """Raise TimeoutError after the deadline, which is for the whole answer, not for each read."""
        if time.monotonic() > self._until:
            raise TimeoutError


def headers(own: Mapping[str, str], *, queue_id: str, task_id: str, attempt: Attempt) -> dict[str, str]:
    """Return the headers of a delivery, as the service is known to send them; `own` are the task's headers."""
    cloud_tasks = {
        "User-Agent": "Google-Cloud-Tasks",
        "Authorization": f"Bearer {TOKEN}",
        "X-CloudTasks-QueueName": queue_id,
        "X-CloudTasks-TaskName": task_id,
        "X-CloudTasks-TaskRetryCount": str(attempt.retries),
        "X-CloudTasks-TaskExecutionCount": str(attempt.executions),
        "X-CloudTasks-TaskETA": f"{attempt.eta:.6f}",
    }
    if attempt.previous_status is not None:
        cloud_tasks["X-CloudTasks-TaskPreviousResponse"] = str(attempt.previous_status)
        cloud_tasks["X-CloudTasks-TaskRetryReason"] = ""
    return {**own, **cloud_tasks}


def _seconds(header: str | None) -> float:
    return float(header) if header is not None and header.isdecimal() else 0.0
