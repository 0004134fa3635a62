"""GET / for programs: which periods are complete and which are missing."""

import gzip
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests

from analytics_export import app
from analytics_export.coverage import parse
from analytics_export.errors import DeadlineReached
from analytics_export.periods import Aggregation, Export, Frequency, Period
from local.faults import Kind
from local.function import Answer
from local.processes import cpu_s
from local.stack import Stack
from tests.support.destination import Bucket
from tests.support.functions import ScannedFunction, StartFunction
from tests.support.landed_periods import DAYS, OBJECTS, SIZE_BYTES, land, landed, put_manifest
from tests.support.requests_and_answers import DAY, MANIFEST, only

BUSY = 2 * (os.cpu_count() or 1)
AS_OF = {"X-CloudScheduler-ScheduleTime": "2022-04-06T09:00:00Z"}
FIRST, LAST = date(2022, 4, 1), date(2022, 4, 5)


def get_coverage(function: ScannedFunction, status: int = 200, **query: str) -> dict[str, Any]:
    """The JSON of the answer."""
    names = {"first": "from", "last": "to"}
    answer = function.get(query={names.get(name, name): value for name, value in query.items()}, headers=AS_OF)
    assert answer.status == status, answer.text
    return dict(answer.json())


def signs(answer: Mapping[str, Any]) -> str:
    """The periods of the only aggregation and frequency: + for a complete one, - for a missing one."""
    (export,) = answer["coverage"]
    return "".join({"complete": "+", "missing": "-"}[period["status"]] for period in export["periods"])


def get_problem(answer: Answer, status: int, slug: str) -> dict[str, Any]:
    """The problem document of an answer to a GET; fails if it is another, or none."""
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.text
    value = dict(answer.json())
    assert (value["type"], value["status"]) == (slug, status)
    assert ("Retry-After" in answer.headers) == (status == 503)
    return value


def test_an_empty_bucket_has_no_coverage(function: ScannedFunction) -> None:
    assert get_coverage(function) == {"as_of": "2022-04-06T09:00:00Z", "coverage": []}


def test_a_period_that_a_run_exported_is_complete(function: ScannedFunction) -> None:
    export = only(function.post(DAY))
    (entry,) = get_coverage(function)["coverage"]
    assert (
        entry["aggregation"],
        entry["frequency"],
        entry["complete"],
        entry["missing"],
    ) == ("granular", "daily", 1, 4)
    first = entry["periods"][0]
    assert entry["bytes"] == first["bytes"] == export["bytes"]
    assert {name: first[name] for name in ("start_date", "end_date", "status", "objects")} == {
        "start_date": "2022-04-01", "end_date": "2022-04-01", "status": "complete", "objects": export["objects"],
    }  # fmt: skip


def test_periods_without_a_manifest_are_missing(stack: Stack, function: ScannedFunction) -> None:
    land(stack, FIRST, LAST, but=[date(2022, 4, 3)])
    answer = get_coverage(function)
    assert signs(answer) == "++-++"
    assert answer["coverage"][0]["bytes"] == 4 * OBJECTS * SIZE_BYTES
    assert answer["coverage"][0]["periods"][0]["completed_at"] == "2022-04-02T08:25:00Z"


def test_each_aggregation_and_frequency_has_its_own_entry(stack: Stack, function: ScannedFunction) -> None:
    week = (Aggregation.INTERACTION, Frequency.WEEKLY)
    land(stack, FIRST, LAST)
    land(stack, date(2022, 3, 21), date(2022, 3, 28), kind=week)
    kinds = [
        (each["aggregation"], each["frequency"], len(each["periods"])) for each in get_coverage(function)["coverage"]
    ]
    assert kinds == [("interaction", "weekly", 2), ("granular", "daily", 5)]
    assert signs(get_coverage(function, aggregation="interaction")) == "++"
    assert signs(get_coverage(function, frequency="daily", first="2022-03-31", last="2022-04-02")) == "-++"


@pytest.mark.ours_only
def test_coverage_of_a_thousand_periods_costs_one_request(stack: Stack, function: ScannedFunction) -> None:
    land(stack, FIRST, LAST)
    function.get()
    stack.storage.requests.clear()
    get_coverage(function)
    assert stack.storage.requests.count() == stack.storage.requests.count("object.list") == 6
    stack.storage.requests.clear()
    get_coverage(function, aggregation="granular", frequency="daily")
    assert stack.storage.requests.count() == 1


