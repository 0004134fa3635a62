"""One request and its answer. The body is read here, so that a fault can stop, slow or break it at any byte."""

import json
from http import HTTPStatus

from local.faults import Fault, Kind
from local.http.connection import Connection
from local.http.fault_injection import COUNTS_REQUEST_BYTES, FINAL, FaultInjection, Overwrite
from local.http.request_body import ChunkedBody, SizedBody
from local.http.request_head import RequestHead
from local.http.response import BreakOff, Outcome, Refused
from local.http.sending import Sending
from local.request_log import Request

BLOCK_BYTES = 1 << 20
DISCARDED_BYTES = 1 << 16
"""How much is read at once of a body that no handler reads."""
SMALL_BODY_BYTES = 64 << 20
"""The maximum size of bodies that are read whole (metadata, multipart uploads of small objects)."""


class Exchange:
    """One request as a handler sees it; `end_with` sends the answer.

    A handler calls `inject_before` with the request's meaning, reads the body if it needs it, and returns an outcome.
    """

    def __init__(self, connection: Connection, head: RequestHead, request: Request, faults: FaultInjection) -> None:
        self.head = head
        self.request = request
        """The request's log entry."""
        self.faults = faults
        self._connection = connection
        length = head.headers.value("Content-Length", "0")
        self.has_length = "transfer-encoding" not in head.headers
        """Whether the body's length is known."""
        self.body_bytes = int(length) if self.has_length else 0
        """The body's length; 0 if unknown."""
        self._body = SizedBody(connection, self.body_bytes) if self.has_length else ChunkedBody(connection)
        self._awaits_continue = head.headers.value("Expect").lower() == "100-continue"
        self._moved_bytes = 0
        self.is_cut = False
        """Whether the request's body ended too early; then `outcome_when_cut` is the outcome."""
        self._cut_by: Fault | None = None

    def inject_before(self, operation: str, name: str, overwrite: Overwrite | None = None) -> Outcome | None:
        """Set the request's meaning and apply its faults. Return a fault's outcome if it replaces the handler's."""
        self.request.operation, self.request.name = operation, name
        return self.faults.inject_before(body_bytes=self.body_bytes, overwrite=overwrite)

    def read_small_body(self) -> bytes:
        """Read the whole body, whose length is known. Raises Refused (413) above `SMALL_BODY_BYTES`."""
        if self.body_bytes > SMALL_BODY_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large for a request in one piece")
        buffer = bytearray(self.body_bytes)
        view, filled = memoryview(buffer), 0
        while filled < len(buffer):
            filled += self._read_into(view[filled:])
        return bytes(buffer)

    def read_json(self) -> dict[str, object]:
        """Read the body's JSON object; an empty one if there is no body. Raises Refused for anything else."""
        body = self.read_small_body()
        return parse_object(body) if body.strip() else {}

    def receive(self, view: memoryview) -> int:
        """Read a piece of the body into `view`. Return its size: 0 at the end and where the body is cut."""
        limit = len(view)
        if self._counts_request_bytes:
            self._act_at_byte()
            if self.is_cut:
                return 0
            if self.faults.byte_faults:
                limit = min(limit, self.faults.byte_faults[0].after_bytes - self._moved_bytes)
            throttle = self.faults.find(Kind.THROTTLE)
            if throttle and limit and not self._body.is_at_end:
                limit = min(limit, self.faults.pace(throttle, self._moved_bytes))
        try:
            return self._read_into(view[:limit])
        except (ConnectionError, TimeoutError):
            self.is_cut = self._connection.is_last_request = True
            return 0

    def outcome_when_cut(self) -> Outcome:
        """The outcome of a request whose body was cut: the fault's, or no answer, since the client is gone."""
        return self.faults.outcome_of(self._cut_by) if self._cut_by else BreakOff(is_reset=False)

    @property
    def _counts_request_bytes(self) -> bool:
        return self.request.operation in COUNTS_REQUEST_BYTES

    def _act_at_byte(self) -> None:
        """Apply the faults that are set for the next byte of the request's body."""
        byte_faults = self.faults.byte_faults
        while byte_faults and byte_faults[0].after_bytes <= self._moved_bytes:
            fault = byte_faults.pop(0).fault
            if fault.kind in FINAL:
                self._cut_by, self.is_cut = fault, True
                return
            self.faults.act(fault)

    def _read_into(self, view: memoryview) -> int:
        if self._awaits_continue and view and not self._body.is_at_end:
            self._awaits_continue = False
            self._connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        count = self._body.receive_into(view) if view else 0
        self._moved_bytes += count
        return count

    def end_with(self, outcome: Outcome) -> None:
        """Send the answer, and leave the connection ready for the next request.

        Raises ConnectionError if the connection is broken off.
        """
        if isinstance(outcome, BreakOff):
            self._connection.break_off(is_reset=outcome.is_reset)
        if not self.has_length and not self._body.is_at_end:
            self._connection.is_last_request = True
        try:
            Sending(self._connection, self.request, self.faults).send(outcome, is_head=self.head.method == "HEAD")
        finally:
            outcome.close()
        if self._body.is_at_end:
            return
        if self.has_length and not self._awaits_continue:
            self._discard_rest()
        else:
            self._connection.linger()

    def _discard_rest(self) -> None:
        """Read and discard the rest of the body, so that the next read starts at the next request."""
        view = memoryview(bytearray(DISCARDED_BYTES))
        with self._connection.drain_timeout():
            while self._body.receive_into(view):
                pass


def parse_object(text: bytes) -> dict[str, object]:
    """Parse a JSON object. Raises Refused for anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "Parse Error")
    return value
