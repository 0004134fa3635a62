"""HTTP/1.1 as the stand-ins speak it: one thread a connection, real keep-alive, and a fault at any byte.

A `Conversation` reads a request, lets a room (storage, export service) answer it, and leaves the connection
fit for the next one. Everything sent and received passes through here, so that a fault can stop, slow, change
or break it at a byte.
"""

import contextlib
import fcntl
import json
import socket
import struct
import termios
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import NoReturn
from urllib.parse import parse_qsl, urlsplit

from local.faults import Fault, Kind
from local.payloads import BytesPayload, Payload
from local.request_log import Request
from local.server import Server

BLOCK_BYTES = 1 << 20
SMALL_BODY_BYTES = 64 << 20
"""Requests that are read whole (metadata, multipart uploads of small objects) may be so large."""
DRAIN_S = 10.0
"""A body that nobody wants is read and dropped for so long, so that the client gets to its answer."""
THROTTLE_STEP_S = 0.02
FLUSH_S = 2.0
"""A reset waits so long for the bytes before it to leave, since it would discard them."""

Headers = list[tuple[str, str]]
BEFORE = {Kind.DELAY, Kind.HOLD, Kind.CALL, Kind.STALL, Kind.OVERWRITE}
AT_A_BYTE = {Kind.STATUS, Kind.RESET, Kind.CLOSE, Kind.STALL, Kind.HOLD, Kind.CALL, Kind.WRONG_BYTES}
READS_FIRST = {"upload.put"}
"""Operations whose request body is the matter: `after_bytes` counts its bytes."""


class Answered(Exception):  # noqa: N818 - not an error: the request needs nothing more
    """The answer has been sent; unwind."""


class HangUp(Exception):  # noqa: N818 - not an error: the connection is over
    """The connection is closed or must be; unwind."""


class Cut(Exception):  # noqa: N818 - what is left to do is the room's to decide
    """The request's body ends here: the client went away (`fault` is None), or a fault wants it so."""

    def __init__(self, fault: Fault | None) -> None:
        super().__init__("the request's body was cut")
        self.fault = fault


