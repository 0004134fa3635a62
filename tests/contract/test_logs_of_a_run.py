"""What a run logs: one flat JSON object a line, with units and the trace, and without secrets."""

import json
import re
from pathlib import Path

import pytest

from local.faults import Kind
from local.stack import API_KEY, Stack
from tests.support.functions import ScannedFunction, StartFunction
from tests.support.requests_and_answers import DAY, FOLDER, PREFIX, file, only, problem, span
from tests.support.secret_scan import secrets_in

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FIELD = "logging.googleapis.com/trace"
PERIOD = {
    "aggregation": "granular",
    "frequency": "daily",
    "start_date": "2022-04-01",
    "end_date": "2022-04-01",
    "file_prefix": PREFIX,
}


def lines(function: ScannedFunction) -> list[dict[str, object]]:
    """What was logged since the last call: only JSON objects."""
    parsed = [json.loads(line) for line in function.new_output().splitlines()]
    assert all(isinstance(line, dict) for line in parsed)
    return parsed


def busy_run(stack: Stack, function: ScannedFunction, headers: dict[str, str] | None = None) -> None:
    """Runs with some of everything: copied, removed, resumed, not available, failed, refused, wrong."""
    stack.exports.put(PREFIX, {file(0): b"a,b\n1,2\n", "gone.csv": b"a,b\n"})
    function.post(DAY)
    stack.exports.put(PREFIX, {file(0): b"a,b,c\n1,2,3\n" * 100_000, file(1): b"a,b\n", file(2): b"1\n"})
    stack.exports.remove("granular-2022-04-02")
    stack.exports.links["granular-2022-04-03"] = ["https://elsewhere.example.org/a.csv?X-Goog-Signature=abc"]
    stack.faults.add("link.get", Kind.RESET, name=file(0), after_bytes=300_000)
    stack.faults.add("link.get", Kind.WRONG_HASH, name="granular-2022-04-04", times=None)
    stack.faults.add("export.list", Kind.STATUS, name="2022-04-05", status=401, times=None)
    stack.faults.add("export.list", Kind.RESET, name="2022-04-06")
    if stack.is_destination_ours:
        stack.faults.add("upload.put", Kind.RESET, name=file(0), after_bytes=500_000)
    function.post(span("2022-04-01", "2022-04-06", refresh=True), headers=headers)
    function.post({"aggregation": "nothing"}, headers=headers)


def test_every_log_line_is_a_flat_json_object_with_severity_and_message(
    stack: Stack, function: ScannedFunction
) -> None:
    busy_run(stack, function)
    logged = lines(function)
    assert len(logged) > 10
    for line in logged:
        assert line["severity"] in {"INFO", "WARNING", "ERROR"}
        assert re.fullmatch(r"[a-z_]+", str(line["message"]))
        for name, value in line.items():
            assert re.fullmatch(r"[a-z0-9_]+|logging\.googleapis\.com/trace", name)
            assert isinstance(value, str | int | float) or name in {"columns_added", "columns_removed", "stack"}
    assert {
        "object_copied", "object_removed", "columns_changed", "header_unusable", "integrity_mismatch", "export_complete",
        "export_not_available", "export_failed", "request_refused",
    } <= {str(line["message"]) for line in logged}  # fmt: skip


