"""How often and how long something is tried again, and why.

The numbers, all in seconds:

- After a try without progress there is a wait of 0.2, 0.4, 0.8 .. 6.4 s. Up to half of it is random, so that files
  which failed together do not retry together. Seven tries take some 10 s, longer than a restart or a rate limit of the
  services lasts. Longer outages are left to Cloud Scheduler's retries, which cost nothing while they wait.
- A service's Retry-After is respected up to 60 s. A longer one ends the tries and becomes the answer's Retry-After.
- Progress resets the count: a transfer of many GB may be resumed often. Progress is at least one block
  (`PROGRESS_BYTES`), so that a source which sends one byte per connection does not keep a run busy.
- Without progress, no try begins after 300 s. That is less than the 900 s for which a link is valid, so a link renewed
  at the first failure is valid for all tries; and less than the deadline (1740 s), so one file cannot use up a run.
- After the deadline nothing new starts. What is running has 45 s to end: 1740 + 45 is less than the 1800 s that Cloud
  Scheduler and the platform wait.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime

from analytics_export.errors import DeadlineReached, ExportError, UpstreamUnavailable

TRIES_WITHOUT_PROGRESS = 7
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 6.4
LONGEST_RETRY_AFTER_S = 60.0
BUDGET_S = 300.0
PROGRESS_BYTES = 256 * 1024

LEAST_FAILURES = 4
"""How many attempts in a row must give up before a service counts as down; one bad file must not stop the others."""

LINK_LIFE_S = 900
"""Source: Usercentrics, "Analytics data export": download links "are valid for 15 minutes"."""
GRACE_S = 45.0


@dataclass(frozen=True)
class Clock:
    """Time as one run sees it; tests put in their own."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


class Deadline:
    """When a run ends: no work starts after `seconds`; what is running may continue for `grace_s` (`GRACE_S`) more."""

    def __init__(self, seconds: float, clock: Clock, *, grace_s: float | None = None) -> None:
        self.clock = clock
        self._at = clock.monotonic() + seconds
        self._grace_s = GRACE_S if grace_s is None else grace_s

    @property
    def is_over(self) -> bool:
        """Whether no new work may start."""
        return self.clock.monotonic() >= self._at

    @property
    def grace_left_s(self) -> float:
        """How long running work may still continue, in seconds; negative when it must stop."""
        return self._at + self._grace_s - self.clock.monotonic()

    def check(self) -> None:
        """Raise DeadlineReached when no new work may start."""
        if self.is_over:
            raise DeadlineReached("The run's time is over. Call again: it continues from what is done.")


class RetryBudget:
    """Counts the tries of one operation.

    Call `wait` after a failure: it sleeps and returns when another try is due, and raises the failure when none is.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._clock = deadline.clock
        self.progressed()

    def progressed(self) -> None:
        """Reset the count: the operation has made progress."""
        self._failures = 0
        self._since = self._clock.monotonic()

    def wait(self, failure: UpstreamUnavailable) -> None:
        """Sleep before the next try, at least as long as the service asked for.

        Raises `failure` when the tries are used up, and DeadlineReached when the run would end during the wait.
        """
        self._failures += 1
        asked_s = failure.asked_to_wait_s or 0.0
        backoff_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (self._failures - 1))
        wait_s = max(asked_s, backoff_s * random.uniform(0.5, 1))  # noqa: S311 - to spread, not to hide
        spent_s = self._clock.monotonic() - self._since
        if self._deadline.grace_left_s <= 0:
            raise _time_is_over(failure)
        if self._failures >= TRIES_WITHOUT_PROGRESS or asked_s > LONGEST_RETRY_AFTER_S or spent_s + wait_s > BUDGET_S:
            raise failure
        if wait_s > self._deadline.grace_left_s:
            raise _time_is_over(failure)
        self._clock.sleep(wait_s)


def _time_is_over(failure: UpstreamUnavailable) -> DeadlineReached:
    return DeadlineReached(f"{failure.detail} The run's time is over. Call again.")


class CircuitBreaker:
    """Stops asking a service that is down: after `failures` attempts gave up, all others of the call fail at once.

    An attempt does not count if another one succeeded meanwhile: then the service works, and one file or one period is
    the problem. Safe to use from any thread.
    """

    def __init__(self, *, failures: int) -> None:
        self._threshold = failures
        self._lock = threading.Lock()
        self._given_up: set[Hashable] = set()
        self._succeeded = 0
        self._open_because: ExportError | None = None

    @contextmanager
    def attempt(self, who: Hashable = None) -> Iterator[None]:
        """Wrap one attempt with all its retries. If the circuit is open, raises the failure that opened it.

        Failures of the same `who` count once; None counts as a different one each time.
        """
        if self._open_because is not None:
            raise copy(self._open_because)
        succeeded_before = self._succeeded
        try:
            yield
        except UpstreamUnavailable as failure:
            with self._lock:
                if self._succeeded == succeeded_before:
                    self._given_up.add(object() if who is None else who)
                if len(self._given_up) >= self._threshold:
                    self._open_because = copy(failure)  # without its traceback, which holds what was to be sent
            raise
        else:
            with self._lock:
                self._succeeded += 1
                self._given_up.clear()


def is_retryable(status: int) -> bool:
    """Return whether the same request may succeed later.

    Source: RFC 9110, sections 15.5.9 and 15.6; RFC 6585; RFC 8470.
    """
    return status in {408, 425, 429} or status >= 500  # noqa: PLR2004 - 5xx is the server's failure


def retry_after_s(header: str | None, clock: Clock) -> float | None:
    """Return the wait that a Retry-After header asks for, in seconds; None where it is missing or unusable.

    Source: RFC 9110, section 10.2.3: a number of seconds, or an HTTP date.
    """
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - slow to import, rarely needed

    if header is None:
        return None
    if re.fullmatch(r"[ \t]*[0-9]{1,9}[ \t]*", header):
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - clock.now()).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
