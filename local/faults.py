"""Fault switches: what goes wrong, where, and how often.

A fault is set in process (`stack.faults.add("link.get", Kind.RESET, after_bytes=100_000)`) or over HTTP, with
the same fields as JSON, at the address of either HTTP stand-in:

    curl -d '{"where": "link.get", "kind": "reset", "after_bytes": 100000}' http://127.0.0.1:PORT/_faults
    curl http://127.0.0.1:PORT/_faults              # the faults that are set, and how often each kind fired
    curl -X DELETE http://127.0.0.1:PORT/_faults    # clear

Places (`where`; shell wildcards are allowed, such as `upload.*`):

    export.list  export.file                                the v2 listing; one v1 link
    link.get  link.head                                     signed links
    object.list  object.get  object.read                    JSON API: listing, metadata, bytes
    object.insert  object.delete                            JSON API: multipart and media uploads; deletes
    upload.start  upload.put  upload.status  upload.cancel  resumable sessions
    upload.finish                                           every byte has arrived, the object does not exist yet
    bucket.get  bucket.insert  bucket.permissions
    secret.access                                           here `status` is the name of a gRPC code
    task.create  task.list  queue.get  queue.pause  queue.resume  queue.purge  queue.permissions
                                                            Cloud Tasks; likewise
    task.deliver                                            Cloud Tasks calls the function; `status` replaces the
                                                            function's answer
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from local.request_log import Request

HOLD_LIMIT_S = 60.0
"""The default of `Fault.seconds`: a HOLD or STALL that is never released ends after it, so that a broken test ends."""


class Kind(StrEnum):
    """What a fault does. Kinds marked with * accept `after_bytes`; see `Fault`."""

    STATUS = "status"
    """* Answer `status` with `headers` and `body` (by default the provider's own error form)."""
    RESET = "reset"
    """* Break the connection with a TCP reset.

    With `keep_bytes` on upload.put: the session keeps at most this many bytes of the request.
    """
    CLOSE = "close"
    """* Close the connection too early, without a reset."""
    STALL = "stall"
    """* Move no byte for `seconds`, then continue."""
    HOLD = "hold"
    """* Wait for `Fault.release`; `Fault.wait_until_reached` returns once a request waits there."""
    CALL = "call"
    """* Call `call(request)` (in process only), then continue."""
    DELAY = "delay"
    """Wait `seconds` before doing anything. task.deliver: other tasks are delivered meanwhile."""
    THROTTLE = "throttle"
    """Move at most `bytes_per_s`."""
    DRIP = "drip"
    """Send the answer, its head included, one byte every `seconds`: slow, but never silent for long."""
    CUT_HEAD = "cut_head"
    """Process the request, then close the connection (without a reset) in the middle of the answer's head."""
    KEEP = "keep"
    """upload.put: keep only `keep_bytes` of this request's bytes, and report that."""
    LOSE_SESSION = "lose_session"
    """upload.put, upload.status: lose the session; answer `status` 404 or 410, now and later."""
    LOSE_ANSWER = "lose_answer"
    """Process the request, then reset the connection instead of answering. task.deliver: counts as a 503."""
    OVERWRITE = "overwrite"
    """upload.*, object.*: another client writes `body` under this name now."""
    IGNORE_RANGE = "ignore_range"
    """link.get, object.read: answer 200 with the whole object."""
    WRONG_START = "wrong_start"
    """link.get, object.read: a 206 that starts `shift` bytes later (or earlier) than requested."""
    WRONG_BYTES = "wrong_bytes"
    """* Flip the lowest bit of the answer's byte at `after_bytes` (0 when None)."""
    WRONG_HASH = "wrong_hash"
    """link.get, object.read: x-goog-hash does not match the bytes."""
    WRONG_LENGTH = "wrong_length"
    """Content-Length is `shift` bytes more (or fewer) than the body has."""
    DROP_HEADERS = "drop_headers"
    """Omit the headers named in `headers`. Without content-length the body ends with the connection."""
    SET_HEADERS = "set_headers"
    """Answer as usual, but with these `headers` (a Content-Encoding, an ETag)."""
    REDIRECT = "redirect"
    """Answer 302 with the Location given in `headers`."""
    TWICE = "twice"
    """task.deliver: deliver it twice, at the same time if the queue's limit allows it."""
    AGAIN = "again"
    """task.deliver: deliver it once more after the answer, whatever the answer was."""


@dataclass(eq=False, kw_only=True)
class Fault:
    """One switch. Every matching request reduces `skip` or `times` by one; the fault counts as fired only when it acts.

    `name` is a regular expression, searched in the object's, period's, secret's or task's name.
    The first `skip` matching requests pass; the next `times` are hit (None: all).
    `after_bytes`: None acts before the answer begins; N acts after N bytes of the answer's body
    (on upload.put: of the request's body) have moved.
    `keep_bytes` (upload.put): the session keeps at most this many of the request's bytes, rounded down to
    a multiple of 256 KiB; without `after_bytes`, the whole body is read first.
    """

    where: str
    kind: Kind
    name: str = ""
    skip: int = 0
    times: int | None = 1
    after_bytes: int | None = None
    keep_bytes: int | None = None
    seconds: float = HOLD_LIMIT_S
    bytes_per_s: int = 1_000_000
    shift: int = 1
    status: int | str = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    call: Callable[[Request], object] | None = None
    fired: int = 0

    def __post_init__(self) -> None:
        self._reached = threading.Event()
        self._released = threading.Event()

    def wait_until_reached(self, timeout: float = 10.0) -> None:
        """Return once a request has reached this fault. Raises TimeoutError after `timeout` seconds."""
        if not self._reached.wait(timeout):
            raise TimeoutError(f"nothing reached {self.kind} at {self.where} within {timeout} s")

    def release(self) -> None:
        """Let every request continue that waits at a HOLD or STALL, now or later."""
        self._released.set()

    def wait(self) -> None:
        """Wait until released, at most `seconds`."""
        self._released.wait(self.seconds)

    def mark_reached(self) -> None:
        """Record that a request has reached this fault."""
        self._reached.set()


class Faults:
    """The switches of one stack, shared by its servers. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._fired: Counter[str] = Counter()

    def add(  # noqa: PLR0913 - the fields of a fault, each optional, as in the JSON
        self,
        where: str,
        kind: Kind | str,
        *,
        name: str = "",
        skip: int = 0,
        times: int | None = 1,
        after_bytes: int | None = None,
        keep_bytes: int | None = None,
        seconds: float = HOLD_LIMIT_S,
        bytes_per_s: int = 1_000_000,
        shift: int = 1,
        status: int | str = 503,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        call: Callable[[Request], object] | None = None,
    ) -> Fault:
        """Set a fault; see `Fault` and `Kind`. Raises ValueError for an unknown kind."""
        re.compile(name)
        fault = Fault(
            where=where,
            kind=Kind(kind),
            name=name,
            skip=skip,
            times=times,
            after_bytes=after_bytes,
            keep_bytes=keep_bytes,
            seconds=seconds,
            bytes_per_s=bytes_per_s,
            shift=shift,
            status=status,
            headers=dict(headers or {}),
            body=body.encode() if isinstance(body, str) else body,
            call=call,
        )
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Remove every fault, and let every request continue that waits at one. The counts stay."""
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.release()

    def take(self, where: str, name: str) -> list[Fault]:
        """Return the faults that hit this request, in the order in which they were added, and reduce their `times`."""
        with self._lock:
            return [fault for fault in self._faults if _matches(fault, where, name) and _spend(fault)]

    def note_fired(self, fault: Fault, where: str) -> None:
        """Count a fault that acts."""
        with self._lock:
            fault.fired += 1
            self._fired[f"{where} {fault.kind.value}"] += 1
        fault.mark_reached()

    @property
    def fired(self) -> dict[str, int]:
        """How often each kind acted, by place: `{"link.get reset": 3}`."""
        with self._lock:
            return dict(self._fired)

    def reset_counts(self) -> None:
        """Count from 0 again."""
        with self._lock:
            self._fired.clear()

    def describe(self) -> list[dict[str, object]]:
        """The faults that are set, with their main fields."""
        with self._lock:
            return [
                {
                    "where": fault.where,
                    "kind": fault.kind.value,
                    "name": fault.name,
                    "skip": fault.skip,
                    "times": fault.times,
                    "fired": fault.fired,
                }
                for fault in self._faults
            ]


def _matches(fault: Fault, where: str, name: str) -> bool:
    return fnmatchcase(where, fault.where) and re.search(fault.name, name) is not None


def _spend(fault: Fault) -> bool:
    if fault.skip:
        fault.skip -= 1
        return False
    if fault.times is None:
        return True
    if fault.times == 0:
        return False
    fault.times -= 1
    return True
