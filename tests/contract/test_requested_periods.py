"""Which periods a request means, and which of them are compared with the source."""

from datetime import UTC, datetime

import pytest

from local.stack import Stack
from tests.support.destination import Bucket
from tests.support.functions import ScannedFunction
from tests.support.requests_and_answers import DAY, FOLDER, MANIFEST, exports, file, only, problem, span, statuses

SCHEDULED = {"X-CloudScheduler-ScheduleTime": "2022-04-04T09:00:00Z"}


def listings(stack: Stack) -> list[str]:
    """The periods that were requested from the export service."""
    return [request.name for request in stack.exports.requests.of("export.list")]


@pytest.mark.parametrize("aggregation", ["interaction", "granular"])
@pytest.mark.parametrize(
    ("frequency", "day", "dates"),
    [
        pytest.param("daily", "2022-04-01", "2022-04-01", id="daily"),
        pytest.param("weekly", "2022-04-06", "2022-04-04-2022-04-10", id="weekly"),
        pytest.param("weekly", "2021-01-01", "2020-12-28-2021-01-03", id="a week across the year"),
        pytest.param("monthly", "2022-04-30", "2022-04-01-2022-04-30", id="monthly"),
        pytest.param("monthly", "2024-02-29", "2024-02-01-2024-02-29", id="a leap month"),
    ],
)
def test_date_means_the_period_that_contains_the_day(
    stack: Stack, function: ScannedFunction, aggregation: str, frequency: str, day: str, dates: str
) -> None:
    export = only(function.post({"aggregation": aggregation, "frequency": frequency, "date": day}))
    assert (export["file_prefix"], export["status"]) == (f"{aggregation}-{dates}", "copied")
    assert listings(stack) == [f"{aggregation}-{dates}"]


def test_from_and_to_mean_every_period_with_a_day_in_the_span(stack: Stack, function: ScannedFunction) -> None:
    answer = function.post({"aggregation": "granular", "frequency": "weekly", "from": "2022-04-03", "to": "2022-04-11"})
    assert statuses(answer) == {"2022-03-28": "copied", "2022-04-04": "copied", "2022-04-11": "copied"}
    assert len(listings(stack)) == 3


def test_a_span_leaves_out_unfinished_periods(function: ScannedFunction) -> None:
    answer = function.post(span("2022-04-02", "2022-04-10"), headers=SCHEDULED)
    assert list(statuses(answer)) == ["2022-04-02", "2022-04-03"]


def test_a_span_without_a_finished_period_is_answered_200(stack: Stack, function: ScannedFunction) -> None:
    answer = function.post(span("2022-04-04", "2022-04-10"), headers=SCHEDULED)
    assert (answer.status, exports(answer)) == (200, [])
    assert listings(stack) == []


def test_last_selects_so_many_finished_periods(function: ScannedFunction) -> None:
    answer = function.post({"aggregation": "granular", "frequency": "monthly", "last": 3}, headers=SCHEDULED)
    assert list(statuses(answer)) == ["2022-01-01", "2022-02-01", "2022-03-01"]


def test_a_span_skips_complete_periods_without_a_request(stack: Stack, function: ScannedFunction) -> None:
    only(function.post(DAY))
    stack.exports.requests.clear()
    stack.storage.requests.clear()
    answer = function.post(span("2022-04-01", "2022-04-02"))
    assert statuses(answer) == {"2022-04-01": "complete", "2022-04-02": "copied"}
    assert listings(stack) == ["granular-2022-04-02"]
    assert "granular-2022-04-01" not in "".join(request.name for request in stack.storage.requests.of("link.get"))
    (complete, _) = exports(answer)
    assert (complete["objects"], complete["bytes_copied"], complete["error"]) == (3, 0, None)
    assert complete["bytes"] == sum(info.size for info in stack.exports.files("granular-2022-04-01").values())


def test_last_skips_complete_periods_without_a_request(stack: Stack, function: ScannedFunction) -> None:
    request = {"aggregation": "granular", "frequency": "daily", "last": 2}
    function.post(request, headers=SCHEDULED)
    stack.exports.requests.clear()
    assert set(statuses(function.post(request, headers=SCHEDULED)).values()) == {"complete"}
    assert listings(stack) == []


def test_refresh_compares_complete_periods(stack: Stack, function: ScannedFunction, bucket: Bucket) -> None:
    function.post(span("2022-04-01", "2022-04-02"))
    stack.exports.put("granular-2022-04-01", {file(0): b"issued,again\n1,2\n"})
    answer = function.post(span("2022-04-01", "2022-04-02", refresh=True))
    assert statuses(answer) == {"2022-04-01": "copied", "2022-04-02": "unchanged"}
    assert bucket.contents(FOLDER) == {FOLDER + file(0): b"issued,again\n1,2\n"}


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        pytest.param({"date": "2022-04-03"}, {}, id="date"),
        pytest.param({}, SCHEDULED, id="no field"),
    ],
)
def test_a_single_period_is_always_compared(
    stack: Stack, function: ScannedFunction, bucket: Bucket, fields: dict[str, str], headers: dict[str, str]
) -> None:
    request = {"aggregation": "granular", "frequency": "daily"} | fields
    only(function.post(request, headers=headers))
    name = file(0, "granular-2022-04-03")
    stack.exports.put("granular-2022-04-03", {name: b"issued,again\n1,2\n"})
    assert only(function.post(request, headers=headers))["status"] == "copied"
    assert bucket.read(f"granular/daily/start_date=2022-04-03/{name}") == b"issued,again\n1,2\n"


def test_an_invalid_manifest_does_not_count_as_complete(function: ScannedFunction, bucket: Bucket) -> None:
    bucket.put(MANIFEST, b"another program's file\n")
    assert statuses(function.post(span("2022-04-01", "2022-04-01"))) == {"2022-04-01": "copied"}
    assert bucket.manifest("granular/daily/start_date=2022-04-01")["start_date"] == "2022-04-01"


@pytest.mark.parametrize(
    ("frequency", "day", "available_at"),
    [
        pytest.param("daily", "2022-04-01", datetime(2022, 4, 2, 8, tzinfo=UTC), id="daily, the next day"),
        pytest.param("weekly", "2022-04-04", datetime(2022, 4, 11, 8, tzinfo=UTC), id="weekly, Monday"),
        pytest.param("monthly", "2022-04-01", datetime(2022, 5, 1, 8, tzinfo=UTC), id="monthly, the 1st"),
    ],
)
def test_a_finished_period_is_copied_from_8_utc_on_the_day_after(
    stack: Stack, function: ScannedFunction, frequency: str, day: str, available_at: datetime
) -> None:
    request = {"aggregation": "granular", "frequency": frequency, "date": day}
    stack.clock.fixed = available_at.replace(hour=7, minute=59)
    answer = function.post(request)
    assert f"{available_at:%Y-%m-%dT%H:%M}Z" in problem(answer, 503, "not-available-yet")["detail"]
    assert only(answer, 503)["status"] == "not_available"
    stack.clock.fixed = available_at
    assert only(function.post(request))["status"] == "copied"
