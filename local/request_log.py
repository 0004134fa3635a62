"""What a stand-in was asked, for tests that count requests or search them for a secret.

Headers and queries hold keys, tokens and signatures: they are kept, and never printed.
"""

import threading
import time
from dataclasses import dataclass, field
from urllib.parse import unquote_plus


class Headers(dict[str, str]):
    """Headers by lower-case name; the values of a repeated one are joined by commas. Printed, it shows names alone."""

    def value(self, name: str, default: str = "") -> str:
        """The value of a header, however its name is written."""
        return self.get(name.lower(), default)

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


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
    sent_bytes: int = 0
    """Of the answer's body."""
    at: float = field(default_factory=time.monotonic, repr=False)
    """When it came, by time.monotonic()."""
    is_new_connection: bool = False
    """False when the connection had carried a request before."""
    range: str = ""
    """The Range or Content-Range header."""
    query: str = field(default="", repr=False)
    """As sent."""
    headers: Headers = field(default_factory=Headers)
    """Empty where it came by gRPC."""

    def places_of(self, text: str) -> list[str]:
        """Where the request holds this text: names of headers, "path", "query". The body is not searched."""
        places = {**self.headers, "path": self.path, "query": unquote_plus(self.query)}
        return sorted(name for name, value in places.items() if text in value)


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
