"""The HTTP answers: 200 or 202 with a report, or a problem document (RFC 9457) that carries the same report."""

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from analytics_export.errors import (
    Conflict,
    DeadlineReached,
    ExportError,
    InvalidRequest,
    Misconfigured,
    NotAvailableYet,
    NotFound,
    TryAgainLater,
    worst,
)
from analytics_export.report import ExportResult, Status

Answer = tuple[str | bytes, int, dict[str, str]]
"""Body, status and headers, as Flask takes them."""

TRY_THIS_AGAIN = 409
"""To Cloud Tasks: try this task again, and keep the pace of the others."""
SEE_CHECK = "GET /check tries every part of the set-up."
QUESTION_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Accept, Accept-Encoding"}
"""Of every answer to a GET: it is true at this moment, and comes in the form that the caller accepts."""

MIN_COMPRESSED_BYTES = 1400
"""Less than this fits into one packet uncompressed."""


class MethodNotAllowed(InvalidRequest):
    """The path exists and does not take this method."""

    status = 405


@dataclass(frozen=True)
class Answers:
    """The answers to one call, which began when this was made."""

    began_s: float = field(default_factory=time.monotonic)

    def of(self, results: Sequence[ExportResult], *, is_task: bool = False) -> Answer:
        """Answer 200 when nothing is left to do, 202 when tasks were queued, else with the worst export's problem.

        For Cloud Tasks, a 2xx ends the task, and a 503 slows down the whole queue. So a task (`is_task`) whose period
        is not available yet is answered 200: coverage shows the gap, and a later run closes it. A task that must be
        tried again (`deadline`, or a conflict with another run) is answered 409, which does not slow the queue.
        Source: Cloud Tasks, "Common pitfalls and limitations".
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
        """Answer with an error. Its Retry-After is the shortest that any export asks for.

        `status` is the error's own unless it is given.
        """
        waits_s = [result.error.retry_after_s for result in results if isinstance(result.error, TryAgainLater)]
        return _problem(error, self._report(results), waits_s, status=status)

    def no_such_path(self, paths: Iterable[str]) -> Answer:
        """Answer 404."""
        return self.problem(NotFound(f"Expected one of the paths {', '.join(paths)}."))

    def method_not_allowed(self, allowed: Iterable[str]) -> Answer:
        """Answer 405."""
        error = MethodNotAllowed(
            "Expected POST with a JSON object or with query parameters, or GET to ask what is complete and missing."
            if "POST" in allowed
            else "Expected GET or HEAD."
        )
        body, status, headers = self.problem(error)
        return body, status, headers | {"Allow": ", ".join(allowed)}

    def _report(self, results: Sequence[ExportResult]) -> dict[str, object]:
        return {
            "exports": [result.to_json() for result in results],
            "bytes_copied": sum(result.bytes_copied for result in results),
            "seconds": round(time.monotonic() - self.began_s, 3),
        }


def to_question(value: Mapping[str, object], error: ExportError | None = None) -> Answer:
    """Answer a GET: 200 with the value, or with an error the same in its problem document."""
    if error is None:
        return json.dumps(value), 200, QUESTION_HEADERS | {"Content-Type": "application/json"}
    body, status, headers = _problem(error, value)
    return body, status, QUESTION_HEADERS | headers


def compressed(answer: Answer, *, accepts_gzip: bool) -> Answer:
    """Return the answer, compressed where the caller accepts gzip and the body is long enough."""
    import gzip  # noqa: PLC0415 - only questions have long answers

    body, status, headers = answer
    data = body.encode() if isinstance(body, str) else body
    if not accepts_gzip or len(data) < MIN_COMPRESSED_BYTES:
        return answer
    return gzip.compress(data, compresslevel=6, mtime=0), status, headers | {"Content-Encoding": "gzip"}


def _problem(
    error: ExportError, more: Mapping[str, object], waits_s: Sequence[float] = (), *, status: int | None = None
) -> Answer:
    status = status or error.status
    document = {"type": error.type, "title": error.title, "status": status, "detail": detail_of(error)}
    headers = {"Content-Type": "application/problem+json"}
    if isinstance(error, TryAgainLater):
        headers["Retry-After"] = str(math.ceil(min([*waits_s, error.retry_after_s])))
    return json.dumps({**document, **more}), status, headers


def detail_of(error: ExportError) -> str:
    """Return the text of an error for an answer; of a wrong set-up, it also names GET /check."""
    return f"{error.detail} {SEE_CHECK}" if isinstance(error, Misconfigured) else error.detail
