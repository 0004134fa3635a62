"""Every JSON body that the documents show is a request that the function accepts, or an answer that it gives."""

import json
from typing import Any

import pytest

from local.stack import Stack
from tests.docs.documents import DOCUMENTS, Block, blocks, inline_code
from tests.support.functions import ScannedFunction

ANSWERS = [block for block in blocks("json") if {"exports", "coverage"} & set(json.loads(block.text))]
REQUESTS = sorted(
    {block.text.strip() for block in blocks("json") if block not in ANSWERS}
    | {code for document in DOCUMENTS for code in inline_code(document) if code.startswith('{"aggregation"')}
)


def test_the_documents_show_requests_and_answers() -> None:
    assert len(REQUESTS) >= 3
    assert ANSWERS


@pytest.mark.parametrize("body", REQUESTS)
def test_the_function_accepts_a_request_as_shown(function: ScannedFunction, body: str) -> None:
    answer = function.post({**json.loads(body), "dry_run": True})
    assert answer.status == 200, answer.text
    assert {export["status"] for export in json.loads(answer.text)["exports"]} <= {"planned", "complete"}


@pytest.mark.parametrize("block", ANSWERS, ids=str)
def test_the_function_answers_as_shown(stack: Stack, function: ScannedFunction, block: Block) -> None:
    """A request for a day of two files, and one for the coverage on the morning two days later."""
    stack.exports.put("granular-2022-04-01", {"a.csv": b"a\n1\n", "b.csv": b"a\n2\n"})
    answers = [
        function.post({"aggregation": "granular", "frequency": "daily", "date": "2022-04-01"}),
        function.get(headers={"X-CloudScheduler-ScheduleTime": "2022-04-03T09:00:00Z"}),
    ]
    given = [comparable(json.loads(answer.text.replace(stack.bucket, "BUCKET"))) for answer in answers]
    assert comparable(json.loads(block.text)) in given


def comparable(value: Any, name: str = "") -> object:
    """The fields in order; where values differ from run to run, only their type."""
    if isinstance(value, dict):
        return [(name, comparable(each, name)) for name, each in value.items()]
    if isinstance(value, list):
        return [comparable(each) for each in value]
    return type(value) if name in {"bytes", "bytes_copied", "completed_at", "seconds"} else value
