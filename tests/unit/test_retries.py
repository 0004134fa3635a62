"""How often and how long requests are retried, with a clock that moves only when the code sleeps."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_export.errors import DeadlineReached, UpstreamUnavailable
from analytics_export.retries import (
    BUDGET_S,
    FIRST_WAIT_S,
    GRACE_S,
    LINK_LIFE_S,
    LONGEST_RETRY_AFTER_S,
    LONGEST_WAIT_S,
    TRIES_WITHOUT_PROGRESS,
    Clock,
    Deadline,
    RetryBudget,
    is_retryable,
    retry_after_s,
)

DEFAULT_DEADLINE_S = 1740
PLATFORM_S = 1800
FAILURE = UpstreamUnavailable("it is down")


class FakeTime:
    """A clock that moves when the code sleeps, and when a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept_s: list[float] = []
        self.clock = Clock(
            monotonic=lambda: self.now_s, sleep=self.sleep, now=lambda: datetime(2022, 4, 2, 9, tzinfo=UTC)
        )

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def tries_until_it_gives_up(budget: RetryBudget, failure: UpstreamUnavailable = FAILURE) -> int:
    for number in range(1, 1000):
        try:
            budget.wait(failure)
        except UpstreamUnavailable as given_up:
            assert given_up is failure  # noqa: PT017 - the loop counts the tries before it
            return number
    pytest.fail("it never gives up")


def test_the_tries_without_progress_are_limited(time: FakeTime) -> None:
    assert tries_until_it_gives_up(RetryBudget(Deadline(1740, time.clock))) == TRIES_WITHOUT_PROGRESS


def test_waits_double_with_a_random_part(time: FakeTime) -> None:
    tries_until_it_gives_up(RetryBudget(Deadline(1740, time.clock)))
    full = [min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**number) for number in range(TRIES_WITHOUT_PROGRESS - 1)]
    assert [0.5 * wait <= slept <= wait for slept, wait in zip(time.slept_s, full, strict=True)] == [True] * len(full)
    assert 5 < sum(time.slept_s) < 13


def test_two_files_do_not_retry_at_the_same_moment() -> None:
    first, second = FakeTime(), FakeTime()
    tries_until_it_gives_up(RetryBudget(Deadline(1740, first.clock)))
    tries_until_it_gives_up(RetryBudget(Deadline(1740, second.clock)))
    assert first.slept_s != second.slept_s


def test_retries_end_with_their_time_even_after_few_tries(time: FakeTime) -> None:
    budget = RetryBudget(Deadline(1740, time.clock))
    budget.wait(FAILURE)
    time.now_s += BUDGET_S
    with pytest.raises(UpstreamUnavailable):
        budget.wait(FAILURE)


def test_progress_resets_the_count_and_the_time_of_retries(time: FakeTime) -> None:
    budget = RetryBudget(Deadline(10**6, time.clock))
    for _ in range(50):
        for _ in range(TRIES_WITHOUT_PROGRESS - 1):
            budget.wait(FAILURE)
        time.now_s += BUDGET_S
        budget.progressed()
    assert tries_until_it_gives_up(budget) == TRIES_WITHOUT_PROGRESS


@pytest.mark.parametrize("asked_s", [10.0, LONGEST_RETRY_AFTER_S])
def test_a_retry_after_is_honoured(time: FakeTime, asked_s: float) -> None:
    RetryBudget(Deadline(1740, time.clock)).wait(UpstreamUnavailable("busy", asked_to_wait_s=asked_s))
    assert time.slept_s == [asked_s]


def test_a_retry_after_shorter_than_our_own_wait_does_not_shorten_it(time: FakeTime) -> None:
    RetryBudget(Deadline(1740, time.clock)).wait(UpstreamUnavailable("busy", asked_to_wait_s=0))
    assert time.slept_s[0] >= FIRST_WAIT_S / 2


def test_a_long_retry_after_ends_the_tries_and_is_passed_on(time: FakeTime) -> None:
    failure = UpstreamUnavailable("busy", asked_to_wait_s=900)
    assert tries_until_it_gives_up(RetryBudget(Deadline(1740, time.clock)), failure) == 1
    assert time.slept_s == []
    assert failure.retry_after_s == 900


def test_no_wait_outlasts_the_run(time: FakeTime) -> None:
    budget = RetryBudget(Deadline(5, time.clock))
    with pytest.raises(DeadlineReached):
        budget.wait(UpstreamUnavailable("busy", asked_to_wait_s=5 + GRACE_S + 1))
    assert time.slept_s == []