def test_a_copied_period_has_two_log_lines(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put(PREFIX, {file(0): b"a,b\n1,2\n"})
    only(function.post(DAY))
    copied, complete = lines(function)
    assert isinstance(copied.pop("seconds"), float)
    assert isinstance(complete.pop("seconds"), float)
    object_name = FOLDER + file(0)
    assert copied == {"severity": "INFO", "message": "object_copied", "object": object_name, "size_bytes": 8} | PERIOD
    assert complete == PERIOD | {
        "severity": "INFO",
        "message": "export_complete",
        "status": "copied",
        "objects": 1,
        "size_bytes": 8,
        "bytes_copied": 8,
    }


@pytest.mark.parametrize(
    ("status", "severity", "message", "slug"),
    [
        (404, "WARNING", "export_not_available", "not-available-yet"),
        (418, "ERROR", "export_failed", "export-service-error"),
    ],
)
def test_a_period_that_fails_is_logged_with_its_reason(
    stack: Stack, function: ScannedFunction, status: int, severity: str, message: str, slug: str
) -> None:
    stack.faults.add("export.list", Kind.STATUS, status=status, times=None)
    answer = function.post(DAY)
    (line,) = lines(function)
    assert (line["severity"], line["message"], line["error_type"]) == (severity, message, slug)
    assert line["detail"] == answer.json()["detail"]


def test_a_refused_request_is_logged(function: ScannedFunction) -> None:
    answer = function.post({"aggregation": "nothing"})
    (line,) = lines(function)
    assert (line["severity"], line["message"], line["error_type"]) == ("WARNING", "request_refused", "invalid-request")
    assert line["detail"] == answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
        {"X-Cloud-Trace-Context": f"{TRACE}/1234;o=1"},
        {"X-Cloud-Trace-Context": TRACE},
    ],
    ids=["traceparent", "X-Cloud-Trace-Context", "X-Cloud-Trace-Context, the trace alone"],
)
def test_every_log_line_of_a_traced_request_has_its_trace(
    stack: Stack, function: ScannedFunction, headers: dict[str, str]
) -> None:
    stack.exports.put(PREFIX, {file(0): b"a,b\n1,2\n"})
    only(function.post(DAY, headers=headers))
    function.post({"aggregation": "nothing"}, headers=headers)
    logged = lines(function)
    assert {line["message"] for line in logged} == {"object_copied", "export_complete", "request_refused"}
    assert {line.get(FIELD) for line in logged} == {f"projects/local/traces/{TRACE}"}


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}, {"X-Cloud-Trace-Context": "1/2"}])
def test_log_lines_of_a_request_without_a_trace_have_none(function: ScannedFunction, headers: dict[str, str]) -> None:
    only(function.post(DAY, headers=headers))
    logged = lines(function)
    assert logged
    assert not any(FIELD in line for line in logged)


def test_with_execution_ids_the_log_lines_are_still_json_objects(stack: Stack, function_with: StartFunction) -> None:
    """functions-framework then rewrites what is printed, and finds the id in each thread's context."""
    function = function_with(LOG_EXECUTION_ID="true")
    function.new_output()
    busy_run(stack, function, {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "Function-Execution-Id": "run-17"})
    logged = [line for line in lines(function) if FIELD in line]
    assert len(logged) > 8
    for line in logged:
        assert line["severity"] in {"INFO", "WARNING", "ERROR"}
        assert re.fullmatch(r"[a-z_]+", str(line["message"]))
        assert line["logging.googleapis.com/labels"] == {"execution_id": "run-17"}


@pytest.mark.parametrize(
    "text",
    [
        API_KEY,
        "another-secret-key-9876543210",
        "https://storage.googleapis.com/b/o?X-Goog-Signature=abc",
        "X-Goog-Credential=abc",
        "/upload/storage/v1/b/x/o?uploadType=resumable&upload_id=abc",
        "https://elsewhere.example.org/file-1?auth=token",
    ],
)
def test_the_secret_scan_finds_secrets(text: str) -> None:
    assert secrets_in(f'{{"message": "{text}"}}')


def test_the_secret_scan_ignores_other_text(stack: Stack, function: ScannedFunction) -> None:
    function.post({"day": "2022-04-01?x=1"})
    stack.exports.links[PREFIX] = ["https://elsewhere.example.org/file.csv"]
    problem(function.post(DAY), 502, "link-refused")
    assert secrets_in("https://storage.googleapis.com/b/o is not one of DOWNLOAD_ORIGINS?") == []


def test_no_secret_is_logged_even_with_every_logger_at_debug(stack: Stack, tmp_path: Path) -> None:
    """An operator who turns all logging up sees neither links' queries nor upload sessions nor the key."""
    program = tmp_path / "loud.py"
    program.write_text("import logging\nlogging.basicConfig(level=logging.DEBUG)\nfrom main import export_analytics\n")
    stack.exports.put(PREFIX, {file(0): b"a,b\n" * 300_000, file(1): b"a,b\n1,2\n"})
    stack.faults.add("link.get", Kind.RESET, name=file(0), after_bytes=100_000)
    with ScannedFunction(stack.function_env(), source=program) as loud:
        only(loud.post(DAY))
        assert "DEBUG" in loud.new_output()
