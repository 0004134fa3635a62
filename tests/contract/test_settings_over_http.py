"""The settings of a running function."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.faults import Kind
from local.function import Answer
from local.stack import Stack
from tests.support.destination import Bucket
from tests.support.functions import ScannedFunction, StartFunction
from tests.support.requests_and_answers import DAY, FOLDER, MANIFEST, PREFIX, file, only, problem, span

WRONG = {
    "ANALYTICS_ID": "a/b",
    "BUCKET": "gs://x",
    "API_KEY_SECRET": "some-secret-key",
    "EXPORT_API_VERSION": "v3",
    "EXPORT_SERVICE_URL": "export.example.org",
    "DOWNLOAD_ORIGINS": "storage.googleapis.com",
    "OBJECT_PREFIX": "raw",
    "PARALLEL_TRANSFERS": "65",
    "DEADLINE_SECONDS": "soon",
    "STALL_SECONDS": "0",
    "STORAGE_EMULATOR_HOST": "127.0.0.1",
    "SECRET_MANAGER_EMULATOR_HOST": "http://127.0.0.1",
    "TASKS_QUEUE": "analytics-export",
    "CLOUD_TASKS_EMULATOR_HOST": "http://127.0.0.1",
}


def test_all_wrong_settings_are_named_together_with_the_expected_form(
    stack: Stack, start_function: StartFunction
) -> None:
    function = start_function(**WRONG)
    detail = problem(function.post(DAY), 500, "misconfigured")["detail"]
    assert sorted(re.findall(r"\b([A-Z_]{6,}) must be", detail)) == sorted(WRONG)
    assert problem(function.post(DAY), 500, "misconfigured")["detail"] == detail
    assert stack.exports.requests.count() == stack.secrets.requests.count() == 0
    logged = [(line["severity"], line["message"], line["error_type"]) for line in function.logs()]
    assert logged == [("ERROR", "request_refused", "misconfigured")] * 2


def test_missing_settings_are_named_together(stack: Stack) -> None:
    env = {"STORAGE_EMULATOR_HOST": stack.storage_host}
    with ScannedFunction(env) as function:
        detail = problem(function.post(DAY), 500, "misconfigured")["detail"]
    assert re.findall(r"\b([A-Z_]{6,}) must be", detail) == ["ANALYTICS_ID", "BUCKET", "API_KEY_SECRET"]


def test_the_analytics_id_is_part_of_the_requested_address(stack: Stack, start_function: StartFunction) -> None:
    problem(start_function(ANALYTICS_ID="ünï-id").post(DAY), 503, "not-available-yet")
    assert stack.exports.requests.all()[0].path == f"/download/v2/analytics/%C3%BCn%C3%AF-id/{PREFIX}"


def test_links_may_lead_to_any_of_several_origins(stack: Stack, function_with: StartFunction, bucket: Bucket) -> None:
    stack.exports.put(PREFIX, {file(0): b"a\n1\n"})
    origins = f"https://storage.googleapis.com, {stack.storage.url.upper()}/"
    only(function_with(DOWNLOAD_ORIGINS=origins).post(DAY))
    assert FOLDER + file(0) in bucket.names()


def test_links_may_lead_only_to_cloud_storage_by_default(stack: Stack, start_function: StartFunction) -> None:
    function = start_function(DOWNLOAD_ORIGINS="")
    assert "(https://storage.googleapis.com)" in problem(function.post(DAY), 502, "link-refused")["detail"]
    assert stack.storage.requests.count("link.get") == 0


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.mark.parametrize(("setting", "at_once"), [("1", 1), ("3", 3), ("", 8)], ids=["1", "3", "8 by default"])
def test_the_number_of_files_copied_at_once_is(
    stack: Stack, function_with: StartFunction, pool: ThreadPoolExecutor, setting: str, at_once: int
) -> None:
    stack.exports.put(PREFIX, {file(number): b"a\n1\n" for number in range(10)})
    hold = stack.faults.add("link.get", Kind.HOLD, times=None)
    function = function_with(**({"PARALLEL_TRANSFERS": setting} if setting else {}))
    answer = pool.submit(function.post, DAY)
    until = time.monotonic() + 10
    while stack.storage.requests.count("link.get") < at_once and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.2)  # long enough for another one to start
    running = stack.storage.requests.count("link.get")
    hold.release()
    assert only(answer.result())["objects"] == 10
    assert running == at_once


def test_a_copied_period_completes_without_waiting_for_another_periods_transfer(
    stack: Stack, function_with: StartFunction, bucket: Bucket, pool: ThreadPoolExecutor
) -> None:
    """Its headers were read while its files were copied: it needs no place in the pool for them."""
    listing = stack.faults.add("export.list", Kind.HOLD, name="2022-04-02")
    first = stack.faults.add("link.get", Kind.HOLD, name="2022-04-01")
    hold = stack.faults.add("link.get", Kind.HOLD, name="2022-04-02")
    answer = pool.submit(function_with(PARALLEL_TRANSFERS="1").post, span("2022-04-01", "2022-04-02"))
    first.wait_until_reached()  # the first day has the pool's one place, and the second comes next
    listing.release()
    time.sleep(0.2)
    first.release()
    hold.wait_until_reached()
    until = time.monotonic() + 10
    while MANIFEST not in bucket.names() and not answer.done() and time.monotonic() < until:
        time.sleep(0.01)
    is_complete = MANIFEST in bucket.names()
    hold.release()
    assert answer.result().status == 200
    assert is_complete


def test_a_stalled_transfer_is_broken_off_after_the_stall_time_and_resumed(
    stack: Stack, function_with: StartFunction, bucket: Bucket
) -> None:
    data = b"a,b\n" + b"1,2\n" * 500_000
    stack.exports.put(PREFIX, {file(0): data})
    stalled = stack.faults.add("link.get", Kind.STALL, after_bytes=1_000_000, seconds=30)
    answer: Answer = function_with(STALL_SECONDS="0.5").post(DAY)
    assert only(answer)["bytes_copied"] == len(data)
    assert stalled.fired == 1
    assert 0.5 < answer.seconds < 10
    assert bucket.read(FOLDER + file(0)) == data
