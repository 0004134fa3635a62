"""The periods of a span are exported side by side, with few requests, and the answer is the same as one by one."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from google.cloud.storage import Blob

from analytics_export.retries import TRIES_WITHOUT_PROGRESS
from local.faults import Kind
from local.stack import Stack
from tests.support.destination import Bucket
from tests.support.functions import Functions, ScannedFunction, StartFunction
from tests.support.requests_and_answers import DAY, MANIFEST, exports, file, only, problem, span, statuses

FIRST = date(2022, 4, 1)
MIB = 1024 * 1024


def days(count: int) -> dict[str, object]:
    return span(str(FIRST), str(FIRST + timedelta(days=count - 1)))


def issue(stack: Stack, count: int, data: bytes = b"a,b\n1,2\n") -> None:
    """One short file a day."""
    for number in range(count):
        prefix = f"granular-{FIRST + timedelta(days=number)}"
        stack.exports.put(prefix, {file(0, prefix): data})


def new_requests(stack: Stack) -> Counter[str]:
    """Count the requests to all services since the last call."""
    logs = (stack.exports.requests, stack.storage.requests, stack.secrets.requests)
    counted = Counter(request.operation for log in logs for request in log.all())
    for log in logs:
        log.clear()
    return counted


# How many requests a run may cost


@pytest.mark.ours_only
def test_a_new_period_of_one_short_file_costs_seven_requests(stack: Stack, function: ScannedFunction) -> None:
    issue(stack, 20)
    function.post(DAY | {"aggregation": "interaction"})  # warm
    new_requests(stack)
    assert set(statuses(function.post(days(20))).values()) == {"copied"}
    assert new_requests(stack) == {
        "object.list": 1 + 3 * 20,  # the manifests; a period's files before, and around the manifest's writing
        "export.list": 20,
        "link.get": 20,
        "object.insert": 2 * 20,  # the file and the manifest
    }


@pytest.mark.ours_only
def test_complete_periods_cost_one_request_per_thousand(stack: Stack, function: ScannedFunction) -> None:
    issue(stack, 400)
    assert set(statuses(function.post(days(400))).values()) == {"copied"}
    new_requests(stack)
    assert set(statuses(function.post(days(400))).values()) == {"complete"}
    assert new_requests(stack) == {"object.list": 1}


@pytest.mark.ours_only
def test_a_short_file_costs_two_requests(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put("granular-2022-04-01", {file(number): b"a\n" * (number + 1) for number in range(50)})
    only(function.post(DAY))
    counted = new_requests(stack)
    assert (counted["link.get"], counted["object.insert"], counted["upload.start"]) == (50, 51, 0)


@pytest.mark.ours_only
@pytest.mark.parametrize(("size", "is_short"), [(0, True), (1, True), (MIB, True), (MIB + 1, False)])
def test_files_up_to_1_mib_need_no_session(stack: Stack, function: ScannedFunction, size: int, is_short: bool) -> None:  # noqa: FBT001 - a table
    stack.exports.put("granular-2022-04-01", {file(0): b"x" * size})
    only(function.post(DAY))
    assert new_requests(stack)["upload.start"] == (0 if is_short else 1)


# Side by side


@pytest.mark.ours_only
def test_a_period_that_waits_does_not_delay_the_others(stack: Stack, function: ScannedFunction, bucket: Bucket) -> None:
    hold = stack.faults.add("export.list", Kind.HOLD, name="2022-04-01")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(function.post, days(5))
        hold.wait_until_reached()
        while len(bucket.names("manifests/")) < 4:
            assert not running.done()
        hold.release()
        answer = running.result()
    assert statuses(answer) == dict.fromkeys((str(FIRST + timedelta(days=number)) for number in range(5)), "copied")
    assert [each["start_date"] for each in exports(answer)] == sorted(statuses(answer))


def test_every_log_line_about_a_period_has_its_fields(stack: Stack, function: ScannedFunction) -> None:
    issue(stack, 12)
    function.new_output()
    function.post(days(12))
    lines = [line for line in function.logs() if line["message"] in {"object_copied", "export_complete"}][-24:]
    assert Counter(line["file_prefix"] for line in lines) == {
        f"granular-{FIRST + timedelta(days=number)}": 2 for number in range(12)
    }
    copied = [line for line in lines if line["message"] == "object_copied"]
    assert all(f"{line['file_prefix']}-000000000000.csv" in str(line["object"]) for line in copied)


@pytest.mark.parametrize("slowest", ["2022-04-01", "2022-04-02", "2022-04-03", "2022-04-04"])
@pytest.mark.parametrize("has_metadata", [True, False], ids=["", "the previous manifest is an older version's"])
def test_columns_are_compared_in_the_order_of_the_periods(
    stack: Stack,
    function: ScannedFunction,
    bucket: Bucket,
    slowest: str,
    has_metadata: bool,  # noqa: FBT001 - a table
) -> None:
    """Whichever ends first; the first one with the period before the span."""
    headers = [b"a,b\n", b"a,b,c\n", b"a,b,c\n", b"a,c\n"]
    before = "granular-2022-03-31"
    stack.exports.put(before, {file(0, before): b"a\n"})
    only(function.post(DAY | {"date": "2022-03-31"}))
    if not has_metadata:
        without_metadata(bucket, MANIFEST.replace("2022-04-01", "2022-03-31"))
    for number, header in enumerate(headers):
        prefix = f"granular-{FIRST + timedelta(days=number)}"
        stack.exports.put(prefix, {file(0, prefix): header})
    stack.faults.add("export.list", Kind.DELAY, name=slowest, seconds=0.5)
    function.new_output()
    answer = function.post(days(4))
    assert [each["columns_changed"] for each in exports(answer)] == [True, True, False, True]
    warned = [line for line in function.logs() if line["message"] == "columns_changed"][-3:]
    assert [(line["start_date"], line["columns_added"], line["columns_removed"]) for line in warned] == [
        ("2022-04-01", ["b"], []),
        ("2022-04-02", ["c"], []),
        ("2022-04-04", [], ["b"]),
    ]


# Failures: a service that is down, and single bad periods


@pytest.mark.ours_only
@pytest.mark.parametrize("where", ["export.list", "link.get", "object.list", "object.insert", "secret.access"])
def test_a_service_that_is_down_is_detected_once_per_call(
    stack: Stack, start_function: StartFunction, where: str
) -> None:
    """A hundred periods take as many tries as a few."""
    issue(stack, 100)
    status = "UNAVAILABLE" if where == "secret.access" else 503
    stack.faults.add(where, Kind.STATUS, status=status, times=None)
    answer = start_function().post(days(100))
    problem(answer, 503, "upstream-unavailable")
    assert set(statuses(answer).values()) == {"failed"}
    (tries,) = stack.faults.fired.values()
    assert tries < 100 * TRIES_WITHOUT_PROGRESS / 2


@pytest.mark.parametrize("location", ["http://[", "http://x/%ff\xff\xfe"], ids=["not a URL", "not text"])
@pytest.mark.parametrize("where", ["export.list", "link.get"])
def test_a_redirect_is_not_even_parsed(stack: Stack, start_function: StartFunction, where: str, location: str) -> None:
    """Neither its target nor its body: one bad period does not stop the others, and costs no memory."""
    issue(stack, 5)
    headers = {"Location": location}
    stack.faults.add(
        where, Kind.STATUS, name="2022-04-03", status=302, headers=headers, body=b" " * (300 * MIB), times=None
    )
    function = start_function()
    found = statuses(function.post(days(5)))
    assert found == dict.fromkeys(found, "copied") | {"2022-04-03": "failed"}
    assert 45_000_000 < function.peak_rss_bytes() < 150_000_000


def test_a_retry_after_beyond_the_calendar_is_not_a_defect(stack: Stack, function: ScannedFunction) -> None:
    issue(stack, 3)
    headers = {"Retry-After": "Fri, 31 Dec 99999999999 00:00:00 GMT"}
    stack.faults.add("export.list", Kind.STATUS, name="2022-04-02", status=503, headers=headers)
    assert set(statuses(function.post(days(3))).values()) == {"copied"}


@pytest.mark.ours_only
def test_one_bad_period_of_many_files_does_not_starve_the_others(stack: Stack, function: ScannedFunction) -> None:
    """Its files are given up at the same time, while others succeed: the source is not down."""
    issue(stack, 60)
    first = "granular-2022-04-01"
    stack.exports.put(first, {file(number, first): b"a,b\n" for number in range(16)})
    stack.faults.add("link.get", Kind.STATUS, name="2022-04-01", status=503, times=None)
    found = statuses(function.post(days(60)))
    assert found == dict.fromkeys(found, "copied") | {"2022-04-01": "failed"}


@pytest.mark.ours_only
@pytest.mark.parametrize("day", ["2022-03-31", "2022-04-02"], ids=["before the span", "in the span"])
def test_one_manifest_that_cannot_be_read_does_not_stop_the_others(
    stack: Stack, function: ScannedFunction, bucket: Bucket, day: str
) -> None:
    issue(stack, 5)
    function.post(span("2022-03-31", "2022-04-05"))
    name = MANIFEST.replace("2022-04-01", day)
    without_metadata(bucket, name)
    stack.faults.add("object.read", Kind.STATUS, name=name, status=403, times=None)
    found = statuses(function.post(days(5)))
    assert {status for each, status in found.items() if each != day} == {"complete"}
    assert found.get(day) in {None, "failed"}


@pytest.mark.ours_only
def test_files_that_fail_leave_nothing_in_memory(stack: Stack, start_function: StartFunction) -> None:
    """An error that is kept until the answer must not keep the bytes that it is about."""
    files = {file(number): b"x" * MIB for number in range(200)}
    stack.exports.put("granular-2022-04-01", files)
    stack.faults.add("link.get", Kind.WRONG_HASH, times=None)
    function = start_function()
    problem(function.post(DAY), 502, "integrity")
    assert 45_000_000 < function.peak_rss_bytes() < 170_000_000


def test_a_bad_period_does_not_stop_the_others(stack: Stack, function: ScannedFunction) -> None:
    issue(stack, 40)
    bad = {str(FIRST + timedelta(days=number)) for number in (0, 7, 8, 9, 10, 11, 39)}
    stack.faults.add("export.list", Kind.STATUS, name="|".join(sorted(bad)), status=418, times=None)
    found = statuses(function.post(days(40)))
    assert {day for day, status in found.items() if status == "failed"} == bad
    assert {status for day, status in found.items() if day not in bad} == {"copied"}


# Manifests: their metadata and their body


def without_metadata(bucket: Bucket, name: str) -> None:
    """Remove its metadata, as if version 1.0.0 or another tool had written it."""
    bucket.write(name, bucket.read(name), metadata=None)


def blob_of(bucket: Bucket) -> Blob:
    return bucket.blobs("manifests/")[MANIFEST]


def rewritten(bucket: Bucket, *, body: Callable[[bytes], bytes] = bytes, **metadata: str) -> None:
    """Write the manifest again with another body, or with some of its metadata changed."""
    bucket.write(MANIFEST, body(bucket.read(MANIFEST)), metadata=blob_of(bucket).metadata | metadata)


def of_another_period(bucket: Bucket) -> None:
    """The manifest of the next day, with all its metadata, under the name of this one."""
    name = MANIFEST.replace("2022-04-01", "2022-04-02")
    blob = bucket.blobs("manifests/")[name]
    bucket.write(MANIFEST, bucket.read(name), metadata=blob.metadata)


CHANGES: dict[str, tuple[Callable[[Bucket], None], str]] = {
    "no metadata": (lambda bucket: without_metadata(bucket, MANIFEST), "complete"),
    "another body": (lambda bucket: rewritten(bucket, body=lambda _: b"{}"), "copied"),
    "another body of a manifest of another ID": (
        lambda bucket: rewritten(bucket, body=lambda text: text.replace(b"local-analytics-id", b"another-id")), "copied",
    ),
    "a field that another tool added": (lambda bucket: rewritten(bucket, mtime="17"), "complete"),
    "another ID": (lambda bucket: rewritten(bucket, analytics_id="another-id"), "complete"),
    "another count": (lambda bucket: rewritten(bucket, objects="9999", bytes="1"), "complete"),
    "counts that are not numbers": (lambda bucket: rewritten(bucket, objects="many"), "complete"),
    "a time that is not a time": (lambda bucket: rewritten(bucket, completed_at="yesterday"), "complete"),
    "the metadata and body of another period": (of_another_period, "copied"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES.values(), ids=CHANGES)
def test_the_body_of_a_manifest_counts_if_its_metadata_do_not_match(
    stack: Stack, function: ScannedFunction, bucket: Bucket, case: tuple[Callable[[Bucket], None], str]
) -> None:
    change, expected = case
    issue(stack, 2)
    function.post(days(2))
    true = bucket.manifest("granular/daily/start_date=2022-04-01")
    change(bucket)
    answer = function.post(days(1))
    found = only(answer)
    assert (found["status"], found["objects"], found["bytes"]) == (expected, 1, true["bytes"])
    assert bucket.manifest("granular/daily/start_date=2022-04-01")["objects"] == true["objects"]


def test_manifests_of_an_older_version_count_the_same(stack: Stack, function: ScannedFunction, bucket: Bucket) -> None:
    """They are read instead, side by side, and nothing is written."""
    issue(stack, 30)
    copied = exports(function.post(days(30)))
    for name in bucket.names("manifests/"):
        without_metadata(bucket, name)
    before = {name: blob.generation for name, blob in bucket.blobs().items()}
    complete = exports(function.post(days(30)))
    expected: list[dict[str, Any]] = [each | {"status": "complete", "bytes_copied": 0} for each in copied]
    assert complete == expected
    assert {name: blob.generation for name, blob in bucket.blobs().items()} == before


def test_other_objects_among_the_manifests_do_not_count(
    stack: Stack, function: ScannedFunction, bucket: Bucket
) -> None:
    issue(stack, 1)
    folder = "manifests/granular/daily/"
    odd = [
        f"{folder}start_date=2022-04-01.json.bak",
        f"{folder}start_date=2022-04-31.json",
        f"{folder}notes.txt",
        folder,
    ]
    for name in odd:
        bucket.put(name, b"x")
    assert only(function.post(days(1)))["status"] == "copied"
    assert set(odd) < set(bucket.names("manifests/"))


# Every read is bounded


@pytest.mark.ours_only
@pytest.mark.parametrize("body", [DAY, days(1)], ids=["a day", "a span"])
def test_a_huge_object_under_the_name_of_a_manifest_is_not_read(
    stack: Stack, start_function: StartFunction, bucket: Bucket, body: dict[str, object]
) -> None:
    issue(stack, 1)
    stack.storage.put(stack.bucket, MANIFEST, (b" " * MIB for _ in range(600)))
    function = start_function()
    assert only(function.post(body))["status"] == "copied"
    assert [read for read in stack.storage.requests.of("object.read") if read.name == MANIFEST] == [], (
        "its size is known from the listing"
    )
    assert 45_000_000 < function.peak_rss_bytes() < 150_000_000
    assert bucket.manifest("granular/daily/start_date=2022-04-01")["bytes"] == 8


HUGE = b" " * (100 * MIB)
FOR_ENDLESS_ANSWERS = 3
"""The instance whose peak of memory these tests read."""


@pytest.mark.ours_only
@pytest.mark.parametrize(
    ("where", "fault", "status", "slug"),
    [
        ("object.list", {"kind": Kind.STATUS, "status": 200, "body": HUGE}, 503, "upstream-unavailable"),
        ("object.list", {"kind": Kind.STATUS, "status": 503, "body": HUGE}, 503, "upstream-unavailable"),
        ("object.read", {"kind": Kind.STATUS, "status": 200, "body": HUGE}, 503, "upstream-unavailable"),
        ("object.read", {"kind": Kind.STATUS, "status": 503, "body": HUGE}, 503, "upstream-unavailable"),
        ("object.insert", {"kind": Kind.STATUS, "status": 200, "body": HUGE}, 503, "upstream-unavailable"),
        ("upload.put", {"kind": Kind.STATUS, "status": 200, "body": HUGE}, 503, "upstream-unavailable"),
        ("export.list", {"kind": Kind.STATUS, "status": 200, "body": HUGE}, 502, "export-service-error"),
        ("export.list", {"kind": Kind.STATUS, "status": 200, "body": b"[],[" * MIB}, 502, "export-service-error"),
        ("export.list", {"kind": Kind.STATUS, "status": 404, "body": HUGE}, 503, "not-available-yet"),
        ("export.list", {"kind": Kind.STATUS, "status": 401, "body": HUGE}, 502, "export-service-refused"),
        ("export.list", {"kind": Kind.STATUS, "status": 418, "body": HUGE}, 502, "export-service-error"),
        ("link.get", {"kind": Kind.STATUS, "status": 400, "body": HUGE}, 502, "export-service-error"),
        ("link.get", {"kind": Kind.SET_HEADERS, "headers": {"X-Long": "x" * 70_000}}, 503, "upstream-unavailable"),
        ("export.list", {"kind": Kind.SET_HEADERS, "headers": {"X-Long": "x" * 70_000}}, 503, "upstream-unavailable"),
        ("object.list", {"kind": Kind.SET_HEADERS, "headers": {"X-Long": "x" * 70_000}}, 503, "upstream-unavailable"),
    ],
)  # fmt: skip
def test_an_endless_answer_is_read_up_to_a_bound(
    stack: Stack, functions: Functions, where: str, fault: dict[str, Any], status: int, slug: str
) -> None:
    stack.exports.put("granular-2022-04-01", {file(0): b"a\n", file(1): b"a\n" * MIB})
    stack.storage.put(stack.bucket, MANIFEST, b"{}")
    stack.faults.add(where, times=None, **fault)
    function = functions.shared({}, instance=FOR_ENDLESS_ANSWERS)
    problem(function.post(DAY), status, slug)
    assert 45_000_000 < function.peak_rss_bytes() < 250_000_000


@pytest.mark.ours_only
def test_metadata_of_another_tool_do_not_cost_a_read_of_the_manifest(
    stack: Stack, function: ScannedFunction, bucket: Bucket
) -> None:
    """Such as the time stamps of `gcloud storage rsync`."""
    issue(stack, 1)
    function.post(days(1))
    rewritten(bucket, mtime="17")
    new_requests(stack)
    assert only(function.post(days(1)))["status"] == "complete"
    assert new_requests(stack) == {"object.list": 1}
