"""What a handler returns: an answer, or a broken connection. Only `local.http.exchange` sends it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import BinaryIO

HeaderList = list[tuple[str, str]]


@dataclass(frozen=True)
class FileRange:
    """`size` bytes of an open file; the kernel sends them without a copy through Python."""

    file: BinaryIO
    offset: int
    size: int


Block = bytes | memoryview | FileRange
"""A piece of a body, or a whole body."""


@dataclass(frozen=True)
class Stream:
    """A body that is produced while it is sent."""

    blocks: Iterator[bytes | memoryview]
    size: int | None = None
    """Of all blocks; None: unknown, so the body is sent in chunks."""
    file: BinaryIO | None = None
    """The file that the blocks are read from."""


@dataclass(frozen=True)
class Response:
    """An answer. A file in its body is closed after sending, also if that fails."""

    status: int
    headers: HeaderList = field(default_factory=list)
    body: bytes | FileRange | Stream = b""

    @property
    def has_body(self) -> bool:
        """Whether an answer of this status may have one."""
        return self.status >= HTTPStatus.OK and self.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}

    def close(self) -> None:
        """Close the file in its body."""
        if not isinstance(self.body, bytes) and self.body.file is not None:
            self.body.file.close()


@dataclass(frozen=True)
class BreakOff:
    """No answer: the connection is closed, with or without a TCP reset."""

    is_reset: bool = True


Outcome = Response | BreakOff


class Refused(Exception):
    """The request breaks a rule; the stand-in answers this status and text in its own error form."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def json_response(value: object, status: int = HTTPStatus.OK, headers: HeaderList | None = None) -> Response:
    """Make a JSON answer."""
    content_type = ("Content-Type", "application/json; charset=UTF-8")
    return Response(status, [content_type, *(headers or [])], json.dumps(value).encode())
