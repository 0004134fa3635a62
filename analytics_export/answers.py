"""What the caller gets: 200 with the exports, or a problem document (RFC 9457) with the same."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from analytics_export.errors import ExportError, InvalidRequest, TryAgainLater, worst
from analytics_export.report import ExportResult

Answer = tuple[str, int, dict[str, str]]
"""Body, status and headers, as Flask takes them."""


class Defect(ExportError):
    """The function itself is wrong."""

    type = "internal-error"
    title = "The function has a defect"
    status = 500


@dataclass(frozen=True)
class Answers:
    """The answers to one call, which began when this was made."""

    began_s: float = field(default_factory=time.monotonic)

    def of(self, results: Sequence[ExportResult]) -> Answer:
        """Answer 200 when every export is wholly in the bucket, else with the worst one's problem."""
        errors = [result.error for result in results if result.error is not None]
        if errors:
            return self.problem(worst(errors), results)
        return json.dumps(self._report(results)), 200, {"Content-Type": "application/json"}

    def problem(self, error: ExportError, results: Sequence[ExportResult] = ()) -> Answer:
        """Answer with an error; of several services that ask to wait, the shortest wait counts."""
        document = {"type": error.type, "title": error.title, "status": error.status, "detail": error.detail}
        headers = {"Content-Type": "application/problem+json"}
        if isinstance(error, TryAgainLater):
            waits_s = [result.error.retry_after_s for result in results if isinstance(result.error, TryAgainLater)]
            headers["Retry-After"] = str(math.ceil(min([*waits_s, error.retry_after_s])))
        return json.dumps(document | self._report(results)), error.status, headers

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
