"""Log lines are JSON objects, with the fields that Cloud Logging reads."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest

from analytics_export.logs import Log, trace_fields

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_log_event_is_one_flat_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log().bind(aggregation="granular").bind(frequency="daily")
    log.info("object_copied", size_bytes=7)
    log.warning("columns_changed")
    log.error("export_failed", detail="two\nlines")
    bound = {"aggregation": "granular", "frequency": "daily"}
    assert lines(capsys) == [
        {"severity": "INFO", "message": "object_copied", "size_bytes": 7} | bound,
        {"severity": "WARNING", "message": "columns_changed"} | bound,
        {"severity": "ERROR", "message": "export_failed", "detail": "two\nlines"} | bound,
    ]


def test_binding_fields_does_not_change_the_original_log(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.bind(aggregation="granular")
    log.info("x")
    assert lines(capsys) == [{"severity": "INFO", "message": "x"}]


def test_a_defect_is_logged_with_its_stack_and_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    """The text of an error may contain a link."""
    try:
        raise ValueError("https://storage.example/file?X-Goog-Signature=secret")
    except ValueError as error:
        Log().bind(frequency="daily").defect(error)
    [line] = lines(capsys)
    assert (line["severity"], line["message"], line["error"]) == ("ERROR", "defect", "ValueError")
    assert line["frequency"] == "daily"
    [frame] = line["stack"]
    assert frame.startswith(__file__)
    assert frame.endswith(test_a_defect_is_logged_with_its_stack_and_without_its_text.__name__)
    assert "Signature" not in str(line)


def test_a_field_that_json_cannot_express_is_logged_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A log line must never end a run."""
    Log().info("x", start_date=date(2022, 4, 1))
    assert lines(capsys) == [{"severity": "INFO", "message": "x", "start_date": "2022-04-01"}]


def test_log_lines_of_many_threads_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: Log().info("x", text="y" * 5000, number=number), range(200)))
    assert sorted(str(line["number"]) for line in lines(capsys)) == sorted(map(str, range(200)))


@pytest.mark.parametrize(
    ("headers", "trace"),
    [
        pytest.param({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE, id="traceparent"),
        pytest.param({"traceparent": f"00-{TRACE.upper()}-00F067AA0BA902B7-01"}, TRACE, id="traceparent in capitals"),
        pytest.param(
            {"traceparent": f"01-{TRACE}-00f067aa0ba902b7-01-more"}, TRACE, id="a later version of traceparent"
        ),
        pytest.param({"cloud_trace_context": f"{TRACE}/2;o=1"}, TRACE, id="X-Cloud-Trace-Context"),
        pytest.param({"cloud_trace_context": TRACE}, TRACE, id="X-Cloud-Trace-Context, the trace alone"),
        pytest.param({"cloud_trace_context": f"{TRACE};o=1"}, TRACE, id="X-Cloud-Trace-Context, without a span"),
        pytest.param(
            {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "cloud_trace_context": "0" * 32 + "/1"},
            TRACE,
            id="both: traceparent",
        ),
        pytest.param({}, None, id="neither"),
        pytest.param({"traceparent": "00-xyz-00f067aa0ba902b7-01"}, None, id="a broken traceparent"),
        pytest.param({"cloud_trace_context": f"{TRACE}x"}, None, id="a broken X-Cloud-Trace-Context"),
        pytest.param({"cloud_trace_context": "1/2"}, None, id="a short trace"),
    ],
)
def test_log_lines_name_the_trace_of_a_request(headers: dict[str, str], trace: str | None) -> None:
    given = {"traceparent": "", "cloud_trace_context": ""} | headers
    expected = {"logging.googleapis.com/trace": f"projects/some-project/traces/{trace}"} if trace else {}
    assert trace_fields(**given, project="some-project") == expected
