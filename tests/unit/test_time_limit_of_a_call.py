"""Every call ends in time: its connections are closed, hanging work is left behind and named, hanging calls are few."""

import socket
import threading
from collections.abc import Iterator

import pytest

from analytics_export import time_limit
from analytics_export.errors import DeadlineReached, ExportServiceError, UpstreamUnavailable
from analytics_export.retries import Clock, Deadline
from analytics_export.time_limit import MAX_LEFT_BEHIND, TimeLimit, TimeLimitOver, because_time_is_over

SOON_S = 0.02


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What hanging work waits for, set at the end of the test. Such work is left behind after 0.3 s."""
    monkeypatch.setattr(time_limit, "HANGING_S", 0.3)
    monkeypatch.setattr(time_limit, "_left_behind", [])
    event = threading.Event()
    yield event
    event.set()


def limit_of(seconds: float, *, grace_s: float = 0) -> TimeLimit:
    return TimeLimit(Deadline(seconds, Clock(), grace_s=grace_s))


def nothing() -> None:
    pass


def test_work_in_a_call_returns_and_finds_its_time_limit() -> None:
    limit = limit_of(60)
    assert limit.run(TimeLimit.of_this_call, every_second=nothing) is limit
    assert TimeLimit.of_this_call() is None
    assert not limit.is_over


def test_an_error_of_the_work_in_a_call_is_raised() -> None:
    def work() -> None:
        raise ExportServiceError("x")

    with pytest.raises(ExportServiceError):
        limit_of(60).run(work, every_second=nothing)


def test_progress_is_reported_while_the_work_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "TICK_S", 0.01)
    reports, is_enough = [], threading.Event()

    def report() -> None:
        reports.append(1)
        if len(reports) == 3:
            is_enough.set()

    limit_of(60).run(lambda: is_enough.wait(30), every_second=report)
    assert len(reports) >= 3


def test_the_connections_of_a_call_are_closed_after_the_grace_and_a_pending_read_ends() -> None:
    ours, theirs = socket.socketpair()
    limit = limit_of(0, grace_s=SOON_S)
    with ours, theirs:
        limit.watch(ours)
        assert limit.run(lambda: ours.recv(1), every_second=nothing) == b""
    assert limit.is_over
    with pytest.raises(TimeLimitOver):
        limit.check()
    with pytest.raises(TimeLimitOver):
        limit.shortened(1)


def test_a_connection_that_another_call_now_uses_is_not_closed() -> None:
    ours, theirs = socket.socketpair()
    limit = limit_of(SOON_S)
    released = threading.Event()
    with ours, theirs:
        limit.watch(ours)
        limit.forget(ours)
        ours.settimeout(5)

        def work() -> None:
            while not limit.is_over:
                released.wait(0.001)

        limit.run(work, every_second=nothing)
        theirs.send(b"x")
        assert ours.recv(1) == b"x"


def test_no_connection_is_used_after_the_end_of_a_call() -> None:
    limit = limit_of(SOON_S)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        waits = threading.Event()

        def work() -> None:
            while not limit.is_over:
                waits.wait(0.001)
            limit.watch(ours)

        with pytest.raises(TimeLimitOver):
            limit.run(work, every_second=nothing)


def test_work_that_hangs_is_left_behind_and_what_it_waits_for_is_named(release: threading.Event) -> None:
    limit = limit_of(SOON_S)

    def work() -> None:
        with limit.waiting_for("Secret Manager"), limit.waiting_for("example.org"), limit.waiting_for("example.org"):
            pass
        with limit.waiting_for("storage.googleapis.com"), limit.waiting_for("example.org"):
            release.wait(30)

    with pytest.raises(
        DeadlineReached, match=r"hangs, waiting for example\.org, storage\.googleapis\.com\. Call again"
    ):
        limit.run(work, every_second=nothing)
    assert limit.is_over


def test_work_that_hangs_without_a_service_is_left_behind_and_names_none(release: threading.Event) -> None:
    with pytest.raises(DeadlineReached, match=r"hangs, waiting\. Call again"):
        limit_of(SOON_S).run(lambda: release.wait(30), every_second=nothing)


def test_calls_that_hang_do_not_pile_up(release: threading.Event) -> None:
    for _ in range(MAX_LEFT_BEHIND):
        with pytest.raises(DeadlineReached):
            limit_of(0).run(lambda: release.wait(30), every_second=nothing)
    with pytest.raises(UpstreamUnavailable, match=f"^{MAX_LEFT_BEHIND} "):
        limit_of(60).run(nothing, every_second=nothing)
    release.set()
    for thread in time_limit._left_behind:  # noqa: SLF001 - they end by themselves, soon
        thread.join(30)
    limit_of(60).run(nothing, every_second=nothing)


@pytest.mark.parametrize(
    ("asked_s", "allowed_s"), [(None, 50), (60.0, 50), (20.0, 20)], ids=["no timeout", "longer", "shorter"]
)
def test_no_timeout_outlasts_the_call(asked_s: float | None, allowed_s: float) -> None:
    limit = TimeLimit(Deadline(40, Clock(monotonic=lambda: 1000.0), grace_s=10))
    assert limit.shortened(asked_s) == allowed_s


def test_a_timeout_is_never_zero() -> None:
    """With zero, a request would fail at once."""
    assert TimeLimit(Deadline(0, Clock(monotonic=lambda: 1000.0), grace_s=0)).shortened(60) == 0.01


def test_an_error_after_the_connections_were_closed_is_reported_as_the_deadline() -> None:
    limit = limit_of(SOON_S)
    waits = threading.Event()
    deadline = DeadlineReached("it says so itself")

    def work() -> list[object]:
        while not limit.is_over:
            waits.wait(0.001)
        return [because_time_is_over(UpstreamUnavailable("it broke off")), because_time_is_over(deadline)]

    changed, same = limit.run(work, every_second=nothing)
    assert isinstance(changed, DeadlineReached)
    assert changed.detail.startswith("it broke off ")
    assert same is deadline


def test_an_error_within_the_time_limit_is_reported_unchanged() -> None:
    error = UpstreamUnavailable("it broke off")
    assert limit_of(60).run(lambda: because_time_is_over(error), every_second=nothing) is error


def test_an_error_outside_a_call_is_reported_unchanged() -> None:
    error = UpstreamUnavailable("x")
    assert because_time_is_over(error) is error
