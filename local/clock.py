"""What time it is for the export service."""

from datetime import UTC, datetime


class Clock:
    """The real time, or a fixed one.

    `stack.clock.fixed = datetime(2022, 4, 2, 8, tzinfo=UTC)`; None goes back.
    """

    def __init__(self) -> None:
        self.fixed: datetime | None = None

    def now(self) -> datetime:
        """The time, in UTC."""
        return self.fixed or datetime.now(UTC)
