"""Readers of a request's body: of known length, or in chunks."""

from local.http.connection import Connection


class SizedBody:
    """A body whose Content-Length is known."""

    def __init__(self, connection: Connection, size: int) -> None:
        self._connection = connection
        self._left_bytes = size

    @property
    def is_at_end(self) -> bool:
        """Whether all of it has been read."""
        return self._left_bytes == 0

    def receive_into(self, view: memoryview) -> int:
        """Read a piece. Return its size, 0 at the end."""
        if self.is_at_end:
            return 0
        count = self._connection.receive_into(view[: self._left_bytes])
        self._left_bytes -= count
        return count


class ChunkedBody:
    """A body in chunks; its trailers are discarded. Source: RFC 9112, 7.1."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._left_bytes = 0
        """Of the current chunk."""
        self.is_at_end = False

    def receive_into(self, view: memoryview) -> int:
        """Read a piece. Return its size, 0 at the end."""
        if self.is_at_end or (not self._left_bytes and not self._begin_chunk()):
            return 0
        count = self._connection.receive_into(view[: self._left_bytes])
        self._left_bytes -= count
        if not self._left_bytes:
            self._connection.read_line()
        return count

    def _begin_chunk(self) -> bool:
        """Read the head of the next chunk. Return False at the end of the body."""
        size, _, _ = self._connection.read_line().partition(b";")
        try:
            self._left_bytes = int(size, 16)
        except ValueError:
            raise ConnectionAbortedError("not a chunk") from None
        if self._left_bytes:
            return True
        while self._connection.read_line():
            pass
        self.is_at_end = True
        return False
