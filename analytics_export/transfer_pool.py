"""Several transfers at the same time, within the run's time."""

from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context

from analytics_export.errors import DeadlineReached, ExportError, Misconfigured, UpstreamUnavailable
from analytics_export.retries import Deadline
from analytics_export.transfer import Landed, Transfer

TICK_S = 1.0
HANGING_S = 5.0
"""How long a stopped transfer may take to end before the answer goes out without it, in seconds."""

LEAST_FAILURES = 4
"""So many files in a row must have given up before a service counts as down: one bad file must not starve the rest."""


class Crew:
    """Runs transfers; `landed` fills up with those that ended well."""

    def __init__(self, deadline: Deadline, size: int) -> None:
        """`size` is how many run at the same time."""
        self._deadline = deadline
        self._size = size
        self._transfers: dict[str, Transfer] = {}
        self._active: dict[str, Transfer] = {}
        self._failures_in_a_row = 0
        self._hopeless: ExportError | None = None
        self.landed: dict[str, Landed] = {}

    def add(self, name: str, transfer: Transfer) -> None:
        """Take on a transfer; they start in the order they were added."""
        self._transfers[name] = transfer

    def work(self) -> list[ExportError]:
        """Run all of them and return what went wrong.

        After the deadline no copy starts but the very first, so that every call moves on, and what is there already may
        still be compared. Nothing starts after a Misconfigured, or after many in a row have given up on a service.
        """
        pool = ThreadPoolExecutor(self._size, thread_name_prefix="transfer")
        # each in a context of its own: functions-framework finds the execution's id for the log there
        futures = {
            name: pool.submit(copy_context().run, self._run, name, transfer, number == 0)
            for number, (name, transfer) in enumerate(self._transfers.items())
        }
        try:
            self._watch(set(futures.values()))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return [error for name, future in futures.items() if (error := self._outcome(name, future)) is not None]

    def _run(self, name: str, transfer: Transfer, is_first: bool) -> Landed:  # noqa: FBT001 - Context.run hands on positions
        if self._hopeless is not None:
            raise self._hopeless
        if self._deadline.grace_left_s < 0:
            raise _too_late(name)
        self._active[name] = transfer
        try:
            landed = transfer.run(_do_not_check if is_first else self._deadline.check)
        except Misconfigured as error:
            self._hopeless = error
            raise
        except UpstreamUnavailable as error:
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= max(self._size, LEAST_FAILURES):
                self._hopeless = error
            raise
        finally:
            del self._active[name]
        self._failures_in_a_row = 0
        return landed

    def _watch(self, pending: set[Future[Landed]]) -> None:
        """Wait for all; say how far long copies are, and stop them when the grace after the deadline is over."""
        while pending:
            _, pending = wait(pending, timeout=TICK_S)
            for transfer in list(self._active.values()):
                transfer.say_progress()
                if self._deadline.grace_left_s < 0:
                    transfer.stop()
            if self._deadline.grace_left_s < -HANGING_S:
                return

    def _outcome(self, name: str, future: Future[Landed]) -> ExportError | None:
        if not future.done() or future.cancelled():
            return _too_late(name)
        error = future.exception()
        if isinstance(error, ExportError):
            return error
        self.landed[name] = future.result()
        return None


def _do_not_check() -> None:
    """Let the first copy of a period start whatever the time is."""


def _too_late(name: str) -> DeadlineReached:
    return DeadlineReached(f"{name}: the run's time is over. Call again: it is copied then.")