@given(st.floats(0.1, 3600), st.lists(st.one_of(st.none(), st.floats(0, 120)), min_size=20, max_size=20))
def test_all_waits_together_stay_within_the_budget_and_the_run(deadline_s: float, asked: list[float | None]) -> None:
    time = FakeTime()
    began = time.now_s
    budget = RetryBudget(Deadline(deadline_s, time.clock))
    with pytest.raises((UpstreamUnavailable, DeadlineReached)):  # noqa: PT012 - either may end it
        for asked_s in asked:
            budget.wait(UpstreamUnavailable("it is down", asked_to_wait_s=asked_s))
    assert len(time.slept_s) < TRIES_WITHOUT_PROGRESS
    assert time.now_s - began <= min(BUDGET_S, deadline_s + GRACE_S)


def test_the_retry_budget_is_shorter_than_a_links_life_and_that_shorter_than_the_deadline() -> None:
    assert BUDGET_S < LINK_LIFE_S < DEFAULT_DEADLINE_S
    assert DEFAULT_DEADLINE_S + GRACE_S < PLATFORM_S
    assert (TRIES_WITHOUT_PROGRESS - 1) * LONGEST_RETRY_AFTER_S > BUDGET_S  # the time ends what the count does not


def test_a_try_that_fails_after_the_grace_ends_with_the_run_and_says_what_failed(time: FakeTime) -> None:
    """Even the last of its tries: the next call continues, so it is not an outage."""
    budget = RetryBudget(Deadline(5, time.clock))
    for _ in range(TRIES_WITHOUT_PROGRESS - 1):
        budget.wait(UpstreamUnavailable("it is down"))
    time.now_s = 1000 + 5 + GRACE_S
    with pytest.raises(DeadlineReached, match="it is down"):
        budget.wait(UpstreamUnavailable("it is down"))


def test_a_deadline_may_have_no_grace(time: FakeTime) -> None:
    """As for a coverage request: nobody waits longer for its answer."""
    deadline = Deadline(5, time.clock, grace_s=0)
    assert deadline.grace_left_s == 5
    with pytest.raises(DeadlineReached):
        RetryBudget(deadline).wait(UpstreamUnavailable("busy", asked_to_wait_s=6))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507, 599])
def test_a_request_is_retried_after_status(status: int) -> None:
    assert is_retryable(status)


@pytest.mark.parametrize("status", [200, 304, 308, 400, 401, 403, 404, 409, 410, 412, 413, 416, 426, 428, 431, 499])
def test_a_request_is_not_retried_after_status(status: int) -> None:
    assert not is_retryable(status)


def test_after_the_deadline_nothing_starts_and_running_work_has_a_grace(time: FakeTime) -> None:
    deadline = Deadline(100, time.clock)
    deadline.check()
    time.now_s += 100
    assert deadline.is_over
    with pytest.raises(DeadlineReached) as reached:
        deadline.check()
    assert (reached.value.status, reached.value.type) == (503, "deadline")
    assert deadline.grace_left_s == GRACE_S
    time.now_s += GRACE_S + 1
    assert deadline.grace_left_s < 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param(None, None, id="none"),
        pytest.param("120", 120, id="seconds"),
        pytest.param(" 7 ", 7, id="spaces"),
        pytest.param("Sat, 02 Apr 2022 09:01:30 GMT", 90, id="a date"),
        pytest.param("Sat, 02 Apr 2022 08:00:00 GMT", 0, id="a past date"),
        pytest.param("soon", None, id="a word"),
        pytest.param("-5", None, id="a negative number"),
        pytest.param("1.5", None, id="a fraction"),
        pytest.param("9" * 30, None, id="a huge number"),
        pytest.param("", None, id="empty"),
    ],
)
def test_a_retry_after_header_is_seconds_or_a_date(time: FakeTime, header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, time.clock) == seconds


@given(st.text(max_size=40) | st.datetimes(timezones=st.just(UTC)).map(lambda at: f"{at:%a, %d %b %Y %H:%M:%S GMT}"))
def test_any_retry_after_header_is_a_wait_or_none(header: str) -> None:
    seconds = retry_after_s(header, FakeTime().clock)
    assert seconds is None or 0 <= seconds <= timedelta.max.total_seconds()
