"""The deprecated v1 of the export service: one request a file, and the same result."""

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


def asked_for(stack: Stack) -> list[tuple[str, int]]:
    return [(request.path.rpartition("/")[2], request.status) for request in stack.exports.requests.all()]


@pytest.mark.parametrize("form", V1Form)
def test_a_link_is_found_in_every_form_of_answer(
    stack: Stack, v1: ScannedFunction, bucket: Bucket, form: V1Form
) -> None:
    stack.exports.v1_form = form
    stack.exports.put(PREFIX, FILES)
    assert only(v1.post(DAY))["status"] == "copied"
    assert bucket.contents(FOLDER) == {FOLDER + name: data for name, data in FILES.items()}


def test_files_are_asked_for_one_after_the_other_until_one_is_not_there(stack: Stack, v1: ScannedFunction) -> None:
    stack.exports.put(PREFIX, FILES)
    only(v1.post(DAY))
    assert asked_for(stack) == [(file(0), 200), (file(1), 200), (file(2), 200), (file(3), 404)]
    assert {request.path.rpartition("/")[0] for request in stack.exports.requests.all()} == {
        "/api/download/analytics/local-analytics-id"
    }


def test_the_result_is_that_of_v2(stack: Stack, v1: ScannedFunction, function: ScannedFunction, bucket: Bucket) -> None:
    stack.exports.put(PREFIX, FILES)
    first = only(v1.post(DAY))
    names = set(bucket.names())
    second = only(function.post(DAY))
    assert second["status"] == "unchanged"
    assert names == {MANIFEST, *(FOLDER + name for name in FILES)} == set(bucket.names())
    same = ("file_prefix", "objects", "bytes", "columns_changed", "manifest", "error")
    assert [first[key] for key in same] == [second[key] for key in same]


def test_an_unchanged_run_costs_the_same(stack: Stack, v1: ScannedFunction) -> None:
    stack.exports.put(PREFIX, FILES)
    only(v1.post(DAY))
    stack.storage.requests.clear()
    assert only(v1.post(DAY))["status"] == "unchanged"
    assert stack.storage.requests.count("link.get") == len(FILES)


def test_weeks_and_months_are_asked_for_by_their_prefix(stack: Stack, v1: ScannedFunction) -> None:
    only(v1.post({"aggregation": "interaction", "frequency": "monthly", "date": "2022-04-01"}))
    assert asked_for(stack)[0] == ("interaction-2022-04-01-2022-04-30-000000000000.csv", 200)


def test_a_first_file_that_is_not_there_is_answered_503(stack: Stack, v1: ScannedFunction) -> None:
    stack.exports.remove(PREFIX)
    assert PREFIX in problem(v1.post(DAY), 503, "not-available-yet")["detail"]
    assert asked_for(stack) == [(file(0), 404)]


def test_an_answer_without_a_link_is_answered_502(stack: Stack, v1: ScannedFunction) -> None:
    stack.faults.add("export.file", Kind.STATUS, status=200, body=b'{"message": "hello"}', times=None)
    assert "expected one link" in problem(v1.post(DAY), 502, "export-service-error")["detail"]


def test_a_link_elsewhere_is_answered_502(stack: Stack, v1: ScannedFunction) -> None:
    stack.exports.links[file(0)] = "https://elsewhere.example.org/x.csv"
    problem(v1.post(DAY), 502, "link-refused")


def test_a_file_name_given_twice_is_answered_502(stack: Stack, v1: ScannedFunction) -> None:
    stack.exports.put(PREFIX, FILES)
    stack.exports.links[file(1)] = stack.exports.link(file(0))
    assert "more than once" in problem(v1.post(DAY), 502, "link-refused")["detail"]


def test_a_refused_key_is_answered_502(stack: Stack, v1: ScannedFunction) -> None:
    stack.faults.add("export.file", Kind.STATUS, status=401, times=None)
    problem(v1.post(DAY), 502, "export-service-refused")


def test_a_span_skips_what_is_complete_without_asking(stack: Stack, v1: ScannedFunction) -> None:
    only(v1.post(DAY))
    stack.exports.requests.clear()
    assert statuses(v1.post(span("2022-04-01", "2022-04-01"))) == {"2022-04-01": "complete"}
    assert asked_for(stack) == []
