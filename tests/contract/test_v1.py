"""The deprecated v1 of the export service: one request per file, and the same result."""

import pytest

from local.export_service import V1Form
from local.faults import Kind
from local.stack import Stack
from tests.support.destination import Bucket
from tests.support.functions import ScannedFunction, StartFunction
from tests.support.requests_and_answers import DAY, FOLDER, MANIFEST, PREFIX, file, only, problem, span, statuses

FILES = {file(number): f"a,b\n{number},2\n".encode() for number in range(3)}


@pytest.fixture
def v1(function_with: StartFunction) -> ScannedFunction:
    return function_with("v1")


def requested(stack: Stack) -> list[tuple[str, int]]:
    return [(request.path.rpartition("/")[2], request.status) for request in stack.exports.requests.all()]


@pytest.mark.parametrize("form", V1Form)
def test_a_link_is_found_in_every_form_of_v1_answer(
    stack: Stack, v1: ScannedFunction, bucket: Bucket, form: V1Form
) -> None:
    stack.exports.v1_form = form
    stack.exports.put(PREFIX, FILES)
    assert only(v1.post(DAY))["status"] == "copied"
    assert bucket.contents(FOLDER) == {FOLDER + name: data for name, data in FILES.items()}


def test_v1_files_are_requested_one_after_the_other_until_one_is_missing(stack: Stack, v1: ScannedFunction) -> None:
    stack.exports.put(PREFIX, FILES)
    only(v1.post(DAY))
    assert requested(stack) == [(file(0), 200), (file(1), 200), (file(2), 200), (file(3), 404)]
    assert {request.path.rpartition("/")[0] for request in stack.exports.requests.all()} == {
        "/api/download/analytics/local-analytics-id"
    }


def test_the_result_of_v1_is_that_of_v2(
    stack: Stack, v1: ScannedFunction, function: ScannedFunction, bucket: Bucket
) -> None:
    stack.exports.put(PREFIX, FILES)
    first = only(v1.post(DAY))
    names = set(bucket.names())
    second = only(function.post(DAY))
    assert second["status"] == "unchanged"
    assert names == {MANIFEST, *(FOLDER + name for name in FILES)} == set(bucket.names())
    same = ("file_prefix", "objects", "bytes", "columns_changed", "manifest", "error")
    assert [first[key] for key in same] == [second[key] for key in same]


def test_an_unchanged_v1_run_requests_each_link_once(stack: Stack, v1: ScannedFunction) -> None:
    stack.exports.put(PREFIX, FILES)
    only(v1.post(DAY))
    stack.storage.requests.clear()
    assert only(v1.post(DAY))["status"] == "unchanged"
    assert stack.storage.requests.count("link.get") == len(FILES)


def test_v1_weeks_and_months_are_requested_by_their_prefix(stack: Stack, v1: ScannedFunction) -> None:
    only(v1.post({"aggregation": "interaction", "frequency": "monthly", "date": "2022-04-01"}))
    assert requested(stack)[0] == ("interaction-2022-04-01-2022-04-30-000000000000.csv", 200)


def test_a_missing_first_v1_file_is_answered_503(stack: Stack, v1: ScannedFunction) -> None:
    stack.exports.remove(PREFIX)
    assert PREFIX in problem(v1.post(DAY), 503, "not-available-yet")["detail"]
    assert requested(stack) == [(file(0), 404)]


def test_a_v1_answer_without_a_link_is_answered_502(stack: Stack, v1: ScannedFunction) -> None:
    stack.faults.add("export.file", Kind.STATUS, status=200, body=b'{"message": "hello"}', times=None)
    assert "expected one link" in problem(v1.post(DAY), 502, "export-service-error")["detail"]


def test_a_v1_link_to_another_origin_is_answered_502(stack: Stack, v1: ScannedFunction) -> None:
    stack.exports.links[file(0)] = "https://elsewhere.example.org/x.csv"
    problem(v1.post(DAY), 502, "link-refused")


def test_a_v1_file_name_given_twice_is_answered_502(stack: Stack, v1: ScannedFunction) -> None:
    stack.exports.put(PREFIX, FILES)
    stack.exports.links[file(1)] = stack.exports.link(file(0))
    assert "more than once" in problem(v1.post(DAY), 502, "link-refused")["detail"]


def test_a_key_that_v1_refuses_is_answered_502(stack: Stack, v1: ScannedFunction) -> None:
    stack.faults.add("export.file", Kind.STATUS, status=401, times=None)
    problem(v1.post(DAY), 502, "export-service-refused")


def test_a_v1_span_skips_complete_periods_without_a_request(stack: Stack, v1: ScannedFunction) -> None:
    only(v1.post(DAY))
    stack.exports.requests.clear()
    assert statuses(v1.post(span("2022-04-01", "2022-04-01"))) == {"2022-04-01": "complete"}
    assert requested(stack) == []
