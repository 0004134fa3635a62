"""Files that are already stored are not copied again, and cost few requests."""

import gzip
from collections import Counter

import pytest

from local.faults import Kind
from local.stack import Stack
from tests.support.destination import Bucket
from tests.support.functions import ScannedFunction
from tests.support.requests_and_answers import DAY, FOLDER, MANIFEST, PREFIX, file, only

FILES = {file(number): b"a,b\n" + b"1,2\n" * 100_000 for number in range(5)}


@pytest.mark.parametrize(
    ("files", "content_encoding"),
    [
        pytest.param(FILES, None, id="files"),
        pytest.param({file(0): gzip.compress(FILES[file(0)])}, "gzip", id="a gzip file"),
        pytest.param({file(0): b"", file(1): b"a\n"}, None, id="an empty file"),
    ],
)
def test_an_unchanged_run_writes_nothing(
    stack: Stack,
    function: ScannedFunction,
    bucket: Bucket,
    files: dict[str, bytes],
    content_encoding: str | None,
) -> None:
    stack.exports.put(PREFIX, files, content_encoding=content_encoding)
    only(function.post(DAY))
    before = {name: (blob.generation, blob.metageneration) for name, blob in bucket.blobs().items()}
    export = only(function.post(DAY))
    assert (export["status"], export["objects"], export["bytes_copied"]) == ("unchanged", len(files), 0)
    assert export["bytes"] == sum(map(len, files.values()))
    assert {name: (blob.generation, blob.metageneration) for name, blob in bucket.blobs().items()} == before


@pytest.mark.ours_only
def test_an_unchanged_run_costs_one_request_per_file_and_four_more(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put(PREFIX, FILES)
    only(function.post(DAY))
    for log in (stack.exports.requests, stack.storage.requests, stack.secrets.requests):
        log.clear()
    assert only(function.post(DAY))["status"] == "unchanged"
    assert Counter(request.operation for request in stack.storage.requests.all()) == {
        "link.get": len(FILES),
        "object.list": 2,  # the manifests of this and the previous period, and this one's files
        "object.read": 1,  # the manifest
    }
    assert stack.exports.requests.count() == 1
    assert stack.secrets.requests.count() == 0
    assert sum(request.sent_bytes for request in stack.storage.requests.of("link.get")) <= len(FILES)


@pytest.mark.ours_only
def test_a_source_that_ignores_range_is_compared_without_reading_its_files(
    stack: Stack, function: ScannedFunction
) -> None:
    stack.exports.put(PREFIX, {file(0): [b"a,b\n", *[b"1,2\n" * (1 << 18)] * 64]})
    only(function.post(DAY))
    stack.faults.add("link.get", Kind.IGNORE_RANGE, times=None)
    stack.storage.requests.clear()
    assert only(function.post(DAY))["status"] == "unchanged"
    [comparison] = stack.storage.requests.of("link.get")
    assert comparison.sent_bytes < 32 << 20, "only what was in transit when the connection was closed"


@pytest.mark.ours_only
def test_only_files_that_differ_are_copied(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put(PREFIX, FILES)
    only(function.post(DAY))
    stack.storage.requests.clear()
    stack.exports.put(PREFIX, FILES | {file(2): b"a,b\n3,4\n"})
    assert only(function.post(DAY))["bytes_copied"] == 8
    assert [request.name for request in stack.storage.requests.of("object.insert")] == [FOLDER + file(2), MANIFEST]


def test_equal_files_without_a_manifest_get_one_and_are_not_copied_again(
    stack: Stack, function: ScannedFunction, bucket: Bucket
) -> None:
    """As after a run that ended between the last file and the manifest."""
    stack.exports.put(PREFIX, FILES)
    only(function.post(DAY))
    bucket.delete(MANIFEST)
    before = {name: blob.generation for name, blob in bucket.blobs(FOLDER).items()}
    export = only(function.post(DAY))
    assert (export["status"], export["bytes_copied"]) == ("copied", 0)
    assert {name: blob.generation for name, blob in bucket.blobs(FOLDER).items()} == before
    assert MANIFEST in bucket.names()


def test_a_file_that_was_changed_in_the_bucket_is_copied_again(
    stack: Stack, function: ScannedFunction, bucket: Bucket
) -> None:
    stack.exports.put(PREFIX, FILES)
    only(function.post(DAY))
    bucket.put(FOLDER + file(1), b"x" * len(FILES[file(1)]))
    assert only(function.post(DAY))["bytes_copied"] == len(FILES[file(1)])
    assert bucket.contents(FOLDER) == {FOLDER + name: data for name, data in FILES.items()}


def test_a_new_order_in_the_listing_changes_nothing(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put(PREFIX, FILES)
    only(function.post(DAY))
    stack.exports.put(PREFIX, dict(reversed(FILES.items())))
    assert only(function.post(DAY))["status"] == "unchanged"
