"""One client's connection: heads by h11, bodies as they are, and the ways to end it.

h11 takes 19 us for the head of a request by Google's client, a reader written by hand took 8; the client itself takes
over 500. Bodies pass h11 by: it copies each block, which takes 5 us for a chunk of 16 KiB, and it refuses to write what
a fault wants: a body that is not as long as its Content-Length says, a head that ends in the middle, a header with odd
characters.
"""

import contextlib
import fcntl
import os
import socket
import struct
import termios
import time
from collections.abc import Iterator
from typing import NoReturn

import h11

from local.http.request_head import RequestHead
from local.http.response import Block, FileRange

HEAD_BYTES = 1 << 16
"""A longer head is refused."""
PIECE_BYTES = 1 << 14
"""Of a head, read at once."""
FLUSH_S = 2.0
"""A reset waits so long for the bytes before it to leave, since it would discard them."""
DRAIN_S = 10.0
"""A body that no handler reads is dropped for so long, so that the client gets to its answer."""


class BadRequestError(ValueError):
    """What came is not the head of an HTTP/1.x request."""


class Connection:
    """The bytes in and out. Whatever reads or writes may raise ConnectionError or TimeoutError: the client has gone."""

    def __init__(self, client: socket.socket) -> None:
        self._socket = client
        self._ahead = b""
        """What came with a head, beyond it."""
        self._parser = h11.Connection(h11.SERVER)
        self.is_last_request = False
        """Whether the connection ends after the answer."""

    def read_head(self) -> RequestHead | None:
        """The next request's head; None when the client has closed the connection. Raises BadRequestError."""
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES - PIECE_BYTES)
        if self._ahead:
            self._parser.receive_data(self._ahead)
        try:
            while (event := self._parser.next_event()) is h11.NEED_DATA:
                self._parser.receive_data(self._socket.recv(PIECE_BYTES))
        except h11.RemoteProtocolError as exc:
            raise BadRequestError("not the head of an HTTP/1.x request") from exc
        if not isinstance(event, h11.Request):
            return None
        self._ahead, _ = self._parser.trailing_data
        head = RequestHead.of(event)
        self.is_last_request = head.is_last
        return head

    def receive_into(self, view: memoryview) -> int:
        """Read some bytes of a body; never 0."""
        count = min(len(view), len(self._ahead))
        if count:
            view[:count], self._ahead = self._ahead[:count], self._ahead[count:]
            return count
        count = self._socket.recv_into(view)
        if not count:
            raise ConnectionAbortedError("the client left in the middle of a body")
        return count

    def read_line(self) -> bytes:
        """A line of a chunked body, without its end."""
        while b"\r\n" not in self._ahead:
            piece = self._socket.recv(PIECE_BYTES)
            if not piece or len(self._ahead) > HEAD_BYTES:
                raise ConnectionAbortedError("the client left in the middle of a body")
            self._ahead += piece
        line, _, self._ahead = self._ahead.partition(b"\r\n")
        return line

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._socket.sendall(data)

    def send_some(self, body: Block, start: int, count: int) -> int:
        """Send up to `count` bytes of a body from `start`; gives back how many went out."""
        if not isinstance(body, FileRange):
            return self._socket.send(memoryview(body)[start : start + count])
        sent = os.sendfile(self._socket.fileno(), body.file.fileno(), body.offset + start, count)
        if not sent:
            raise ConnectionAbortedError("the file is shorter than its owner thought")
        return sent

    @contextlib.contextmanager
    def for_a_while(self) -> Iterator[None]:
        """Wait for each piece `DRAIN_S` at most."""
        self._socket.settimeout(DRAIN_S)
        yield
        self._socket.settimeout(None)

    def break_off(self, *, is_reset: bool) -> NoReturn:
        """Close it at once, after what has been sent so far has left. Raises ConnectionAbortedError."""
        self._flush()
        if is_reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.close(self._socket.detach())
        raise ConnectionAbortedError("broken off")

    def linger(self) -> None:
        """End our side and read what still comes.

        Closing with unread bytes would destroy the answer on its way.
        """
        self.is_last_request = True
        with contextlib.suppress(OSError):
            self._socket.settimeout(DRAIN_S)
            self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv(1 << 16):
                pass

    def _flush(self) -> None:
        """Wait until the kernel has handed over what was sent: a reset throws the rest away."""
        deadline = time.monotonic() + FLUSH_S
        while time.monotonic() < deadline:
            (waiting,) = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
            if waiting == 0:
                return
            time.sleep(0.001)
