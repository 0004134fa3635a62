"""What a handler gives back: an answer, or a broken connection. Only `local.http.exchange` sends it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import BinaryIO

HeaderList = list[tuple[str, str]]


@dataclass(frozen=True)
class FileRange:
    """`size` bytes of an open file, which the kernel sends without passing them through Python."""

    file: BinaryIO
    offset: int
    size: int


Block = bytes | memoryview | FileRange
"""A piece of a body, or all of it."""


@dataclass(frozen=True)
class Stream:
    """A body that is made while it is sent."""

    blocks: Iterator[bytes | memoryview]
    size: int | None = None
    """Of all blocks; None: not known, so that it is sent in chunks."""
    file: BinaryIO | None = None
    """What it is made from."""


@dataclass(frozen=True)
class Response:
    """An answer. A file in its body is closed once it is sent, or cannot be sent any more."""

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
    """No answer: the connection is closed, by a TCP reset or in good order."""

    is_reset: bool = True


Outcome = Response | BreakOff


class Refused(Exception):
    """A request breaks a rule. What a check of a rule raises; the stand-in answers it in its own error form."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def json_response(value: object, status: int = HTTPStatus.OK, headers: HeaderList | None = None) -> Response:
    """An answer of JSON."""
    content_type = ("Content-Type", "application/json; charset=UTF-8")
    return Response(status, [content_type, *(headers or [])], json.dumps(value).encode())
