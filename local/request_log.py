"""What a stand-in was asked, for tests that count requests.

Queries are never kept: they hold keys and signatures.
"""

import threading
from dataclasses import dataclass


@dataclass(kw_only=True)
class Request:
    """One request.

    It is entered when its head has been read, and filled in before the client can see the answer.
    """

    method: str
    path: str
    """As sent, without the query."""
    operation: str = "unknown"
    """What it meant: link.get, upload.put, ... (the places of `local.faults`)."""
    name: str = ""
    """The object's, period's, secret's or task's name, decoded."""
    status: int = 0
    """0 while (or when) nothing was answered."""
    received_bytes: int = 0
    sent_bytes: int = 0
    """Body bytes, both."""
    is_new_connection: bool = False
    """False when the connection had carried a request before."""
    range: str = ""
    """The Range or Content-Range header."""


class RequestLog:
    """The requests of one server, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[Request] = []

    def add(self, request: Request) -> None:
        """Enter a request."""
        with self._lock:
            self._requests.append(request)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._requests = []

    def all(self) -> list[Request]:
        """A copy of the list."""
        with self._lock:
            return list(self._requests)

    def of(self, *operations: str) -> list[Request]:
        """The requests that meant one of these operations."""
        return [request for request in self.all() if request.operation in operations]

    def count(self, *operations: str) -> int:
        """How many there were of these operations; of all, when none is named."""
        return len(self.of(*operations) if operations else self.all())
