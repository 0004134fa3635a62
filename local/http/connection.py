"""One client's connection: heads parsed by h11, bodies as plain bytes, and the ways to end it.

h11 takes 19 us for the head of a request by Google's client, a parser written by hand took 8; the client itself takes
over 500. Bodies bypass h11: it copies each block, which takes 5 us for a chunk of 16 KiB, and it refuses to send what
some faults require: a body that does not match its Content-Length, a head that ends in the middle, a header with odd
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
"""How much of a head is read at once."""
FLUSH_S = 2.0
"""How long a reset waits until the earlier bytes have been sent, since it would discard them."""
DRAIN_S = 10.0
"""The longest wait for more of a body that no handler reads; without reading it, the client may miss the answer."""


class BadRequestError(ValueError):
    """The received bytes are not the head of an HTTP/1.x request."""


class Connection:
    """Reads and writes bytes. Every read or write may raise ConnectionError or TimeoutError: the client is gone."""

    def __init__(self, client: socket.socket) -> None:
        self._socket = client
        self._buffered = b""
        """Bytes that were received with a head, but follow it."""
        self._parser = h11.Connection(h11.SERVER)
        self.is_last_request = False
        """Whether the connection ends after the answer."""

    def read_head(self) -> RequestHead | None:
        """Return the next request's head; None if the client has closed the connection. Raises BadRequestError."""
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES - PIECE_BYTES)
        if self._buffered:
            self._parser.receive_data(self._buffered)
        try:
            while (event := self._parser.next_event()) is h11.NEED_DATA:
                self._parser.receive_data(self._socket.recv(PIECE_BYTES))
        except h11.RemoteProtocolError as exc:
            raise BadRequestError("not the head of an HTTP/1.x request") from exc
        if not isinstance(event, h11.Request):
            return None
        self._buffered, _ = self._parser.trailing_data
        head = RequestHead.of(event)
        self.is_last_request = head.is_last
        return head

    def receive_into(self, view: memoryview) -> int:
        """Read some bytes of a body, at least one. Return their number."""
        count = min(len(view), len(self._buffered))
        if count:
            view[:count], self._buffered = self._buffered[:count], self._buffered[count:]
            return count
        count = self._socket.recv_into(view)
        if not count:
            raise ConnectionAbortedError("the client left in the middle of a body")
        return count

    def read_line(self) -> bytes:
        """Read a line of a chunked body; return it without its line end."""
        while b"\r\n" not in self._buffered:
            piece = self._socket.recv(PIECE_BYTES)
            if not piece or len(self._buffered) > HEAD_BYTES:
                raise ConnectionAbortedError("the client left in the middle of a body")
            self._buffered += piece
        line, _, self._buffered = self._buffered.partition(b"\r\n")
        return line

    def send(self, data: bytes) -> None:
        """Send all bytes."""
        self._socket.sendall(data)

    def send_some(self, body: Block, start: int, count: int) -> int:
        """Send up to `count` bytes of a body from `start` on. Return how many were sent."""
        if not isinstance(body, FileRange):
            return self._socket.send(memoryview(body)[start : start + count])
        sent = os.sendfile(self._socket.fileno(), body.file.fileno(), body.offset + start, count)
        if not sent:
            raise ConnectionAbortedError("the file is shorter than the announced body")
        return sent

    @contextlib.contextmanager
    def drain_timeout(self) -> Iterator[None]:
        """Wait at most `DRAIN_S` for each piece."""
        self._socket.settimeout(DRAIN_S)
        yield
        self._socket.settimeout(None)

    def break_off(self, *, is_reset: bool) -> NoReturn:
        """Close the connection once the bytes so far have been sent. Raises ConnectionAbortedError."""
        self._flush()
        if is_reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.close(self._socket.detach())
        raise ConnectionAbortedError("broken off")

    def linger(self) -> None:
        """Close the sending side, and read until the client closes its side.

        Closing with unread bytes would reset the connection, and the answer could be lost.
        """
        self.is_last_request = True
        with contextlib.suppress(OSError):
            self._socket.settimeout(DRAIN_S)
            self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv(1 << 16):
                pass

    def _flush(self) -> None:
        """Wait until the client has acknowledged what was sent: a reset discards the rest."""
        deadline = time.monotonic() + FLUSH_S
        while time.monotonic() < deadline:
            (waiting,) = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
            if waiting == 0:
                return
            time.sleep(0.001)
