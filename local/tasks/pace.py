"""How fast a queue may dispatch: its rate, and how it slows down after 429 and 503."""

import time

SLOWING_STATUSES = frozenset({429, 503})
FIRST_SLOW_DOWN_S = 1.0
LONGEST_SLOW_DOWN_S = 64.0


class Pace:
    """When the next dispatch may start.

    Dispatches are evenly spaced. The real queue may also send bursts, and starts slowly after a pause; this one does
    neither. After 429 and 503 nothing is dispatched for 1 s, doubled with each such answer in a row up to 64 s, but at
    least for Retry-After; the first other answer ends the row. Google says that the queue then "will use a higher
    backoff rate" and that Retry-After "is considered", but gives no figures: these are ours.
    """

    def __init__(self) -> None:
        self.dispatches_per_second = 500.0
        self.slow_downs = 0
        self._slow_answers = 0
        self._next_at = 0.0

    def wait_s(self, now: float) -> float:
        """Seconds until the next dispatch may start; 0 or less: now."""
        return self._next_at - now

    def dispatched(self) -> None:
        """Record that a dispatch starts."""
        self._not_before(time.monotonic() + 1 / self.dispatches_per_second)

    def answered(self, status: int, *, retry_after_s: float, wait_scale: float) -> None:
        """Record an answer; 429 and 503 delay the next dispatch."""
        if status not in SLOWING_STATUSES:
            self._slow_answers = 0
            return
        self.slow_downs += 1
        pause_s = min(FIRST_SLOW_DOWN_S * 2.0**self._slow_answers, LONGEST_SLOW_DOWN_S)
        self._slow_answers += 1
        self._not_before(time.monotonic() + max(pause_s, retry_after_s) * wait_scale)

    def _not_before(self, moment: float) -> None:
        self._next_at = max(self._next_at, moment)
