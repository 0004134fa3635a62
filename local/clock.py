"""The export service's clock."""

from datetime import UTC, datetime


class Clock:
    """The real time, or a fixed one.

    `stack.clock.fixed = datetime(2022, 4, 2, 8, tzinfo=UTC)`; None restores the real time.
    """

    def __init__(self) -> None:
        self.fixed: datetime | None = None

    def now(self) -> datetime:
        """The time, in UTC."""
        return self.fixed or datetime.now(UTC)
