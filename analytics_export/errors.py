"""Every way in which a run can fail, grouped by who acts next.

    ExportError
    ├── InvalidRequest              400  the caller corrects the request
    │   ├── PeriodNotFinished       400
    │   └── NotFound                404
    ├── Misconfigured               500  the operator corrects a setting, the secret or the bucket
    ├── ExportServiceRefused        502  the operator renews the key
    ├── ExportServiceError          502  the operator reads the log
    ├── LinkRefused                 502
    ├── IntegrityFailure            502
    ├── Defect                      500  a developer of the function, by the log line `defect`
    └── TryAgainLater               503  nobody: the next call continues
        ├── NotAvailableYet
        ├── UpstreamUnavailable
        ├── PeriodsMissing
        ├── Conflict                     (another run, or a new issue of the export, changes the same period)
        └── DeadlineReached

`type` is the slug of the answer's problem document and of the log lines. A message says what happened and what to
do next; it never holds a link's query, an upload session URI or a key.
"""

from typing import ClassVar, TypeVar

E = TypeVar("E", bound="ExportError")


class ExportError(Exception):
    """A failure of a run, a period or a file, with its HTTP status."""

    type: ClassVar[str]
    title: ClassVar[str]
    status: ClassVar[int]

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidRequest(ExportError):
    """The request names an unknown field, a wrong type or a wrong value."""

    type = "invalid-request"
    title = "The request is not valid"
    status = 400


class PeriodNotFinished(InvalidRequest):
    """The period asked for by date is not over yet (UTC)."""

    type = "period-not-finished"
    title = "The period is not finished yet"


class NotFound(InvalidRequest):
    """There is nothing under this path."""

    type = "not-found"
    title = "There is nothing under this path"
    status = 404


class Misconfigured(ExportError):
    """A setting, the secret or the bucket is missing or not allowed."""

    type = "misconfigured"
    title = "The deployment is misconfigured"
    status = 500


class ExportServiceRefused(ExportError):
    """The export service refuses the API key, which has just been read again."""

    type = "export-service-refused"
    title = "The export service refused the API key"
    status = 502


class ExportServiceError(ExportError):
    """The export service, or one of its links, sent an answer that cannot be understood."""

    type = "export-service-error"
    title = "The export service answered something unexpected"
    status = 502


class LinkRefused(ExportError):
    """A link leads somewhere it must not, or names a file that cannot be stored."""

    type = "link-refused"
    title = "A download link was refused"
    status = 502


class IntegrityFailure(ExportError):
    """The bytes do not match the source's own checksum or length."""

    type = "integrity"
    title = "A file does not match its checksum"
    status = 502


class Defect(ExportError):
    """The function itself is wrong."""

    type = "internal-error"
    title = "The function has a defect"
    status = 500

    def __init__(self) -> None:
        super().__init__("The function has a defect; its log line `defect` says where.")


class TryAgainLater(ExportError):
    """Nothing needs to be corrected: a later call continues from what is done.

    `retry_after_s` is when to call again, in seconds; it becomes the answer's Retry-After.
    """

    status = 503

    def __init__(self, detail: str, *, retry_after_s: float) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class NotAvailableYet(TryAgainLater):
    """The export service does not have the period (yet)."""

    type = "not-available-yet"
    title = "The export is not available yet"


class UpstreamUnavailable(TryAgainLater):
    """A service is unavailable, even after the retries."""

    type = "upstream-unavailable"
    title = "A service is unavailable"

    def __init__(self, detail: str, *, asked_to_wait_s: float | None = None) -> None:
        """`asked_to_wait_s` is the service's own Retry-After, if it gave one."""
        super().__init__(detail, retry_after_s=max(300.0, asked_to_wait_s or 0))
        self.asked_to_wait_s = asked_to_wait_s


class PeriodsMissing(TryAgainLater):
    """The caller requires that every period that is due is complete, and one is not."""

    type = "periods-missing"
    title = "Periods are missing"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after_s=900)


class Conflict(TryAgainLater):
    """The bucket or the listing was changed during this run; the period must be compared again."""

    type = UpstreamUnavailable.type
    title = "Something else changes the same period"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after_s=60)


class DeadlineReached(TryAgainLater):
    """The run's time is over; what is done stays done."""

    type = "deadline"
    title = "The run's time is over"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after_s=10)


def worst(errors: list[ExportError]) -> ExportError:
    """Return the error whose status decides the answer: 500 before 502, 503 and 400; the first of equals.

    A `Conflict` counts least: comparing again resolves it.
    """
    order = {500: 0, 502: 1, 503: 2, 400: 3}
    return min(errors, key=lambda error: (order[error.status], isinstance(error, Conflict)))


def without_traces(error: E) -> E:
    """Return the error without traceback and causes, whose frames would keep whole bodies in memory."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
