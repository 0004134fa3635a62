"""Which faults are active for one request, and what each does: before the answer, at a byte, in the answer's head."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

from local.faults import Fault, Faults, Kind
from local.http.response import BreakOff, HeaderList, Outcome, Response
from local.request_log import Request

CONTINUING = {Kind.DELAY, Kind.HOLD, Kind.CALL, Kind.STALL, Kind.OVERWRITE}
"""After these faults the request continues."""
FINAL = {Kind.STATUS, Kind.REDIRECT, Kind.RESET, Kind.CLOSE}
"""These faults end the request."""
AT_A_BYTE = {Kind.STATUS, Kind.RESET, Kind.CLOSE, Kind.STALL, Kind.HOLD, Kind.CALL, Kind.WRONG_BYTES}
COUNTS_REQUEST_BYTES = {"upload.put"}
"""For these operations `after_bytes` counts the bytes of the request's body, not of the answer's."""
THROTTLE_STEP_S = 0.02

ErrorForm = Callable[[str, int, str], Response]
"""Makes a provider's error answer from the request's path, a status and a text."""
Overwrite = Callable[[bytes], object]
"""Writes the request's object now, as another client would."""


@dataclass(frozen=True, order=True)
class ByteFault:
    """A fault that acts once `after_bytes` bytes have moved."""

    after_bytes: int
    fault: Fault


class FaultInjection:
    """The faults of one request."""

    def __init__(self, faults: Faults, request: Request, error_form: ErrorForm) -> None:
        self._faults = faults
        self._request = request
        self._error_form = error_form
        self._has_answered = False
        """Whether the answer is a fault's: then no other fault changes it."""
        self.active: list[Fault] = []
        self.byte_faults: list[ByteFault] = []
        """In the order in which they act."""

    def inject_before(self, *, body_bytes: int, overwrite: Overwrite | None) -> Outcome | None:
        """Apply the faults that act before the answer. Return the outcome of a fault that ends the request, or None.

        The request's operation and name must be set. `body_bytes` is the length of its body.
        """
        matching = self._faults.take(self._request.operation, self._request.name)
        self.active += matching
        at_bytes = list(self._at_bytes(matching, body_bytes))
        self.byte_faults = sorted(at_bytes, key=lambda each: each.after_bytes)
        later = {id(each.fault) for each in at_bytes}
        return self._act_before([fault for fault in matching if id(fault) not in later], overwrite)

    def inject_later(self, operation: str, *, overwrite: Overwrite | None) -> Outcome | None:
        """Do the same for a later stage of the request, such as `upload.finish`."""
        matching = self._faults.take(operation, self._request.name)
        self.active += matching
        return self._act_before(matching, overwrite, operation)

    def find(self, kind: Kind) -> Fault | None:
        """The active fault of this kind, or None."""
        return next((fault for fault in self.active if fault.kind is kind), None)

    def note(self, fault: Fault, operation: str = "") -> None:
        """Count a fault that acts."""
        self._faults.note_fired(fault, operation or self._request.operation)

    def act(self, fault: Fault, overwrite: Overwrite | None = None, operation: str = "") -> None:
        """Apply a fault after which the request continues."""
        self.note(fault, operation)
        if fault.kind is Kind.DELAY:
            time.sleep(fault.seconds)
        elif fault.kind in {Kind.HOLD, Kind.STALL}:
            fault.wait()
        elif fault.kind is Kind.CALL and fault.call is not None:
            fault.call(self._request)
        elif fault.kind is Kind.OVERWRITE and overwrite is not None:
            overwrite(fault.body or b"")

    def outcome_of(self, fault: Fault, operation: str = "") -> Outcome:
        """Apply a fault that ends the request. Return its answer, or a broken connection."""
        self.note(fault, operation)
        self._has_answered = True
        if fault.kind is Kind.REDIRECT:
            return Response(HTTPStatus.FOUND, list(fault.headers.items()))
        if fault.kind is Kind.STATUS:
            usual = self._error_form(self._request.path, int(fault.status), "a fault switch answers this")
            body = usual.body if fault.body is None else fault.body
            return Response(usual.status, _with(usual.headers, fault.headers), body)
        return BreakOff(is_reset=fault.kind is not Kind.CLOSE)

    def changed_headers(self, headers: HeaderList) -> HeaderList | BreakOff:
        """Return the answer's headers as the faults change them, or BreakOff if there shall be no answer."""
        for fault in [] if self._has_answered else self.active:
            if fault.kind is Kind.LOSE_ANSWER:
                self.note(fault)
                return BreakOff()
            if fault.kind is Kind.DROP_HEADERS:
                self.note(fault)
                headers = _without(headers, fault.headers)
            elif fault.kind is Kind.SET_HEADERS:
                self.note(fault)
                headers = _with(headers, fault.headers)
            elif fault.kind is Kind.WRONG_LENGTH:
                self.note(fault)
                headers = [_lengthened(header, fault.shift) for header in headers]
        return headers

    def pace(self, throttle: Fault, moved_bytes: int) -> int:
        """Wait as the throttle requires. Return how many bytes may move next."""
        if moved_bytes == 0:
            self.note(throttle)
        time.sleep(THROTTLE_STEP_S)
        return max(1, int(throttle.bytes_per_s * THROTTLE_STEP_S))

    def _at_bytes(self, matching: list[Fault], body_bytes: int) -> Iterator[ByteFault]:
        for fault in matching:
            if fault.kind not in AT_A_BYTE:
                continue
            if fault.after_bytes is not None:
                yield ByteFault(fault.after_bytes, fault)
            elif fault.kind is Kind.WRONG_BYTES:
                yield ByteFault(0, fault)
            elif fault.keep_bytes is not None and self._request.operation in COUNTS_REQUEST_BYTES:
                yield ByteFault(body_bytes, fault)

    def _act_before(self, faults: list[Fault], overwrite: Overwrite | None, operation: str = "") -> Outcome | None:
        for fault in faults:
            if fault.kind in CONTINUING:
                self.act(fault, overwrite, operation)
            elif fault.kind in FINAL:
                return self.outcome_of(fault, operation)
        return None


def _without(headers: HeaderList, names: dict[str, str]) -> HeaderList:
    removed = {name.lower() for name in names}
    return [header for header in headers if header[0].lower() not in removed]


def _with(headers: HeaderList, others: dict[str, str]) -> HeaderList:
    return [*_without(headers, others), *others.items()]


def _lengthened(header: tuple[str, str], shift: int) -> tuple[str, str]:
    name, value = header
    return (name, str(int(value) + shift)) if name.lower() == "content-length" else header