class Conversation(BaseHTTPRequestHandler):
    """One connection. A room overrides `route`, which ends by calling one of the `answer...` methods."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    # What a room overrides

    def route(self) -> None:
        """Answer the request in `self.method`, `self.target_path` and `self.query`."""
        raise NotImplementedError

    def error_body(self, status: int, message: str) -> tuple[str, bytes]:
        """Content type and body of this provider's error answers."""
        raise NotImplementedError

    def overwrite(self, fault: Fault) -> None:
        """Act as somebody else who writes the object of this request now."""
        raise NotImplementedError

    # The request

    def setup(self) -> None:
        """Begin a connection."""
        super().setup()
        self.served_requests = 0

    def handle(self) -> None:
        """Serve requests until the connection is over."""
        self.close_connection = False
        while not self.close_connection:
            try:
                self.handle_one_request()
            except (HangUp, Cut, ConnectionError, TimeoutError):
                self.close_connection = True

    def handle_one_request(self) -> None:
        """Read one request and answer it."""
        self.raw_requestline = self.rfile.readline(1 << 16)
        if not self.raw_requestline:
            self.close_connection = True
            return
        if not self.parse_request():
            return
        self._begin()
        with contextlib.suppress(Answered):
            if self.headers.get("Transfer-Encoding"):
                self.close_connection = True
                self.answer_error(HTTPStatus.LENGTH_REQUIRED, "a request's body needs a Content-Length here")
            if self.target_path == "/_faults":
                self._serve_faults()
            self.server.log.add(self.request_record)
            self.route()
        self._drain()

    def _begin(self) -> None:
        target = urlsplit(self.path)
        self.method, self.target_path = self.command, target.path
        self.query = dict(parse_qsl(target.query, keep_blank_values=True))
        length = self.headers.get("Content-Length", "0")
        self.body_bytes = self.unread_bytes = int(length) if length.isascii() and length.isdigit() else 0
        self.where = "unknown"
        self.armed: list[Fault] = []
        self._marks: list[tuple[int, Fault]] = []
        self._moved_bytes = 0
        self.request_record = Request(
            method=self.method,
            path=target.path,
            is_new_connection=self.served_requests == 0,
            range=self.headers.get("Content-Range") or self.headers.get("Range") or "",
        )
        self.served_requests += 1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Keep quiet: the log is `Server.log`."""

    def meet(self, where: str, name: str) -> None:
        """Say what this request means, and suffer the faults that come before its answer.

        May raise `Answered`.
        """
        self.where = where
        self.request_record.operation, self.request_record.name = where, name
        self.armed = self.server.faults.take(where, name)
        self._marks = sorted(self._byte_marks(), key=lambda mark: mark[0])
        for fault in self.armed:
            if fault.after_bytes is None and not any(fault is marked for _, marked in self._marks):
                self._act_before(fault)

    def meet_also(self, where: str, name: str) -> None:
        """Suffer the faults of a later stage of the same request."""
        operation, self.where = self.where, where
        later = self.server.faults.take(where, name)
        self.armed += later
        for fault in later:
            self._act_before(fault)
        self.where = operation

    def _byte_marks(self) -> Iterator[tuple[int, Fault]]:
        for fault in self.armed:
            if fault.kind not in AT_A_BYTE:
                continue
            if fault.after_bytes is not None:
                yield fault.after_bytes, fault
            elif fault.kind is Kind.WRONG_BYTES:
                yield 0, fault
            elif fault.keep_bytes is not None and self.where in READS_FIRST:
                yield self.body_bytes, fault

    def _act_before(self, fault: Fault) -> None:
        if fault.kind in BEFORE:
            self.act(fault)
        elif fault.kind in {Kind.STATUS, Kind.REDIRECT, Kind.RESET, Kind.CLOSE}:
            self.end_by(fault)

    def act(self, fault: Fault) -> None:
        """A fault after which things go on."""
        self.note(fault)
        if fault.kind is Kind.DELAY:
            time.sleep(fault.seconds)
        elif fault.kind in {Kind.HOLD, Kind.STALL}:
            fault.wait()
        elif fault.kind is Kind.CALL and fault.call is not None:
            fault.call(self.request_record)
        elif fault.kind is Kind.OVERWRITE:
            self.overwrite(fault)

    def end_by(self, fault: Fault) -> NoReturn:
        """A fault after which nothing goes on: another answer, or a broken connection."""
        self.note(fault)
        if fault.kind is Kind.REDIRECT:
            self.answer(HTTPStatus.FOUND, list(fault.headers.items()), b"", is_plain=True)
        if fault.kind in {Kind.STATUS, Kind.LOSE_SESSION}:
            status = int(fault.status)
            content_type, body = self.error_body(status, "a fault switch answers this")
            given = {name.lower(): value for name, value in fault.headers.items()}
            headers = [("Content-Type", content_type)] if "content-type" not in given else []
            headers += list(fault.headers.items())
            self.answer(status, headers, body if fault.body is None else fault.body, is_plain=True)
        self.break_off(is_reset=fault.kind is not Kind.CLOSE)

    def note(self, fault: Fault) -> None:
        """Count a fault that acts."""
        self.server.faults.note_fired(fault, self.where)

    def armed_with(self, kind: Kind) -> Fault | None:
        """The fault of this kind that this request has to suffer."""
        return next((fault for fault in self.armed if fault.kind is kind), None)

    def break_off(self, *, is_reset: bool) -> NoReturn:
        """Close the connection at once, after what has been sent so far has left."""
        _flush(self.connection)
        if is_reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.close(self.connection.detach())
        raise HangUp

    # The request's body

    def receive(self, view: memoryview) -> int:
        """Read a piece of the request's body into `view`; 0 at its end. Raises `Cut` where it breaks off."""
        counts_here = self.where in READS_FIRST
        while counts_here and self._marks and self._marks[0][0] <= self._moved_bytes:
            _, fault = self._marks.pop(0)
            if fault.kind in {Kind.STATUS, Kind.RESET, Kind.CLOSE}:
                raise Cut(fault)
            self.act(fault)
        wanted = min(len(view), self.unread_bytes)
        if counts_here and self._marks:
            wanted = min(wanted, self._marks[0][0] - self._moved_bytes)
        if wanted == 0:
            return 0
        throttle = self.armed_with(Kind.THROTTLE) if counts_here else None
        if throttle:
            wanted = min(wanted, self._pace(throttle))
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
        self._marks, self.armed = [], []
        view = memoryview(bytearray(min(self.unread_bytes, BLOCK_BYTES)))
        self.connection.settimeout(DRAIN_S)
        if self.headers.get("Transfer-Encoding"):
            _linger(self.connection)
        while self.unread_bytes:
            self.receive(view)
        self.connection.settimeout(None)

    # The answer

    def answer_error(self, status: int, message: str, headers: Headers | None = None) -> NoReturn:
        """Refuse in the provider's own error form."""
        content_type, body = self.error_body(status, message)
        self.answer(status, [("Content-Type", content_type), *(headers or [])], body)

    def answer_json(
        self, value: object, status: int = HTTPStatus.OK, headers: Headers | None = None
    ) -> NoReturn:
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
        self._send_head(status, headers if is_plain else self._changed(headers))
        if has_body and self.method != "HEAD":
            self._send_payload(payload, count)
        raise Answered

    def answer_stream(self, status: int, headers: Headers, blocks: Iterable[bytes]) -> NoReturn:
        """Answer with a body of unknown length, chunked."""
        self._send_head(status, self._changed([*headers, ("Transfer-Encoding", "chunked")]))
        for block in blocks:
            if block:
                chunk = BytesPayload(b"%x\r\n%b\r\n" % (len(block), block))
                self._send_payload(chunk, len(chunk.data))
        self.connection.sendall(b"0\r\n\r\n")
        raise Answered

    def _changed(self, headers: Headers) -> Headers:
        for fault in self.armed:
            if fault.kind is Kind.LOSE_ANSWER:
                self.end_by(fault)
            if fault.kind is Kind.DROP_HEADERS:
                self.note(fault)
                gone = {name.lower() for name in fault.headers}
                headers = [header for header in headers if header[0].lower() not in gone]
            elif fault.kind is Kind.SET_HEADERS:
                self.note(fault)
                gone = {name.lower() for name in fault.headers}
                headers = [header for header in headers if header[0].lower() not in gone]
                headers += list(fault.headers.items())
            elif fault.kind is Kind.WRONG_LENGTH:
                self.note(fault)
                self.close_connection = True
                headers = [_lengthened(header, fault.shift) for header in headers]
        return headers

    def _send_head(self, status: int, headers: Headers) -> None:
        names = {name.lower() for name, _ in headers}
        is_bounded = bool(names & {"content-length", "transfer-encoding"})
        if not is_bounded and status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            self.close_connection = True
        phrase, _ = self.responses.get(status, ("Unknown", ""))
        if status == HTTPStatus.PERMANENT_REDIRECT and "location" not in names:
            phrase = "Resume Incomplete"
        lines = [f"HTTP/1.1 {int(status)} {phrase}", f"Date: {self.date_time_string()}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if self.close_connection:
            lines.append("Connection: close")
        self.request_record.status = int(status)
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))
        self._moved_bytes = 0

    def _send_payload(self, payload: Payload, count: int) -> None:
        marks = [] if self.where in READS_FIRST else self._marks
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
        while start < end:
            wanted = min(end - start, self._pace(throttle) if throttle else 8 * BLOCK_BYTES)
            self.request_record.sent_bytes += wanted  # first, so that whoever got all of it finds it counted
            sent = payload.send(self.connection, start, wanted)
            self.request_record.sent_bytes -= wanted - sent
            start += sent
            self._moved_bytes += sent

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


def _lengthened(header: tuple[str, str], shift: int) -> tuple[str, str]:
    name, value = header
    return (name, str(int(value) + shift)) if name.lower() == "content-length" else header


def _flush(connection: socket.socket) -> None:
    """Wait until the kernel has handed over what was sent: a reset throws the rest away."""
    deadline = time.monotonic() + FLUSH_S
    while time.monotonic() < deadline:
        (waiting,) = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
        if waiting == 0:
            return
        time.sleep(0.001)


def _linger(connection: socket.socket) -> None:
    """End our side and read what still comes.

    Closing with unread bytes would destroy the answer on its way.
    """
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass
