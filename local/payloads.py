"""Bodies that can be sent in pieces, so that a fault can act between two bytes."""

import os
import socket
from dataclasses import dataclass
from typing import BinaryIO, Protocol


class Payload(Protocol):
    """A body of known length."""

    def send(self, connection: socket.socket, start: int, count: int) -> int:
        """Send up to `count` bytes from `start`; gives back how many went out."""

    def byte(self, position: int) -> int:
        """One byte of it."""


@dataclass(frozen=True)
class BytesPayload:
    """A body in memory."""

    data: bytes

    def send(self, connection: socket.socket, start: int, count: int) -> int:
        """Send a piece."""
        return connection.send(memoryview(self.data)[start : start + count])

    def byte(self, position: int) -> int:
        """One byte of it."""
        return self.data[position]


@dataclass(frozen=True)
class FilePayload:
    """A part of an open file, sent by the kernel without passing through Python."""

    file: BinaryIO
    offset: int

    def send(self, connection: socket.socket, start: int, count: int) -> int:
        """Send a piece. ConnectionError when the file is shorter than its owner thought."""
        sent = os.sendfile(connection.fileno(), self.file.fileno(), self.offset + start, count)
        if sent == 0:
            raise ConnectionError("the file ended early")
        return sent

    def byte(self, position: int) -> int:
        """One byte of it."""
        return os.pread(self.file.fileno(), 1, self.offset + position)[0]
