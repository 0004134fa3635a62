"""Which transfers of a call still start, and the result of each."""

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

import pytest

from analytics_export.bucket.manifest import StoredObject
from analytics_export.errors import (
    DeadlineReached,
    ExportError,
    ExportServiceError,
    LinkRefused,
    Misconfigured,
    UpstreamUnavailable,
)
from analytics_export.retries import GRACE_S, LEAST_FAILURES, Clock, Deadline
from analytics_export.transfer import TransferResult
from analytics_export.transfer_pool import TransferPool

if TYPE_CHECKING:
    from analytics_export.transfer import Transfer

RESULT = TransferResult(StoredObject("granular/a.csv", 1, "yZRlqg==", "17"), is_copied=True, csv_format=None)


class File:
    """A transfer whose result the test chooses; with `is_compared` it needs no copy."""

    def __init__(self, error: ExportError | None = None, *, is_compared: bool = False) -> None:
        self._error = error
        self._is_compared = is_compared
        self.has_run = False
        self.reports = 0
        self.while_running: Callable[[], object] = lambda: None

    def run(self, before_copy: Callable[[], None]) -> TransferResult:
        self.has_run = True
        if not self._is_compared:
            before_copy()
        self.while_running()
        if self._error is not None:
            raise self._error
        return RESULT

    def report_progress(self) -> None:
        self.reports += 1


class Call:
    """A pool on a clock that the test moves."""

    def __init__(self, size: int = 1) -> None:
        self.now_s = 0.0
        self.pool = TransferPool(Deadline(100, Clock(monotonic=lambda: self.now_s)), size)

    def run(self, *files: File) -> list[str]:
        """How each ended, by the type of its error."""
        results = self.pool.run(cast("list[Transfer]", list(files)))
        return [result.type if isinstance(result, ExportError) else "copied" for result in results]


@pytest.fixture
def call() -> Iterator[Call]:
    made = Call()
    yield made
    made.pool.close()


def test_a_failed_transfer_does_not_change_the_results_of_the_others(call: Call) -> None:
    files = [File(), File(LinkRefused("x")), File(), File(ExportServiceError("x")), File()]
    assert call.run(*files) == ["copied", "link-refused", "copied", "export-service-error", "copied"]


def test_the_error_of_a_transfer_is_kept_without_its_traceback(call: Call) -> None:
    """Its frames would keep the bytes to be sent in memory."""
    [error] = call.pool.run(cast("list[Transfer]", [File(LinkRefused("x"))]))
    assert isinstance(error, LinkRefused)
    assert error.__traceback__ is None


def test_nothing_more_of_a_period_starts_after_a_misconfiguration(call: Call) -> None:
    files = [File(), File(Misconfigured("x")), File(), File()]
    assert call.run(*files) == ["copied", "misconfigured", "misconfigured", "misconfigured"]
    assert [file.has_run for file in files] == [True, True, False, False]
    assert call.run(File()) == ["copied"], "another period finds out by itself"


def test_nothing_more_of_a_period_starts_after_many_of_its_files_were_given_up(call: Call) -> None:
    files = [File(UpstreamUnavailable("x")) for _ in range(LEAST_FAILURES + 2)]
    assert call.run(*files) == ["upstream-unavailable"] * len(files)
    assert sum(file.has_run for file in files) == LEAST_FAILURES
    assert call.run(File()) == ["copied"], "the failures may be of that one period"


def test_a_large_pool_gives_up_a_period_only_after_as_many_files_as_run_at_once() -> None:
    call = Call(size=LEAST_FAILURES + 2)
    files = [File(UpstreamUnavailable("x")) for _ in range(4 * LEAST_FAILURES)]
    call.run(*files)
    call.pool.close()
    assert sum(file.has_run for file in files) >= LEAST_FAILURES + 2


def test_nothing_more_of_a_call_starts_after_several_periods_were_given_up(call: Call) -> None:
    for _ in range(LEAST_FAILURES):
        call.run(File(UpstreamUnavailable("x")))
    file = File()
    assert call.run(file) == ["upstream-unavailable"]
    assert not file.has_run


def test_after_the_deadline_only_the_calls_first_copy_starts(call: Call) -> None:
    call.now_s = 100
    assert call.run(File(), File(), File(is_compared=True)) == ["copied", "deadline", "copied"]
    assert call.run(File()) == ["deadline"], "the first of the call, not of each period"


def test_after_the_deadline_no_copy_starts_if_one_started_before(call: Call) -> None:
    assert call.run(File(), File()) == ["copied", "copied"]
    call.now_s = 100
    assert call.run(File()) == ["deadline"]


def test_after_the_grace_not_even_a_comparison_starts(call: Call) -> None:
    call.now_s = 100 + GRACE_S
    assert call.run(File(is_compared=True)) == ["copied"]
    call.now_s += 1
    file = File(is_compared=True)
    assert call.run(file) == ["deadline"]
    assert not file.has_run


def test_only_running_transfers_report_progress(call: Call) -> None:
    first, second = File(), File(LinkRefused("x"))
    first.while_running = second.while_running = call.pool.report_progress
    call.run(first, second)
    call.pool.report_progress()
    assert (first.reports, second.reports) == (1, 1)


def test_as_many_transfers_run_at_once_as_the_pool_has_threads() -> None:
    call = Call(size=3)
    together = threading.Barrier(3, timeout=30)
    files = [File() for _ in range(3)]
    for file in files:
        file.while_running = together.wait
    assert call.run(*files) == ["copied"] * 3
    call.pool.close()


def when_the_call_ends(call: Call, waiting: Callable[[], object]) -> File:
    """End a call while one transfer runs and `waiting` waits behind it in the pool, until both have returned."""
    has_begun, may_end = threading.Event(), threading.Event()
    first = File()

    def hold() -> None:
        has_begun.set()
        may_end.wait(30)

    first.while_running = hold
    threads = [threading.Thread(target=call.run, args=[first]), threading.Thread(target=waiting)]
    threads[0].start()
    assert has_begun.wait(30)
    threads[1].start()
    while call.pool._executor._work_queue.empty():  # noqa: SLF001 - until it is in the queue
        may_end.wait(0.001)
    call.pool.close()
    may_end.set()
    for thread in threads:
        thread.join(30)
    return first


def test_a_transfer_that_waits_when_the_call_ends_gets_deadline(call: Call) -> None:
    second, ended = File(), []
    first = when_the_call_ends(call, lambda: ended.extend(call.run(second)))
    assert ended == ["deadline"]
    assert (first.has_run, second.has_run) == (True, False)


def test_a_header_read_that_waits_when_the_call_ends_gets_deadline(call: Call) -> None:
    ended = []

    def read_headers() -> None:
        try:
            call.pool.map(str, [1])
        except ExportError as error:
            ended.append(error.type)

    when_the_call_ends(call, read_headers)
    assert ended == ["deadline"]


def test_map_of_the_pool_keeps_the_order_and_raises_an_error(call: Call) -> None:
    assert call.pool.map(lambda number: number * 2, [1, 2, 3]) == [2, 4, 6]
    with pytest.raises(DeadlineReached):
        call.pool.map(lambda _: (_ for _ in ()).throw(DeadlineReached("x")), [1])
