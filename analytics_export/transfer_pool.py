"""Runs all transfers of one call, a bounded number at a time, with one circuit breaker for all."""

import threading
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from analytics_export.errors import DeadlineReached, ExportError, Misconfigured, without_traces
from analytics_export.retries import LEAST_FAILURES, CircuitBreaker, Deadline
from analytics_export.time_limit import submit
from analytics_export.transfer import Transfer, TransferResult

T = TypeVar("T")
Result = TypeVar("Result")


class TransferPool:
    """Runs the transfers of every period of a call. Safe to use from any thread."""

    def __init__(self, deadline: Deadline, size: int) -> None:
        """`size` is how many run at the same time."""
        self._deadline = deadline
        self._size = size
        self._executor = ThreadPoolExecutor(size, thread_name_prefix="transfer")
        self._circuit = CircuitBreaker(failures=LEAST_FAILURES)
        self._lock = threading.Lock()
        self._active: set[Transfer] = set()
        self._has_copied = False

    def run(self, transfers: Collection[Transfer]) -> list[TransferResult | ExportError]:
        """Run the transfers of one period, in their order, and return how each ended.

        After a Misconfigured, or after many of its files were given up, no further file of the period starts. After
        several periods were given up, no further file of the call starts.
        """
        batch = _Batch(CircuitBreaker(failures=max(self._size, LEAST_FAILURES)))
        futures = [submit(self._executor, self._run, each, batch) for each in transfers]
        return [_outcome(future) for future in futures]

    def map(self, call: Callable[[T], Result], values: Iterable[T]) -> list[Result]:
        """Return what `call` returns for each value, side by side; raises what the first of them raised."""
        futures = [submit(self._executor, call, value) for value in values]
        return [_result(future) for future in futures]

    def report_progress(self) -> None:
        """Log the progress of long copies."""
        with self._lock:
            active = list(self._active)
        for transfer in active:
            transfer.report_progress()

    def close(self) -> None:
        """Start no more work; what is running ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _run(self, transfer: Transfer, batch: "_Batch") -> TransferResult:
        if batch.misconfigured is not None:
            raise batch.misconfigured
        if self._deadline.grace_left_s < 0:
            raise _too_late()
        with self._lock:
            self._active.add(transfer)
        try:
            with self._circuit.attempt(batch), batch.circuit.attempt():
                return transfer.run(self._before_copy)
        except Misconfigured as error:
            batch.misconfigured = error
            raise
        finally:
            with self._lock:
                self._active.discard(transfer)

    def _before_copy(self) -> None:
        """Raise DeadlineReached after the deadline, except for the call's first copy: every call makes progress.

        Comparisons may continue.
        """
        with self._lock:
            is_first, self._has_copied = not self._has_copied, True
        if not is_first:
            self._deadline.check()


@dataclass(eq=False)
class _Batch:
    """Shared by the transfers of one period."""

    circuit: CircuitBreaker
    misconfigured: Misconfigured | None = None


def _outcome(future: "Future[TransferResult]") -> TransferResult | ExportError:
    try:
        return _result(future)
    except ExportError as error:
        return without_traces(error)


def _result(future: "Future[Result]") -> Result:
    try:
        return future.result()
    except CancelledError as exc:  # it was waiting when the call ended
        raise _too_late() from exc


def _too_late() -> DeadlineReached:
    return DeadlineReached("The run's time is over. Call again: the rest is copied then.")
