"""The head of an HTTP request: its first line and its headers, as parsed by h11."""

from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl

import h11

from local.request_log import Headers


@dataclass(frozen=True)
class RequestHead:
    """A request without its body."""

    method: str
    path: str
    """As sent, without the query."""
    raw_query: str
    """As sent."""
    headers: Headers
    is_last: bool
    """Whether the connection closes after the answer."""

    @classmethod
    def of(cls, request: h11.Request) -> "RequestHead":
        """Convert h11's request from bytes to text."""
        headers = Headers()
        for key, raw in request.headers:
            name, value = key.decode(), raw.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        path, _, query = request.target.decode().partition("?")
        is_last = request.http_version != b"1.1" or headers.value("Connection").lower() == "close"
        return cls(request.method.decode(), path, query, headers, is_last)

    @cached_property
    def query_pairs(self) -> list[tuple[str, str]]:
        """The decoded query, with every value of a repeated parameter."""
        return parse_qsl(self.raw_query, keep_blank_values=True)

    @cached_property
    def query(self) -> dict[str, str]:
        """The decoded query by name; a repeated parameter has its last value."""
        return dict(self.query_pairs)
