"""HTTP/1.1 as the stand-ins speak it: one thread a connection, real keep-alive, and a fault at any byte.

A `Conversation` reads a request, lets a room (storage, export service) answer it, and leaves the connection
fit for the next one. Everything sent and received passes through here, so that a fault can stop, slow, change
or break it at a byte.
"""

import contextlib
import json
import socket
import time
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import NoReturn

from local.conduct import READS_FIRST, Answered, Conduct, Cut, HangUp, Headers
from local.faults import Fault, Kind
from local.payloads import BytesPayload, Payload
from local.request_head import BadRequestError, RequestHead, read_head
from local.request_log import Request

BLOCK_BYTES = 1 << 20
SMALL_BODY_BYTES = 64 << 20
"""Requests that are read whole (metadata, multipart uploads of small objects) may be so large."""
DRAIN_S = 10.0
"""A body that nobody wants is read and dropped for so long, so that the client gets to its answer."""
THROTTLE_STEP_S = 0.02
_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {308: "Resume Incomplete", 499: "Client Closed"}


class Conversation(Conduct):
    """One connection. A room overrides `route`, which ends by calling one of the `answer...` methods."""

    disable_nagle_algorithm = True

    def route(self) -> None:
        """Answer the request in `self.method`, `self.target_path` and `self.query`. What a room overrides."""
        raise NotImplementedError

    # The request

    def setup(self) -> None:
        """Begin a connection."""
        super().setup()
        self.served_requests = 0

    def handle(self) -> None:
        """Serve requests until the connection is over."""
        while not self.close_connection:
            try:
                self._handle_one_request()
            except (HangUp, Cut, ConnectionError, TimeoutError):
                self.close_connection = True

    def _handle_one_request(self) -> None:
        try:
            head = read_head(self.rfile)
        except BadRequestError as exc:
            self.connection.sendall(f"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n{exc}\n".encode())
            _linger(self.connection)
            raise HangUp from None
        if head is None:
            raise HangUp
        self._begin(head)
        with contextlib.suppress(Answered):
            if self._is_unmeasured:
                self.close_connection = True
                self.answer_error(HTTPStatus.LENGTH_REQUIRED, "a request's body needs a Content-Length here")
            if self.target_path == "/_faults":
                self._serve_faults()
            self.server.log.add(self.request_record)
            self.route()
        self._drain()

    def _begin(self, head: RequestHead) -> None:
        self.method, self.target_path, self.query, self.headers = head.method, head.path, head.query, head.headers
        self.query_pairs = head.query_pairs
        self.close_connection = head.is_last
        length = head.headers.value("Content-Length", "0")
        self._is_unmeasured = "transfer-encoding" in head.headers or not (length.isascii() and length.isdigit())
        self.body_bytes = self.unread_bytes = 0 if self._is_unmeasured else int(length)
        self._awaits_continue = head.headers.value("Expect").lower() == "100-continue"
        self.where = "unknown"
        self.armed, self.marks = [], []
        self._moved_bytes = 0
        self.request_record = Request(
            method=self.method,
            path=self.target_path,
            is_new_connection=self.served_requests == 0,
            range=head.headers.value("Content-Range") or head.headers.value("Range"),
            query=head.raw_query,
            headers=head.headers,
        )
        self.served_requests += 1

    # The request's body

    def receive(self, view: memoryview) -> int:
        """Read a piece of the request's body into `view`; 0 at its end. Raises `Cut` where it breaks off."""
        counts_here = self.where in READS_FIRST
        while counts_here and self.marks and self.marks[0][0] <= self._moved_bytes:
            _, fault = self.marks.pop(0)
            if fault.kind in {Kind.STATUS, Kind.RESET, Kind.CLOSE}:
                raise Cut(fault)
            self.act(fault)
        wanted = min(len(view), self.unread_bytes)
        if counts_here and self.marks:
            wanted = min(wanted, self.marks[0][0] - self._moved_bytes)
        if wanted == 0:
            return 0
        throttle = self.armed_with(Kind.THROTTLE) if counts_here else None
        if throttle:
            wanted = min(wanted, self._pace(throttle))
        if self._awaits_continue:
            self._awaits_continue = False
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            count = self.rfile.readinto1(view[:wanted])
        except (ConnectionError, TimeoutError):
            count = 0
        if not count:
            self.close_connection = True
            raise Cut(None)
        self.unread_bytes -= count
        self._moved_bytes += count
        self.request_record.received_bytes += count
        return int(count)

    def read_small_body(self) -> bytes:
        """The whole body; answers 413 above `SMALL_BODY_BYTES`."""
        if self.body_bytes > SMALL_BODY_BYTES:
            self.answer_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large for a request in one piece")
        buffer = bytearray(self.body_bytes)
        view, filled = memoryview(buffer), 0
        while filled < len(buffer):
            filled += self.receive(view[filled:])
        return bytes(buffer)

    def _drain(self) -> None:
        """Read what nobody wanted, so that the next request starts at its first byte."""
        self.marks, self.armed = [], []
        if not self.unread_bytes and not self._is_unmeasured:
            return
        self.connection.settimeout(DRAIN_S)
        if self._is_unmeasured or self._awaits_continue:
            _linger(self.connection)
            raise HangUp
        view = memoryview(bytearray(min(self.unread_bytes, BLOCK_BYTES)))
        while self.unread_bytes:
            self.receive(view)
        self.connection.settimeout(None)

    # The answer

    def answer_error(self, status: int, message: str, headers: Headers | None = None) -> NoReturn:
        """Refuse in the provider's own error form."""
        content_type, body = self.error_body(status, message)
        self.answer(status, [("Content-Type", content_type), *(headers or [])], body)

    def answer_json(self, value: object, status: int = HTTPStatus.OK, headers: Headers | None = None) -> NoReturn:
        """Answer with JSON."""
        body = json.dumps(value).encode()
        self.answer(status, [("Content-Type", "application/json; charset=UTF-8"), *(headers or [])], body)

    def answer(self, status: int, headers: Headers, body: bytes, *, is_plain: bool = False) -> NoReturn:
        """Answer with a small body. `is_plain`: a fault's own answer, not to be changed by another one."""
        self.answer_payload(status, headers, BytesPayload(body), len(body), is_plain=is_plain)

    def answer_payload(
        self, status: int, headers: Headers, payload: Payload, count: int, *, is_plain: bool = False
    ) -> NoReturn:
        """Answer with `count` bytes of a payload."""
        has_body = status >= HTTPStatus.OK and status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
        headers = [*headers, ("Content-Length", str(count))] if has_body else headers
        self._send_head(status, headers if is_plain else self.changed(headers))
        if has_body and self.method != "HEAD":
            self._send_payload(payload, count)
        raise Answered

    def answer_stream(self, status: int, headers: Headers, blocks: Iterable[bytes]) -> NoReturn:
        """Answer with a body of unknown length, chunked."""
        self._send_head(status, self.changed([*headers, ("Transfer-Encoding", "chunked")]))
        for block in blocks:
            if block:
                chunk = BytesPayload(b"%x\r\n%b\r\n" % (len(block), block))
                self._send_payload(chunk, len(chunk.data))
        self.connection.sendall(b"0\r\n\r\n")
        raise Answered

    def _send_head(self, status: int, headers: Headers) -> None:
        names = {name.lower() for name, _ in headers}
        is_bounded = bool(names & {"content-length", "transfer-encoding"})
        if not is_bounded and status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            self.close_connection = True
        lines = [f"HTTP/1.1 {int(status)} {_PHRASES.get(status, 'Unknown')}", f"Date: {formatdate(usegmt=True)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if self.close_connection:
            lines.append("Connection: close")
        self.request_record.status = int(status)
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        drip, cut = self.armed_with(Kind.DRIP), self.armed_with(Kind.CUT_HEAD)
        if cut:
            self.connection.sendall(head[: head.rindex(b":", 0, -2) + 1])
            self.note(cut)
            self.break_off(is_reset=False)
        if drip:
            self._drip(head, drip)
        else:
            self.connection.sendall(head)
        self._moved_bytes = 0

    def _send_payload(self, payload: Payload, count: int) -> None:
        marks = [] if self.where in READS_FIRST else self.marks
        sent_bytes, start = 0, self._moved_bytes
        while marks and marks[0][0] <= start + count:
            offset, fault = marks[0]
            self._send_piece(payload, sent_bytes, offset - start - sent_bytes)
            sent_bytes = offset - start
            if fault.kind is Kind.WRONG_BYTES:
                if sent_bytes == count:
                    break
                self.note(fault)
                self._send_piece(BytesPayload(bytes([payload.byte(sent_bytes) ^ 1])), 0, 1)
                sent_bytes += 1
            elif fault.kind in {Kind.RESET, Kind.CLOSE, Kind.STATUS}:
                self.end_by(fault) if fault.kind is not Kind.STATUS else self.break_off(is_reset=True)
            else:
                self.act(fault)
            marks.pop(0)
        self._send_piece(payload, sent_bytes, count - sent_bytes)

    def _send_piece(self, payload: Payload, start: int, count: int) -> None:
        throttle = self.armed_with(Kind.THROTTLE) if self.where not in READS_FIRST else None
        end = start + count
        drip = self.armed_with(Kind.DRIP)
        while start < end:
            if drip:
                time.sleep(drip.seconds)
                wanted = 1
            else:
                wanted = min(end - start, self._pace(throttle) if throttle else 8 * BLOCK_BYTES)
            self.request_record.sent_bytes += wanted  # first, so that whoever got all of it finds it counted
            sent = payload.send(self.connection, start, wanted)
            self.request_record.sent_bytes -= wanted - sent
            start += sent
            self._moved_bytes += sent

    def _drip(self, head: bytes, drip: Fault) -> None:
        self.note(drip)
        for byte in head:
            self.connection.sendall(bytes([byte]))
            time.sleep(drip.seconds)

    def _pace(self, throttle: Fault) -> int:
        self.note(throttle) if self._moved_bytes == 0 else None
        time.sleep(THROTTLE_STEP_S)
        return max(1, int(throttle.bytes_per_s * THROTTLE_STEP_S))

    # Faults over HTTP

    def _serve_faults(self) -> NoReturn:
        faults = self.server.faults
        try:
            if self.method == "POST":
                faults.add(**json.loads(self.read_small_body()))
            elif self.method == "DELETE":
                faults.clear()
        except (TypeError, ValueError) as exc:
            self.answer_json({"error": str(exc)}, HTTPStatus.BAD_REQUEST)
        self.answer_json({"set": faults.describe(), "fired": faults.fired})


def _linger(connection: socket.socket) -> None:
    """End our side and read what still comes.

    Closing with unread bytes would destroy the answer on its way.
    """
    with contextlib.suppress(OSError):
        connection.settimeout(DRAIN_S)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass
