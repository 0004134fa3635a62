"""The requests that a stand-in received, for tests that count them or search them for a secret.

Headers and queries contain keys, tokens and signatures: they are logged here, but never printed.
"""

import threading
import time
from dataclasses import dataclass, field
from urllib.parse import unquote_plus


class Headers(dict[str, str]):
    """Headers by lower-case name; the values of a repeated header are joined by commas. `repr` shows only names."""

    def value(self, name: str, default: str = "") -> str:
        """The value of a header; the case of its name does not matter."""
        return self.get(name.lower(), default)

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


@dataclass(kw_only=True)
class Request:
    """One request.

    It is logged when its head has been read, and completed before the client can see the answer.
    """

    method: str
    path: str
    """As sent, without the query."""
    operation: str = "unknown"
    """Its meaning: link.get, upload.put, ... (the places of `local.faults`)."""
    name: str = ""
    """The object's, period's, secret's or task's name, decoded."""
    status: int = 0
    """0 while there is no answer."""
    sent_bytes: int = 0
    """Of the answer's body."""
    at: float = field(default_factory=time.monotonic, repr=False)
    """When it arrived, by time.monotonic()."""
    is_new_connection: bool = False
    """Whether it is the connection's first request."""
    range: str = ""
    """The Range or Content-Range header."""
    query: str = field(default="", repr=False)
    """As sent."""
    headers: Headers = field(default_factory=Headers)
    """Empty for a gRPC request."""

    def places_of(self, text: str) -> list[str]:
        """Where the request contains this text: names of headers, "path", "query". The body is not searched."""
        places = {**self.headers, "path": self.path, "query": unquote_plus(self.query)}
        return sorted(name for name, value in places.items() if text in value)


class RequestLog:
    """The requests of one server, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[Request] = []

    def add(self, request: Request) -> None:
        """Append a request."""
        with self._lock:
            self._requests.append(request)

    def clear(self) -> None:
        """Remove every request."""
        with self._lock:
            self._requests = []

    def all(self) -> list[Request]:
        """Return a copy of the list."""
        with self._lock:
            return list(self._requests)

    def of(self, *operations: str) -> list[Request]:
        """The requests of these operations."""
        return [request for request in self.all() if request.operation in operations]

    def count(self, *operations: str) -> int:
        """The number of requests of these operations; of all requests if none is named."""
        return len(self.of(*operations) if operations else self.all())