def test_a_manifest_without_a_summary_is_read_and_counts_the_same(stack: Stack, function: ScannedFunction) -> None:
    """Version 1.0.0 wrote none."""
    land(stack, FIRST, LAST)
    expected = get_coverage(function)
    for name in Bucket(stack.client(), stack.bucket).names():
        Bucket(stack.client(), stack.bucket).delete(name)
    land(stack, FIRST, LAST, is_summarised=False)
    assert get_coverage(function) == expected


def test_objects_that_are_not_manifests_do_not_count(stack: Stack, function: ScannedFunction, bucket: Bucket) -> None:
    land(stack, FIRST, LAST)
    bucket.put(MANIFEST.replace("04-01", "04-02"), b"<script>alert(1)</script>")
    bucket.put("manifests/granular/daily/start_date=2022-04-31.json", b"{}")
    bucket.put("manifests/granular/daily/note.txt", b"")
    assert signs(get_coverage(function)) == "+-+++"


def test_a_manifest_of_another_analytics_id_does_not_count(stack: Stack, function: ScannedFunction) -> None:
    land(stack, FIRST, LAST)
    export = Export(DAYS[0], Period.holding(DAYS[1], date(2022, 4, 2)))
    put_manifest(stack, landed(export, analytics_id="another"))
    assert signs(get_coverage(function)) == "+-+++"


def test_coverage_is_of_the_manifests_under_the_object_prefix(
    stack: Stack, function: ScannedFunction, function_with: StartFunction
) -> None:
    land(stack, FIRST, LAST)
    other = function_with(OBJECT_PREFIX="raw/")
    assert get_coverage(other)["coverage"] == []
    only(other.post(DAY))
    assert signs(get_coverage(other)) == "+----"
    assert signs(get_coverage(function)) == "+++++"


def test_with_require_complete_a_gap_is_answered_503(stack: Stack, function: ScannedFunction) -> None:
    """A sensor's request: until all periods are complete, it gets the same coverage with a status that means: wait."""
    land(stack, FIRST, LAST, but=[date(2022, 4, 3)])
    query = {"require_complete": "true", "from": "2022-04-02", "to": "2022-04-03"}
    answer = function.get(query=query, headers=AS_OF)
    document = get_problem(answer, 503, "periods-missing")
    assert "1 of granular/daily (2022-04-03)" in document["detail"]
    assert document["coverage"] == get_coverage(function, first="2022-04-02", last="2022-04-03")["coverage"]
    land(stack, date(2022, 4, 3), date(2022, 4, 3))
    assert signs(get_coverage(function, require_complete="true")) == "+++++"


def test_a_sensor_waits_for_an_export_without_periods(function: ScannedFunction) -> None:
    query = {"aggregation": "granular", "frequency": "daily", "from": "2022-04-05", "require_complete": "true"}
    get_problem(function.get(query=query, headers=AS_OF), 503, "periods-missing")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"frequency": "hourly"}, "Field `frequency`"),
        ({"from": "yesterday"}, "Field `from`"),
        ({"last": "3"}, 'Unknown field "last"'),
        ({"from": "2022-04-02", "to": "2022-04-01"}, "must not be after"),
        ({"aggregation": "granular", "frequency": "daily", "from": "1999-01-01"}, "More than 5000 daily periods"),
    ],
)
def test_a_wrong_coverage_query_is_answered_400(function: ScannedFunction, query: dict[str, str], says: str) -> None:
    assert says in get_problem(function.get(query=query, headers=AS_OF), 400, "invalid-request")["detail"]


def test_an_invalid_schedule_time_of_a_coverage_request_is_answered_400(function: ScannedFunction) -> None:
    answer = function.get(headers={"X-CloudScheduler-ScheduleTime": "now"})
    get_problem(answer, 400, "invalid-request")


def test_coverage_without_a_schedule_time_is_as_of_the_clock(function: ScannedFunction) -> None:
    query = {"aggregation": "granular", "frequency": "daily", "from": "2026-01-01"}
    entry: Any = function.get(query=query).json()
    last = date.fromisoformat(entry["coverage"][0]["periods"][-1]["end_date"])
    assert timedelta(days=1) <= datetime.now(UTC).date() - last <= timedelta(days=2)


