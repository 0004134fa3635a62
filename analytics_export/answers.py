"""What the caller gets: 200 with exports or what a question asked, or a problem document (RFC 9457) with the same."""

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from analytics_export.errors import ExportError, InvalidRequest, Misconfigured, NotFound, TryAgainLater, worst
from analytics_export.report import ExportResult

Answer = tuple[str | bytes, int, dict[str, str]]
"""Body, status and headers, as Flask takes them."""

SEE_CHECK = "GET /check tries every part of the set-up."
QUESTION_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Accept, Accept-Encoding"}
"""Of every answer to a GET: it tells of this moment, in the form that was asked for."""

WORTH_PACKING_BYTES = 1400
"""Less fits into one packet anyway."""


class Defect(ExportError):
    """The function itself is wrong."""

    type = "internal-error"
    title = "The function has a defect"
    status = 500


class MethodNotAllowed(InvalidRequest):
    """The path exists and does not take this method."""

    status = 405


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
        waits_s = [result.error.retry_after_s for result in results if isinstance(result.error, TryAgainLater)]
        return _problem(error, self._report(results), waits_s)

    def no_such_path(self, paths: Iterable[str]) -> Answer:
        """Answer 404."""
        return self.problem(NotFound(f"Expected one of the paths {', '.join(paths)}."))

    def method_not_allowed(self, allowed: Iterable[str]) -> Answer:
        """Answer 405."""
        error = MethodNotAllowed(
            "Expected POST with a JSON object, or with the fields as query parameters; GET asks what is there."
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


def packed(answer: Answer, *, is_taken: bool) -> Answer:
    """Return an answer compressed, where the caller takes gzip and it is worth it."""
    import gzip  # noqa: PLC0415 - only questions have long answers

    body, status, headers = answer
    data = body.encode() if isinstance(body, str) else body
    if not is_taken or len(data) < WORTH_PACKING_BYTES:
        return answer
    return gzip.compress(data, compresslevel=6, mtime=0), status, headers | {"Content-Encoding": "gzip"}


def _problem(error: ExportError, more: Mapping[str, object], waits_s: Sequence[float] = ()) -> Answer:
    document = {"type": error.type, "title": error.title, "status": error.status, "detail": detail_of(error)}
    headers = {"Content-Type": "application/problem+json"}
    if isinstance(error, TryAgainLater):
        headers["Retry-After"] = str(math.ceil(min([*waits_s, error.retry_after_s])))
    return json.dumps({**document, **more}), error.status, headers


def detail_of(error: ExportError) -> str:
    """Return what an answer says of an error: where the set-up is wrong, also where all of it is tried."""
    return f"{error.detail} {SEE_CHECK}" if isinstance(error, Misconfigured) else error.detail
