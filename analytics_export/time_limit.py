"""One time limit for a whole call of the function: when it is over, the connections are closed and the answer is sent.

A timeout bounds one read or one write, so a service that sends one byte a second never runs into it. Therefore every
connection that a call uses is registered with the call's limit (`http` does that). After the deadline and its grace the
limit closes them all: whatever waits on one fails at once, and nothing more can be sent. What cannot be closed from
outside (a DNS query, a gRPC call) is left behind after `HANGING_S`. A request that had arrived completely by then may
still be carried out. It names the generation that it expects, so it cannot replace what another run has written since.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from typing import TypeVar

from analytics_export.errors import DeadlineReached, ExportError, UpstreamUnavailable
from analytics_export.retries import Deadline

T = TypeVar("T")

TICK_S = 1.0
HANGING_S = 5.0
"""How long the work of a call may take to end after its connections were closed, in seconds."""
MAX_LEFT_BEHIND = 4
"""How many hanging threads calls may leave behind before the instance refuses further calls."""

_current: ContextVar["TimeLimit | None"] = ContextVar("time_limit", default=None)
_left_behind: list[threading.Thread] = []


class TimeLimitOver(OSError):
    """The call's time is over: its connections are closed."""


class TimeLimit:
    """The limit of one call. Safe to use from any thread that the call starts with a copy of its context."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._waiting_for: list[str] = []
        self.is_over = False

    @staticmethod
    def of_this_call() -> "TimeLimit | None":
        """Return the limit of the call that this thread works for; None outside of one."""
        return _current.get()

    def run(self, work: Callable[[], T], *, every_second: Callable[[], None]) -> T:
        """Return what `work` returns, or raise what it raises; it runs in a thread of its own.

        Raises DeadlineReached, saying what hangs, when it has not come back `HANGING_S` after the grace, and
        UpstreamUnavailable at once where too many earlier calls of this instance still hang.
        """
        _refuse_to_pile_up()
        outcome: Future[T] = Future()
        thread = threading.Thread(target=copy_context().run, args=(self._work, work, outcome), daemon=True, name="call")
        thread.start()
        while not wait([outcome], timeout=self._next_wait_s()).done:
            every_second()
            if self._deadline.grace_left_s <= 0:
                self._end()
            if self._deadline.grace_left_s <= -HANGING_S:
                _left_behind.append(thread)
                raise DeadlineReached(
                    f"The run's time is over, and it still hangs, {self._hanging()}. Call again; if it stays so, check "
                    "whether that can be reached."
                )
        return outcome.result()

    def _work(self, work: Callable[[], T], outcome: "Future[T]") -> None:
        _current.set(self)
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - passed to the thread that waits, which raises it
            outcome.set_exception(error)

    def _next_wait_s(self) -> float:
        left_s = self._deadline.grace_left_s
        next_step_s = left_s if left_s > 0 else left_s + HANGING_S
        return max(0.01, min(TICK_S, next_step_s))

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            sockets, self._sockets = self._sockets, set()
        for each in sockets:
            with suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)  # not SSLSocket's own, which is not safe across threads

    def _hanging(self) -> str:
        with self._lock:
            parties = sorted(set(self._waiting_for))
        return f"waiting for {', '.join(parties)}" if parties else "waiting"

    # Called by whoever waits

    def shortened(self, timeout_s: float | None) -> float:
        """Return a timeout that ends with the call at the latest, in seconds. Raises TimeLimitOver."""
        self.check()
        left_s = max(0.01, self._deadline.grace_left_s)
        return left_s if timeout_s is None else min(timeout_s, left_s)

    def check(self) -> None:
        """Raise TimeLimitOver once nothing may be sent any more."""
        if self.is_over:
            raise TimeLimitOver("the call's time is over")

    @contextmanager
    def waiting_for(self, party: str) -> Iterator[None]:
        """Record for which service a thread waits in a way that cannot be interrupted."""
        with self._lock:
            self._waiting_for.append(party)
        try:
            yield
        finally:
            with self._lock:
                self._waiting_for.remove(party)

    def watch(self, used: socket.socket) -> None:
        """Close this socket when the call's time is over. Raises TimeLimitOver where it is over already."""
        with self._lock:
            self.check()
            self._sockets.add(used)

    def forget(self, used: socket.socket) -> None:
        """Do not close this socket: another call uses it now, or it is closed already."""
        with self._lock:
            self._sockets.discard(used)


def submit(executor: Executor, call: Callable[..., T], *args: object) -> "Future[T]":
    """Let another thread call `call`, in its own copy of the context.

    The context holds the call's time limit and functions-framework's execution id.
    """
    return executor.submit(copy_context().run, call, *args)


def because_time_is_over(error: ExportError) -> ExportError:
    """Return the error to report: after the connections were closed, every failure is a reached deadline."""
    limit = TimeLimit.of_this_call()
    if limit is None or not limit.is_over or isinstance(error, DeadlineReached):
        return error
    return DeadlineReached(f"{error.detail} The run's time is over. Call again.")


def _refuse_to_pile_up() -> None:
    _left_behind[:] = [thread for thread in _left_behind if thread.is_alive()]
    if len(_left_behind) >= MAX_LEFT_BEHIND:
        raise UpstreamUnavailable(
            f"{len(_left_behind)} earlier calls of this instance still hang; it takes no more until one of them ends."
        )
