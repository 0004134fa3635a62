"""The head of an HTTP request: its first line and its headers.

The standard library's reader, made for mail, takes most of the time of a small request; a period may have thousands.
"""

from dataclasses import dataclass
from io import BufferedIOBase
from urllib.parse import parse_qsl

from local.request_log import Headers

LINE_BYTES = 1 << 16
HEADER_LINES = 200


class BadRequestError(ValueError):
    """What came is not the head of an HTTP/1.x request; the text says why."""


@dataclass(frozen=True)
class RequestHead:
    """A request, apart from its body."""

    method: str
    path: str
    """As sent, without the query."""
    raw_query: str
    """As sent."""
    query: dict[str, str]
    """Decoded; of a repeated parameter, the last one."""
    query_pairs: list[tuple[str, str]]
    """The same with every value of a repeated parameter."""
    headers: Headers
    is_last: bool
    """Whether the client wants the connection closed after the answer."""


def read_head(stream: BufferedIOBase) -> RequestHead | None:
    """Read one; None at the end of the stream. Raises BadRequestError."""
    line = _line(stream)
    if not line:
        return None
    try:
        method, target, version = line.split(" ")
    except ValueError:
        raise BadRequestError("expected METHOD TARGET VERSION") from None
    if not version.startswith("HTTP/1."):
        raise BadRequestError("expected HTTP/1.x")
    headers = _headers(stream)
    path, _, query = target.partition("?")
    is_last = version == "HTTP/1.0" or headers.value("Connection").lower() == "close"
    pairs = parse_qsl(query, keep_blank_values=True)
    return RequestHead(method, path, query, dict(pairs), pairs, headers, is_last)


def _headers(stream: BufferedIOBase) -> Headers:
    headers = Headers()
    for _ in range(HEADER_LINES):
        line = _line(stream)
        if not line:
            return headers
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise BadRequestError("expected NAME: VALUE")
        key, value = name.lower(), value.strip()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    raise BadRequestError("too many headers")


def _line(stream: BufferedIOBase) -> str:
    line = stream.readline(LINE_BYTES)
    if len(line) == LINE_BYTES:
        raise BadRequestError("a line is too long")
    return line.decode("latin-1").rstrip("\r\n")
