"""How a request suffers the faults that are set for it: before its answer, at a byte, or in the answer's head."""

import fcntl
import socket
import struct
import termios
import time
from collections.abc import Iterator
from http import HTTPStatus
from socketserver import StreamRequestHandler
from typing import NoReturn

from local.faults import Fault, Kind
from local.request_log import Request
from local.server import Server

FLUSH_S = 2.0
"""A reset waits so long for the bytes before it to leave, since it would discard them."""

Headers = list[tuple[str, str]]
BEFORE = {Kind.DELAY, Kind.HOLD, Kind.CALL, Kind.STALL, Kind.OVERWRITE}
INSTEAD = {Kind.STATUS, Kind.REDIRECT, Kind.RESET, Kind.CLOSE}
AT_A_BYTE = {Kind.STATUS, Kind.RESET, Kind.CLOSE, Kind.STALL, Kind.HOLD, Kind.CALL, Kind.WRONG_BYTES}
READS_FIRST = {"upload.put"}
"""Operations whose request body is the matter: `after_bytes` counts its bytes."""


class Answered(Exception):
    """The answer has been sent; unwind."""


class HangUp(Exception):
    """The connection is closed or must be; unwind."""


class Cut(Exception):
    """The request's body ends here: the client went away (`fault` is None), or a fault wants it so."""

    def __init__(self, fault: Fault | None) -> None:
        super().__init__("the request's body was cut")
        self.fault = fault


class Conduct(StreamRequestHandler):
    """The faults of the request that is being answered."""

    server: Server
    request_record: Request
    body_bytes: int
    """The length of the request's body."""

    def setup(self) -> None:
        """Begin a connection."""
        super().setup()
        self.where = "unknown"
        self.armed: list[Fault] = []
        self.marks: list[tuple[int, Fault]] = []
        """Faults that act at a byte, the next one first."""
        self.close_connection = False

    def answer(self, status: int, headers: Headers, body: bytes, *, is_plain: bool = False) -> NoReturn:
        """Answer with a small body. `is_plain`: a fault's own answer, not to be changed by another one."""
        raise NotImplementedError

    def error_body(self, status: int, message: str) -> tuple[str, bytes]:
        """Content type and body of this provider's error answers."""
        raise NotImplementedError

    def overwrite(self, fault: Fault) -> None:
        """Act as somebody else who writes the object of this request now."""
        raise NotImplementedError

    def meet(self, where: str, name: str) -> None:
        """Say what this request means, and suffer the faults that come before its answer.

        May raise `Answered`.
        """
        self.where = where
        self.request_record.operation, self.request_record.name = where, name
        self.armed = self.server.faults.take(where, name)
        self.marks = sorted(self._byte_marks(), key=lambda mark: mark[0])
        for fault in self.armed:
            if fault.after_bytes is None and not any(fault is marked for _, marked in self.marks):
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
        elif fault.kind in INSTEAD:
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

    def changed(self, headers: Headers) -> Headers:
        """The answer's headers as the faults want them."""
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