@pytest.mark.ours_only
def test_a_bucket_that_may_not_be_listed_is_misconfigured_and_the_coverage_points_to_the_check(
    stack: Stack, function: ScannedFunction
) -> None:
    stack.storage.denied.add("storage.objects.list")
    document = get_problem(function.get(), 500, "misconfigured")
    assert "roles/storage.objectUser" in document["detail"]
    assert document["detail"].endswith("GET /check tries every part of the set-up.")


@pytest.mark.ours_only
def test_coverage_of_a_bucket_that_hangs_is_answered_503_in_time(stack: Stack, function_with: StartFunction) -> None:
    """Here the tries end first; a coverage request ends after a minute at the latest."""
    function = function_with(STALL_SECONDS="0.2")
    stack.faults.add("object.list", Kind.STALL, times=None, seconds=60)
    answer = function.get(query={"aggregation": "granular", "frequency": "daily"})
    get_problem(answer, 503, "upstream-unavailable")
    assert answer.seconds < 30


@pytest.mark.ours_only
def test_a_coverage_request_ends_in_time_whatever_hangs(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections are closed when its time is over: a minute, here half a second."""
    for name, value in stack.function_env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(app, "COVERAGE_S", 0.5)
    stack.faults.add("object.list", Kind.STALL, times=None, seconds=60)
    request = parse({}, schedule_time=None, clock=lambda: datetime.now(UTC))
    began = time.monotonic()
    with pytest.raises(DeadlineReached):
        app.App.from_env().coverage(request)
    assert time.monotonic() - began < 10


def test_head_of_coverage_is_get_without_a_body(stack: Stack, function: ScannedFunction) -> None:
    land(stack, FIRST, LAST, but=[date(2022, 4, 3)])
    query = {"require_complete": "true"}
    whole = function.get(query=query, headers=AS_OF)
    head = function.post(method="HEAD", query=query, headers=AS_OF)
    assert (head.status, head.text) == (503, "")
    for name in ("Content-Type", "Content-Length", "Retry-After", "Vary", "Cache-Control"):
        assert head.headers[name] == whole.headers[name]


def test_a_coverage_request_changes_nothing(stack: Stack, function: ScannedFunction, bucket: Bucket) -> None:
    land(stack, FIRST, LAST)
    before = {name: blob.generation for name, blob in bucket.blobs().items()}
    get_coverage(function)
    get_coverage(function, 503, require_complete="true", aggregation="granular", frequency="daily", first="2022-03-01")
    assert {name: blob.generation for name, blob in bucket.blobs().items()} == before
    assert stack.exports.requests.count() == stack.secrets.requests.count() == 0


def test_a_long_answer_is_compressed_if_the_caller_accepts_it(stack: Stack, function: ScannedFunction) -> None:
    land(stack, FIRST, LAST)
    query = {"aggregation": "granular", "frequency": "daily", "from": "2021-01-01"}
    raw = {}
    for encodings in ("gzip", "identity", "gzip;q=0"):
        headers = AS_OF | {"Accept-Encoding": encodings}
        with requests.get(function.url, params=query, headers=headers, stream=True, timeout=60) as response:
            assert response.headers["Vary"] == "Accept, Accept-Encoding"
            assert ("Content-Encoding" in response.headers) == (encodings == "gzip")
            raw[encodings] = response.raw.read()
    assert json.loads(gzip.decompress(raw["gzip"])) == json.loads(raw["identity"]) == json.loads(raw["gzip;q=0"])
    assert len(raw["gzip"]) < len(raw["identity"]) / 5


@pytest.mark.ours_only
def test_coverage_of_2000_days_at_30_ms_a_request_takes_under_300_ms(stack: Stack, function: ScannedFunction) -> None:
    """Limits the processor time always, the elapsed time only where the machine is not busy."""
    last = date(2022, 4, 5)
    for aggregation in Aggregation:
        land(stack, last - timedelta(days=999), last, kind=(aggregation, Frequency.DAILY))
    get_coverage(function)
    stack.faults.add("object.list", Kind.DELAY, seconds=0.03, times=None)
    began_cpu_s, took_s = cpu_s(function.pid), []
    for _ in range(5):
        began = time.perf_counter()
        answer = get_coverage(function)
        took_s.append(time.perf_counter() - began)
    assert [each["complete"] for each in answer["coverage"]] == [1000, 1000]
    assert (cpu_s(function.pid) - began_cpu_s) / len(took_s) < 0.25
    assert min(took_s) < 0.3 or os.getloadavg()[0] > BUSY
