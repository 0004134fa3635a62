"""GET /openapi.json is true: the function answers every request as it describes."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from analytics_export.openapi import document
from local.faults import Kind
from local.stack import SECRET, Stack
from tests.support.functions import ScannedFunction, StartFunction
from tests.support.requests_and_answers import DAY
from tests.support.secret_scan import secrets_in

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
"""Together: no undocumented status, not even 5xx, and every answer matches its schema."""
SHORT_DEADLINE = {"DEADLINE_SECONDS": "1"}
"""So that a span of hundreds of periods ends soon, with a documented answer too."""
schema = schemathesis.openapi.from_dict(document())


@schema.parametrize()
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_documented(case: Any, function_with: StartFunction) -> None:
    """To requests that the document allows, and to others."""
    response = case.call(base_url=function_with(**SHORT_DEADLINE).url, timeout=60)
    case.validate_response(response, checks=CHECKS)
    assert secrets_in(f"{response.headers}\n{response.text}") == []


def test_the_function_answers_with_the_openapi_document(function: ScannedFunction) -> None:
    answer = function.get("openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == document()


def test_the_openapi_document_needs_no_settings() -> None:
    with ScannedFunction({}) as function:
        assert function.get("openapi.json").json() == document()


def without_a_key(stack: Stack) -> None:
    stack.secrets.remove(SECRET)


def refused(stack: Stack) -> None:
    stack.faults.add("export.list", Kind.STATUS, status=401, times=None)


def no_report(stack: Stack) -> None:
    stack.faults.add("export.list", Kind.STATUS, status=404, times=None)


def without_a_bucket(stack: Stack) -> None:
    stack.storage.denied.add("storage.objects.list")
    stack.storage.denied.add("storage.objects.get")


@pytest.mark.ours_only
@pytest.mark.parametrize(
    ("break_it", "method", "path", "query", "status"),
    [
        (without_a_key, "POST", "/", DAY, 500),
        (refused, "POST", "/", DAY, 502),
        (no_report, "POST", "/", DAY, 503),
        (without_a_bucket, "GET", "/", {}, 500),
        (no_report, "GET", "/", {"aggregation": "granular", "frequency": "daily", "from": "2022-04-01", "require_complete": "true"}, 503),
        (refused, "GET", "/check", {}, 502),
        (without_a_bucket, "GET", "/check", {}, 500),
    ],
)  # fmt: skip
def test_every_problem_is_documented(
    stack: Stack,
    start_function: StartFunction,
    break_it: Callable[[Stack], None],
    method: str,
    path: str,
    query: Mapping[str, str],
    status: int,
) -> None:
    function = start_function()
    break_it(stack)
    response = requests.request(method, function.url + path, params=query, timeout=60)
    assert response.status_code == status
    case = schema[path][method].Case(query=dict(query))
    case.validate_response(response, checks=CHECKS)
