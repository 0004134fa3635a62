"""One answer for several periods has the worst of their errors; and each error's status."""

from itertools import permutations

import pytest

from analytics_export.errors import (
    Conflict,
    DeadlineReached,
    ExportError,
    ExportServiceError,
    ExportServiceRefused,
    IntegrityFailure,
    InvalidRequest,
    LinkRefused,
    Misconfigured,
    NotAvailableYet,
    PeriodNotFinished,
    PeriodsMissing,
    TryAgainLater,
    UpstreamUnavailable,
    worst,
)

MISCONFIGURED = Misconfigured("x")
INTEGRITY = IntegrityFailure("x")
NOT_YET = NotAvailableYet("x", retry_after_s=900)
INVALID = InvalidRequest("x")


@pytest.mark.parametrize("errors", list(permutations([MISCONFIGURED, INTEGRITY, NOT_YET, INVALID])))
def test_500_is_worse_than_502_than_503_than_400(errors: tuple[ExportError, ...]) -> None:
    left = list(errors)
    ranking = []
    while left:
        ranking.append(worst(left))
        left.remove(ranking[-1])
    assert [error.status for error in ranking] == [500, 502, 503, 400]


def test_of_equally_bad_errors_the_first_is_reported() -> None:
    link = LinkRefused("x")
    assert worst([link, INTEGRITY]) is link
    assert worst([INTEGRITY, link]) is INTEGRITY


def test_a_conflict_is_the_least_of_the_errors_with_503() -> None:
    assert worst([Conflict("x"), NOT_YET]) is NOT_YET


@pytest.mark.parametrize(
    ("error", "after_s"),
    [
        (NotAvailableYet("x", retry_after_s=7200), 7200),
        (UpstreamUnavailable("x"), 300),
        (UpstreamUnavailable("x", asked_to_wait_s=0), 300),
        (UpstreamUnavailable("x", asked_to_wait_s=299), 300),
        (UpstreamUnavailable("x", asked_to_wait_s=301), 301),
        (PeriodsMissing("x"), 900),
        (Conflict("x"), 60),
        (DeadlineReached("x"), 10),
    ],
)
def test_each_temporary_error_says_when_to_call_again(error: TryAgainLater, after_s: float) -> None:
    assert (error.retry_after_s, error.detail) == (after_s, "x")


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (InvalidRequest("x"), 400, "invalid-request"),
        (PeriodNotFinished("x"), 400, "period-not-finished"),
        (Misconfigured("x"), 500, "misconfigured"),
        (ExportServiceRefused("x"), 502, "export-service-refused"),
        (ExportServiceError("x"), 502, "export-service-error"),
        (LinkRefused("x"), 502, "link-refused"),
        (IntegrityFailure("x"), 502, "integrity"),
        (NotAvailableYet("x", retry_after_s=1), 503, "not-available-yet"),
        (UpstreamUnavailable("x"), 503, "upstream-unavailable"),
        (Conflict("x"), 503, "upstream-unavailable"),
        (DeadlineReached("x"), 503, "deadline"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ExportError) else None,
)
def test_each_error_has_the_status_and_slug_of_the_contract(error: ExportError, status: int, slug: str) -> None:
    assert (error.status, error.type) == (status, slug)
    assert isinstance(error, TryAgainLater) == (status == 503)
    assert error.title
