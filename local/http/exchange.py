"""One request and its answer: its body is read here, so that a fault can stop, slow or break it at a byte."""

import json
from http import HTTPStatus

from local.faults import Fault, Kind
from local.http.connection import Connection
from local.http.fault_injection import COUNTS_REQUEST_BYTES, ENDS, FaultInjection, Overwrite
from local.http.request_body import ChunkedBody, MeasuredBody
from local.http.request_head import RequestHead
from local.http.response import BreakOff, Outcome, Refused
from local.http.sending import Sending
from local.request_log import Request

BLOCK_BYTES = 1 << 20
DROPPED_BYTES = 1 << 16
"""Of a body that no handler reads, at once."""
SMALL_BODY_BYTES = 64 << 20
"""Requests that are read whole (metadata, multipart uploads of small objects) may be so large."""


class Exchange:
    """What a handler has of a request, and the way its answer leaves.

    A handler says by `inject_before` what the request means, reads the body if it wants it, and gives back an outcome.
    """

    def __init__(self, connection: Connection, head: RequestHead, request: Request, faults: FaultInjection) -> None:
        self.head = head
        self.request = request
        """Its entry in the log."""
        self.faults = faults
        self._connection = connection
        length = head.headers.value("Content-Length", "0")
        self.is_measured = "transfer-encoding" not in head.headers
        """Whether the body's length was given."""
        self.body_bytes = int(length) if self.is_measured else 0
        """0 where the length was not given."""
        self._body = MeasuredBody(connection, self.body_bytes) if self.is_measured else ChunkedBody(connection)
        self._awaits_continue = head.headers.value("Expect").lower() == "100-continue"
        self._moved_bytes = 0
        self.is_cut = False
        """Whether the request's body ended too early; `outcome_of_cut` says what then."""
        self._cut_by: Fault | None = None

    def inject_before(self, operation: str, name: str, overwrite: Overwrite | None = None) -> Outcome | None:
        """Say what the request means. What a fault answers in place of the handler, if one does."""
        self.request.operation, self.request.name = operation, name
        return self.faults.inject_before(body_bytes=self.body_bytes, overwrite=overwrite)

    def read_small_body(self) -> bytes:
        """The whole body, whose length is known. Raises Refused (413) above `SMALL_BODY_BYTES`."""
        if self.body_bytes > SMALL_BODY_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large for a request in one piece")
        buffer = bytearray(self.body_bytes)
        view, filled = memoryview(buffer), 0
        while filled < len(buffer):
            filled += self._move_in(view[filled:])
        return bytes(buffer)

    def read_json(self) -> dict[str, object]:
        """The body's JSON object; empty without a body. Raises Refused for anything else."""
        body = self.read_small_body()
        return parse_object(body) if body.strip() else {}

    def receive(self, view: memoryview) -> int:
        """Read a piece of the body into `view`; 0 at its end and where it is cut."""
        wanted = len(view)
        if self._counts_request_bytes:
            self._act_at_byte()
            if self.is_cut:
                return 0
            if self.faults.byte_faults:
                wanted = min(wanted, self.faults.byte_faults[0].after_bytes - self._moved_bytes)
            throttle = self.faults.find(Kind.THROTTLE)
            if throttle and wanted and not self._body.is_over:
                wanted = min(wanted, self.faults.pace(throttle, self._moved_bytes))
        try:
            return self._move_in(view[:wanted])
        except (ConnectionError, TimeoutError):
            self.is_cut = self._connection.is_last_request = True
            return 0

    def outcome_of_cut(self) -> Outcome:
        """What ends a request whose body was cut: what a fault wants, or nothing, as the client has gone."""
        return self.faults.outcome_of(self._cut_by) if self._cut_by else BreakOff(is_reset=False)

    @property
    def _counts_request_bytes(self) -> bool:
        return self.request.operation in COUNTS_REQUEST_BYTES

    def _act_at_byte(self) -> None:
        """Let the faults act that are set for the byte of the request's body that comes next."""
        byte_faults = self.faults.byte_faults
        while byte_faults and byte_faults[0].after_bytes <= self._moved_bytes:
            fault = byte_faults.pop(0).fault
            if fault.kind in ENDS:
                self._cut_by, self.is_cut = fault, True
                return
            self.faults.act(fault)

    def _move_in(self, view: memoryview) -> int:
        if self._awaits_continue and view and not self._body.is_over:
            self._awaits_continue = False
            self._connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        count = self._body.receive_into(view) if view else 0
        self._moved_bytes += count
        return count

    def end_with(self, outcome: Outcome) -> None:
        """Send the answer, and leave the connection fit for the next request.

        Raises ConnectionError where it is broken off.
        """
        if isinstance(outcome, BreakOff):
            self._connection.break_off(is_reset=outcome.is_reset)
        if not self.is_measured and not self._body.is_over:
            self._connection.is_last_request = True
        try:
            Sending(self._connection, self.request, self.faults).send(outcome, is_head=self.head.method == "HEAD")
        finally:
            outcome.close()
        if self._body.is_over:
            return
        if self.is_measured and not self._awaits_continue:
            self._pass_over()
        else:
            self._connection.linger()

    def _pass_over(self) -> None:
        """Read and drop the rest of the body, so that the next request starts at its first byte."""
        view = memoryview(bytearray(DROPPED_BYTES))
        with self._connection.for_a_while():
            while self._body.receive_into(view):
                pass


def parse_object(text: bytes) -> dict[str, object]:
    """A JSON object. Raises Refused for anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "Parse Error")
    return value
