"""The filters of metrics and alerts match the log lines that the function really writes."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.function import FunctionProcess
from local.stack import SECRET, Stack
from tests.terraform.terraform_cli import resources

RESOURCE = {
    "resource.type": "cloud_run_revision",
    "resource.labels.service_name": "analytics-export",
    "resource.labels.location": "europe-west3",
}

Line = dict[str, object]


@pytest.fixture(scope="module")
def log() -> dict[str, list[Line]]:
    """The function's log lines for good runs, for a period that is not available, and for faults that need a person."""
    request = {"aggregation": "granular", "frequency": "daily"}
    lines: dict[str, list[Line]] = {}
    with Stack() as stack:
        stack.clock.fixed = datetime.now(UTC) + timedelta(days=1)  # so yesterday is available at any time of day
        with FunctionProcess(stack.function_env()) as function:
            assert function.post(request).status == 200
            lines["good"] = function.logs()
            assert function.post({**request, "last": 1}).status == 200
            lines["caught up"] = function.logs()[len(lines["good"]) :]
        with FunctionProcess(stack.function_env()) as function:
            stack.exports.put("granular-2022-04-01", {})
            assert function.post({**request, "date": "2022-04-01"}).status == 503
            lines["not available"] = function.logs()
        stack.exports.keys.clear()
        with FunctionProcess(stack.function_env()) as function:
            assert function.post(request).status == 502
            lines["refused"] = function.logs()
        with FunctionProcess(stack.function_env()) as function:
            stack.secrets.disable(SECRET, 1)
            assert function.post(request).status == 500
            lines["key disabled"] = function.logs()
        with FunctionProcess(stack.function_env()) as function:
            stack.secrets.remove(SECRET)
            assert function.post(request).status == 500
            lines["no key"] = function.logs()
        with FunctionProcess({**stack.function_env(), "ANALYTICS_ID": ""}) as function:
            assert function.post(request).status == 500
            lines["misconfigured"] = function.logs()
    return lines


def is_matched(log_filter: str, line: Line) -> bool:
    """Evaluate the part of Cloud Logging's filter language that the module uses.

    FIELD=VALUE, FIELD=(A OR B) and FIELD:PART, joined by AND, and one NOT (...) of these at the end.
    """
    log_filter, _, excluded = log_filter.partition(" AND NOT (")
    if excluded and is_matched(excluded.removesuffix(")"), line):
        return False
    entry: dict[str, Any] = {**RESOURCE, **{f"jsonPayload.{name}": value for name, value in line.items()}}
    for term in log_filter.split(" AND "):
        comparison = re.fullmatch(r'([\w.]+)([=:])(?:"([^"]*)"|\((.*)\))', term)
        assert comparison, term
        field, operator, value, values = comparison.groups()
        if operator == ":":
            if value.lower() not in str(entry.get(field, "")).lower():
                return False
        elif entry.get(field) not in (re.findall(r'"([^"]*)"', values) if values else [value]):
            return False
    return True


def matched(name: str, lines: list[Line]) -> list[Line]:
    """The lines that a metric counts, or that the alert key_refused matches."""
    if name == "key_refused":
        (condition,) = resources("defaults", "google_monitoring_alert_policy")[name]["conditions"]
        log_filter = condition["condition_matched_log"][0]["filter"]
    else:
        log_filter = resources("defaults", "google_logging_metric")[name]["filter"]
    return [line for line in lines if is_matched(log_filter, line)]


@pytest.mark.parametrize(
    ("run", "completed", "problems", "key_refused", "no_key"),
    [
        ("good", 1, 0, 0, 0),
        ("caught up", 1, 0, 0, 0),
        ("not available", 0, 1, 0, 0),
        ("refused", 0, 1, 1, 0),
        ("key disabled", 0, 1, 1, 0),
        ("no key", 0, 1, 0, 1),
        ("misconfigured", 0, 0, 1, 0),
    ],
)
def test_each_outcome_is_counted_once_and_only_by_its_metrics(
    log: dict[str, list[Line]], run: str, completed: int, problems: int, key_refused: int, no_key: int
) -> None:
    lines = log[run]
    assert len(matched("completed", lines)) == completed, lines
    assert len(matched("problems", lines)) == problems, lines
    assert len(matched("key_refused", lines)) == key_refused, lines
    assert len(matched("no_key", lines)) == no_key, lines


@pytest.mark.parametrize(("metric", "run"), [("bytes", "good"), ("completed", "good"), ("problems", "not available")])
def test_every_label_is_a_field_of_the_line(log: dict[str, list[Line]], metric: str, run: str) -> None:
    (line,) = matched(metric, log[run])
    extractors = resources("defaults", "google_logging_metric")[metric]["label_extractors"]
    fields = {re.fullmatch(r"EXTRACT\(jsonPayload\.(\w+)\)", extractor)[1] for extractor in extractors.values()}  # type: ignore[index] # fails the test as it should
    assert fields <= set(line)


def test_the_metric_bytes_has_the_bytes_that_a_run_copied(log: dict[str, list[Line]]) -> None:
    (line,) = matched("bytes", log["good"])
    metric = resources("defaults", "google_logging_metric")["bytes"]
    field = re.fullmatch(r"EXTRACT\(jsonPayload\.(\w+)\)", metric["value_extractor"])
    assert field
    assert isinstance(line[field[1]], int)
    assert int(str(line[field[1]])) > 0


def test_a_call_that_never_reached_the_function_is_counted_by_its_scheduler_job() -> None:
    """By Cloud Scheduler's own log line, in its documented form."""
    log_filter = resources("defaults", "google_logging_metric")["failed_attempts"]["filter"]
    assert log_filter.split(" AND ")[2:] == [
        'jsonPayload."@type"="type.googleapis.com/google.cloud.scheduler.logging.AttemptFinished"',
        "severity>=ERROR",
    ]


def test_every_attempt_of_a_check_is_counted_as_passed_or_failed() -> None:
    metrics = resources("defaults", "google_logging_metric")
    failed, passed = (metrics[f"{which}_checks"]["filter"] for which in ("failed", "passed"))
    assert failed.removesuffix(" AND severity>=ERROR") == passed.removesuffix(" AND severity<ERROR")
    checks = [name for name in resources("defaults", "google_cloud_scheduler_job") if name.startswith("check/")]
    named = re.findall(r'"(analytics-export-[a-z-]+)"', failed)
    assert named == [f"analytics-export-{name.removeprefix('check/').replace('/', '-')}-check" for name in checks]
