"""What the caller gets: 200 with the exports, or a problem document (RFC 9457) with the same."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from analytics_export.errors import (
    Conflict,
    DeadlineReached,
    ExportError,
    InvalidRequest,
    NotAvailableYet,
    TryAgainLater,
    worst,
)
from analytics_export.report import ExportResult, Status

Answer = tuple[str, int, dict[str, str]]
"""Body, status and headers, as Flask takes them."""
TRY_THIS_AGAIN = 409
"""To Cloud Tasks: try this task again, and go on with the others as before."""


@dataclass(frozen=True)
class Answers:
    """The answers to one call, which began when this was made."""

    began_s: float = field(default_factory=time.monotonic)

    def of(self, results: Sequence[ExportResult], *, is_task: bool = False) -> Answer:
        """Answer 200 when nothing is left to do, 202 when it is queued, else with the worst export's problem.

        Cloud Tasks takes a task off its queue at 2xx, and slows the whole queue down at 503. So a task (`is_task`)
        whose period is not there yet is done, 200: coverage shows the gap, and the catch-up closes it. One that has to
        go on (`deadline`, or another run at the same period) is answered 409, which is tried again without holding up
        the rest. Source: Cloud Tasks, "Common pitfalls and limitations".
        """
        errors = [result.error for result in results if result.error is not None]
        if is_task:
            errors = [error for error in errors if not isinstance(error, NotAvailableYet)]
        if errors:
            error = worst(errors)
            is_for_this_task_alone = is_task and isinstance(error, DeadlineReached | Conflict)
            return self.problem(error, results, status=TRY_THIS_AGAIN if is_for_this_task_alone else None)
        status = 202 if any(result.status is Status.QUEUED for result in results) else 200
        return json.dumps(self._report(results)), status, {"Content-Type": "application/json"}

    def problem(self, error: ExportError, results: Sequence[ExportResult] = (), *, status: int | None = None) -> Answer:
        """Answer with an error; of several services that ask to wait, the shortest wait counts.

        `status` is the error's own unless it is given.
        """
        status = status or error.status
        document = {"type": error.type, "title": error.title, "status": status, "detail": error.detail}
        headers = {"Content-Type": "application/problem+json"}
        if isinstance(error, TryAgainLater):
            waits_s = [result.error.retry_after_s for result in results if isinstance(result.error, TryAgainLater)]
            headers["Retry-After"] = str(math.ceil(min([*waits_s, error.retry_after_s])))
        return json.dumps(document | self._report(results)), status, headers

    def method_not_allowed(self) -> Answer:
        """Answer 405."""
        error = InvalidRequest("Expected POST with a JSON object, or with the fields as query parameters.")
        document = {"type": error.type, "title": error.title, "status": 405, "detail": error.detail}
        return (
            json.dumps(document | self._report([])),
            405,
            {"Content-Type": "application/problem+json", "Allow": "POST"},
        )

    def _report(self, results: Sequence[ExportResult]) -> dict[str, object]:
        return {
            "exports": [result.to_json() for result in results],
            "bytes_copied": sum(result.bytes_copied for result in results),
            "seconds": round(time.monotonic() - self.began_s, 3),
        }
