"""Every JSON body that the documents show is a request that the function takes, or an answer that it gives."""

import json
from typing import Any

import pytest

from local.stack import Stack
from tests.docs.documents import DOCUMENTS, Block, blocks, inline_code
from tests.watched import WatchedFunction

ANSWERS = [block for block in blocks("json") if "exports" in json.loads(block.text)]
REQUESTS = sorted(
    {block.text.strip() for block in blocks("json") if block not in ANSWERS}
    | {code for document in DOCUMENTS for code in inline_code(document) if code.startswith('{"aggregation"')}
)


def test_the_documents_show_both() -> None:
    assert len(REQUESTS) >= 3
    assert ANSWERS


@pytest.mark.parametrize("body", REQUESTS)
def test_the_function_takes_a_request_as_shown(function: WatchedFunction, body: str) -> None:
    answer = function.post({**json.loads(body), "dry_run": True})
    assert answer.status == 200, answer.text
    assert {export["status"] for export in exports(answer.json())} <= {"planned", "complete"}


@pytest.mark.parametrize("block", ANSWERS, ids=str)
def test_the_function_answers_as_shown(stack: Stack, function: WatchedFunction, block: Block) -> None:
    shown = json.loads(block.text)
    stack.exports.put("granular-2022-04-01", {"a.csv": b"a\n1\n", "b.csv": b"a\n2\n"})
    given = function.post({"aggregation": "granular", "frequency": "daily", "date": "2022-04-01"}).json()
    assert without_sizes(given, bucket=stack.bucket) == without_sizes(shown, bucket="BUCKET")


def exports(answer: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer["exports"]
    return found


def without_sizes(answer: dict[str, Any], *, bucket: str) -> list[tuple[str, object]]:
    """The fields in their order; bytes and seconds differ from run to run."""
    (export,) = exports(answer)
    export["manifest"] = export["manifest"].replace(bucket, "BUCKET")
    fields = [*export.items(), *((name, value) for name, value in answer.items() if name != "exports")]
    return [(name, type(value) if name.startswith(("bytes", "seconds")) else value) for name, value in fields]
