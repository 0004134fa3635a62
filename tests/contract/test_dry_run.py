"""`dry_run` says what a run would do, and does nothing."""

import pytest

from local.stack import Stack
from tests.support.destination import Bucket
from tests.support.functions import ScannedFunction, StartFunction
from tests.support.requests_and_answers import DAY, MANIFEST, PREFIX, exports, only, span, statuses

SPAN = span("2022-04-01", "2022-04-03")


@pytest.fixture
def with_a_day(stack: Stack, function: ScannedFunction) -> ScannedFunction:
    """The function, with the first day of the span copied."""
    stack.exports.put(PREFIX, {"a.csv": b"a\n1\n"})
    only(function.post(DAY))
    return function


def test_dry_run_says_which_periods_of_a_span_are_complete_and_which_planned(
    stack: Stack, with_a_day: ScannedFunction
) -> None:
    answer = with_a_day.post({**SPAN, "dry_run": True})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert statuses(answer) == {"2022-04-01": "complete", "2022-04-02": "planned", "2022-04-03": "planned"}
    complete, planned, _ = exports(answer)
    assert (complete["objects"], complete["bytes"], complete["bytes_copied"]) == (1, 4, 0)
    assert complete["manifest"] == f"gs://{stack.bucket}/{MANIFEST}"
    assert (planned["objects"], planned["bytes"], planned["manifest"], planned["error"]) == (0, 0, None, None)


def test_a_manifest_without_metadata_makes_its_period_complete_too(bucket: Bucket, with_a_day: ScannedFunction) -> None:
    """Version 1.0.0 wrote none; `enqueue` must not queue every period that it copied."""
    bucket.write(MANIFEST, bucket.read(MANIFEST), metadata=None)
    answer = with_a_day.post({**SPAN, "dry_run": True})
    assert statuses(answer)["2022-04-01"] == "complete"
    assert (exports(answer)[0]["objects"], exports(answer)[0]["bytes"]) == (1, 4)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param(DAY, "planned", id="a single period would be compared"),
        pytest.param({**SPAN, "refresh": True}, "planned", id="so would a span with refresh"),
        pytest.param(span("2022-04-01", "2022-04-01"), "complete", id="a span of one day would be skipped"),
        pytest.param({**DAY, "enqueue": True}, "complete", id="a task would not be made"),
        pytest.param({**DAY, "enqueue": True, "refresh": True}, "planned", id="a task would be made"),
    ],
)
def test_dry_run_says_what_a_request_would_do_with_a_complete_period(
    stack: Stack, with_a_day: ScannedFunction, fields: dict[str, object], status: str
) -> None:
    answer = with_a_day.post({**fields, "dry_run": True})
    assert (answer.status, exports(answer)[0]["status"]) == (200, status)
    assert (exports(answer)[0]["objects"], exports(answer)[0]["bytes"]) == (1, 4)
    assert stack.tasks.requests.all() == []


def test_dry_run_requests_no_listing_reads_no_key_writes_and_enqueues_nothing(
    stack: Stack, start_function: StartFunction, bucket: Bucket
) -> None:
    function = start_function(TASKS_QUEUE="")
    for more in ({}, {"enqueue": True}):
        assert set(statuses(function.post({**SPAN, **more, "dry_run": True})).values()) == {"planned"}
    assert stack.exports.requests.count() == stack.secrets.requests.count() == 0
    assert stack.tasks.requests.all() == []
    assert bucket.names() == []


@pytest.mark.ours_only
def test_dry_run_of_5000_periods_without_manifests_costs_one_request(stack: Stack, function: ScannedFunction) -> None:
    answer = function.post(span("2010-01-01", "2023-09-09", dry_run=True))
    assert len(exports(answer)) == 5000
    assert stack.storage.requests.count() == stack.storage.requests.count("object.list") == 1


def test_dry_run_plans_periods_of_another_analytics_id(
    with_a_day: ScannedFunction, function_with: StartFunction
) -> None:
    assert with_a_day.post({**SPAN, "dry_run": True}).status == 200
    answer = function_with(ANALYTICS_ID="other").post({**SPAN, "dry_run": True})
    assert set(statuses(answer).values()) == {"planned"}


def test_dry_run_is_accepted_in_the_query(function: ScannedFunction) -> None:
    query = {key: str(value) for key, value in SPAN.items()} | {"dry_run": "true"}
    assert set(statuses(function.post(query=query)).values()) == {"planned"}


def test_dry_run_logs_one_line(with_a_day: ScannedFunction) -> None:
    before = len(with_a_day.logs())
    with_a_day.post({**SPAN, "dry_run": True})
    (line,) = with_a_day.logs()[before:]
    assert (line["severity"], line["message"], line["periods"], line["planned"]) == ("INFO", "periods_planned", 3, 2)
