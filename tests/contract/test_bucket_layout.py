"""What the bucket contains: names, bytes, metadata, the manifest, and nothing else."""

import csv
import gzip
import io
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from local.faults import Kind
from local.stack import ANALYTICS_ID, Stack
from local.storage.objects import Change
from tests.support.destination import Bucket
from tests.support.functions import ScannedFunction, StartFunction
from tests.support.odd_files import HEADERLESS, ODD_BYTES, ODD_HEADERS, PERSON, ROWS, WRITTEN
from tests.support.odd_names import ODD_NAMES
from tests.support.requests_and_answers import DAY, FOLDER, MANIFEST, PREFIX, file, only, problem
from tests.support.source_files import crc32c

PERIOD = "granular/daily/start_date=2022-04-01"


def source(stack: Stack, prefix: str) -> dict[str, bytes]:
    return {name: info.read_bytes() for name, info in stack.exports.files(prefix).items()}


@pytest.mark.parametrize("prefix", ["", "raw/usercentrics/"], ids=["at the top", "under OBJECT_PREFIX"])
@pytest.mark.parametrize(
    ("aggregation", "frequency", "day", "folder", "file_prefix"),
    [
        ("interaction", "daily", "2022-04-01", "start_date=2022-04-01", "interaction-2022-04-01"),
        ("granular", "daily", "2024-02-29", "start_date=2024-02-29", "granular-2024-02-29"),
        ("interaction", "weekly", "2021-01-03", "start_date=2020-12-28", "interaction-2020-12-28-2021-01-03"),
        ("granular", "monthly", "2022-04-15", "start_date=2022-04-01", "granular-2022-04-01-2022-04-30"),
    ],
)
def test_only_files_and_manifest_are_written_and_under_the_documented_names(  # noqa: PLR0913, PLR0917 - a table
    stack: Stack,
    function_with: StartFunction,
    bucket: Bucket,
    aggregation: str,
    frequency: str,
    day: str,
    folder: str,
    file_prefix: str,
    prefix: str,
) -> None:
    function = function_with(**({"OBJECT_PREFIX": prefix} if prefix else {}))
    export = only(function.post({"aggregation": aggregation, "frequency": frequency, "date": day}))
    files = {
        f"{prefix}{aggregation}/{frequency}/{folder}/{name}": data for name, data in source(stack, file_prefix).items()
    }
    manifest = f"{prefix}manifests/{aggregation}/{frequency}/{folder}.json"
    assert len(files) == 3
    assert set(bucket.names()) == {*files, manifest}
    assert {name: data for name, data in bucket.contents().items() if name != manifest} == files
    assert export["manifest"] == f"gs://{stack.bucket}/{manifest}"


@pytest.mark.parametrize("size", [4, 1_100_000], ids=["in one request", "in a session"])
def test_the_file_name_is_the_links_last_segment_decoded(
    stack: Stack, function: ScannedFunction, bucket: Bucket, size: int
) -> None:
    files = {name: f"{number}\n".encode().ljust(size, b"x") for number, name in enumerate(ODD_NAMES)}
    stack.exports.put(PREFIX, files)
    only(function.post(DAY))
    assert bucket.contents(FOLDER) == {FOLDER + name: data for name, data in files.items()}
    named = {each["name"]: each["size"] for each in bucket.manifest(PERIOD)["objects"]}
    assert named == {FOLDER + name: size for name in files}
    assert only(function.post(DAY))["status"] == "unchanged"


def test_the_bytes_are_those_of_the_source(stack: Stack, function: ScannedFunction, bucket: Bucket) -> None:
    stack.exports.put(PREFIX, ODD_BYTES)
    export = only(function.post(DAY))
    assert bucket.contents(FOLDER) == {FOLDER + name: data for name, data in ODD_BYTES.items()}
    assert {name: (blob.size or 0, blob.crc32c) for name, blob in bucket.blobs(FOLDER).items()} == {
        FOLDER + name: (len(data), crc32c(data)) for name, data in ODD_BYTES.items()
    }
    size = sum(map(len, ODD_BYTES.values()))
    assert (export["objects"], export["bytes"], export["bytes_copied"]) == (len(ODD_BYTES), size, size)
    again = only(function.post(DAY))
    assert (again["status"], again["bytes"], again["bytes_copied"]) == ("unchanged", size, 0)


@pytest.mark.parametrize("row", ["one byte", "a quote that is never closed", "bytes that are not text", "broken gzip"])
def test_an_odd_file_alone_is_copied_too(stack: Stack, function: ScannedFunction, bucket: Bucket, row: str) -> None:
    """The manifest's columns are what a CSV reader reads from the first line, if that is a header."""
    data, columns = ODD_HEADERS[row]
    stack.exports.put(PREFIX, {file(0): data})
    only(function.post(DAY))
    assert bucket.read(FOLDER + file(0)) == data
    assert bucket.manifest(PERIOD)["columns"] == columns
    assert only(function.post(DAY))["status"] == "unchanged"


@pytest.mark.parametrize(
    ("content_type", "content_encoding"),
    [
        ("text/csv", None),
        ("text/csv; charset=utf-8", None),
        ("application/octet-stream", None),
        ("application/gzip", None),
        ("text/csv", "gzip"),
    ],
)
def test_content_type_and_encoding_are_those_of_the_source(
    stack: Stack, function: ScannedFunction, bucket: Bucket, content_type: str, content_encoding: str | None
) -> None:
    plain = b"a,b\n1,2\n" * 1000
    data = gzip.compress(plain) if content_encoding or "gzip" in content_type else plain
    stack.exports.put(PREFIX, {file(0): data}, content_type=content_type, content_encoding=content_encoding)
    only(function.post(DAY))
    (blob,) = bucket.blobs(FOLDER).values()
    assert bucket.read(FOLDER + file(0)) == data
    assert (blob.content_type, blob.content_encoding or None) == (content_type, content_encoding)
    assert blob.crc32c == crc32c(data)
    assert bucket.manifest(PERIOD)["columns"] == ["a", "b"]
    assert only(function.post(DAY))["status"] == "unchanged"


@pytest.mark.ours_only
@pytest.mark.parametrize(("rows", "sent_by"), [(1, "object.insert"), (500_000, "upload.put")], ids=["short", "long"])
def test_the_sources_checksum_is_declared_so_that_cloud_storage_checks_it(
    stack: Stack, function: ScannedFunction, bucket: Bucket, rows: int, sent_by: str
) -> None:
    """Bytes that change between the source and Cloud Storage never become visible."""
    stack.exports.put(PREFIX, {file(0): b"a\n1\n" * rows})
    stack.faults.add("link.get", Kind.WRONG_BYTES, after_bytes=2, times=None)
    seen: list[Change] = []
    stack.storage.on_change(seen.append)
    problem(function.post(DAY), 502, "integrity")
    assert seen == []
    assert bucket.names() == []
    assert stack.storage.requests.count(sent_by) == 2


@pytest.mark.ours_only
def test_an_object_becomes_visible_whole_and_the_manifest_last(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put(PREFIX, {file(number): b"a\n" + bytes([65 + number]) * 1_000_000 for number in range(4)})
    whole = {info.crc32c for info in stack.exports.files(PREFIX).values()}
    seen: list[Change] = []
    stack.storage.on_change(seen.append)
    only(function.post(DAY))
    names = [change.name for change in seen]
    assert sorted(names[:-1]) == [FOLDER + file(number) for number in range(4)]
    assert names[-1] == MANIFEST
    assert {change.after.crc32c for change in seen[:-1] if change.after} == whole


@pytest.mark.ours_only
def test_stale_files_are_removed_after_the_last_file_and_before_the_manifest(
    stack: Stack, function: ScannedFunction, bucket: Bucket
) -> None:
    stack.exports.put(PREFIX, {file(number): b"a\n1\n" for number in range(3)})
    only(function.post(DAY))
    stack.exports.put(PREFIX, {file(0): b"a\n1\n", file(3): b"a\n3\n"})
    seen: list[tuple[str, bool]] = []
    stack.storage.on_change(lambda change: seen.append((change.name, change.after is not None)))
    export = only(function.post(DAY))
    assert (export["status"], export["objects"], export["bytes_copied"]) == ("copied", 2, 4)
    assert seen == [
        (MANIFEST, False),  # withdrawn before the first change
        (FOLDER + file(3), True),
        (FOLDER + file(1), False),
        (FOLDER + file(2), False),
        (MANIFEST, True),
    ]
    assert set(bucket.names()) == {FOLDER + file(0), FOLDER + file(3), MANIFEST}


def test_stale_files_of_an_earlier_run_are_removed(stack: Stack, function: ScannedFunction, bucket: Bucket) -> None:
    """Even those that no manifest names, of a run that never ended."""
    bucket.put(FOLDER + "left-over.csv", b"x")
    stack.exports.put(PREFIX, {file(0): b"a\n1\n"})
    only(function.post(DAY))
    assert set(bucket.names()) == {FOLDER + file(0), MANIFEST}
    bucket.put(FOLDER + "left-over.csv", b"x")
    assert only(function.post(DAY))["status"] == "copied"
    assert set(bucket.names()) == {FOLDER + file(0), MANIFEST}


def test_objects_outside_the_period_are_left_alone(stack: Stack, function: ScannedFunction, bucket: Bucket) -> None:
    others = {
        "granular/daily/start_date=2022-04-02/x.csv": b"another day",
        "granular/daily/start_date=2022-04-01-old/x.csv": b"another folder",
        "granular/weekly/start_date=2022-04-01/x.csv": b"another frequency",
        "interaction/daily/start_date=2022-04-01/x.csv": b"another aggregation",
        "raw/granular/daily/start_date=2022-04-01/x.csv": b"another prefix",
        "manifests/granular/daily/start_date=2022-04-02.json": b"another manifest",
    }
    for name, data in others.items():
        bucket.put(name, data)
    stack.exports.put(PREFIX, {file(0): b"a\n1\n"})
    only(function.post(DAY))
    assert {name: data for name, data in bucket.contents().items() if name in others} == others


def test_everything_is_written_under_the_object_prefix(
    stack: Stack, function_with: StartFunction, bucket: Bucket
) -> None:
    """For a shared bucket: nothing is written, listed or removed outside the prefix."""
    stack.exports.put(PREFIX, {file(0): b"a\n1\n", file(1): b"a\n2\n"})
    bucket.put(FOLDER + "of-others.csv", b"stays")
    stack.storage.requests.clear()
    only(function_with(OBJECT_PREFIX="consent/usercentrics/").post(DAY))
    if stack.is_destination_ours:
        listed = [request.name for request in stack.storage.requests.of("object.list")]
        assert listed
        assert all(prefix.startswith("consent/usercentrics/") for prefix in listed)
    files = {f"consent/usercentrics/{FOLDER}{file(number)}" for number in range(2)}
    manifest = f"consent/usercentrics/{MANIFEST}"
    assert set(bucket.names()) == {FOLDER + "of-others.csv", *files, manifest}
    assert {each["name"] for each in json.loads(bucket.read(manifest))["objects"]} == files


def test_a_folder_of_many_pages_is_listed_completely(stack: Stack, function: ScannedFunction, bucket: Bucket) -> None:
    stack.storage.page_size = 2
    stack.exports.put(PREFIX, {file(number): b"a\n1\n" for number in range(7)})
    only(function.post(DAY))
    assert only(function.post(DAY))["status"] == "unchanged"
    stack.exports.put(PREFIX, {file(0): b"a\n1\n"})
    only(function.post(DAY))
    assert bucket.names(FOLDER) == [FOLDER + file(0)]


def test_a_newly_issued_file_replaces_the_old_one(stack: Stack, function: ScannedFunction, bucket: Bucket) -> None:
    stack.exports.put(PREFIX, {file(0): b"a\n1\n", file(1): b"a\n2\n"})
    only(function.post(DAY))
    stack.exports.put(PREFIX, {file(0): b"a\n1\n", file(1): b"a\n2222\n"})
    export = only(function.post(DAY))
    assert (export["status"], export["objects"], export["bytes"], export["bytes_copied"]) == ("copied", 2, 11, 7)
    assert bucket.contents(FOLDER) == {FOLDER + file(0): b"a\n1\n", FOLDER + file(1): b"a\n2222\n"}
    assert bucket.manifest(PERIOD)["bytes"] == 11


# The manifest


def test_the_stored_manifest_has_the_documented_fields_on_one_line(
    stack: Stack, function: ScannedFunction, bucket: Bucket
) -> None:
    files = {file(1): b"a,b\n1,2\n", file(0): b"a,b\n"}
    stack.exports.put(PREFIX, files)
    only(function.post(DAY))
    text = bucket.read(MANIFEST).decode()
    assert text.endswith("}\n")
    assert text.count("\n") == 1
    manifest = json.loads(text)
    completed_at = manifest.pop("completed_at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", completed_at)
    age = datetime.now(UTC) - datetime.fromisoformat(completed_at)
    assert timedelta(0) <= age < timedelta(minutes=1)
    blobs = bucket.blobs(FOLDER)
    assert manifest == {
        "aggregation": "granular",
        "frequency": "daily",
        "start_date": "2022-04-01",
        "end_date": "2022-04-01",
        "file_prefix": "granular-2022-04-01",
        "analytics_id": ANALYTICS_ID,
        "bytes": 12,
        "columns": ["a", "b"],
        "field_delimiter": ",",
        "encoding": "UTF-8",
        "byte_order_mark": False,
        "compression": "NONE",
        "objects": [
            {
                "name": FOLDER + name,
                "size": len(data),
                "crc32c": crc32c(data),
                "generation": str(blobs[FOLDER + name].generation),
            }
            for name, data in files.items()
        ],
    }


def test_the_manifest_names_the_whole_period_of_a_month(function: ScannedFunction, bucket: Bucket) -> None:
    only(function.post({"aggregation": "interaction", "frequency": "monthly", "date": "2022-04-15"}))
    manifest = bucket.manifest("interaction/monthly/start_date=2022-04-01")
    keys = ("aggregation", "frequency", "start_date", "end_date", "file_prefix")
    assert [manifest[key] for key in keys] == [
        "interaction",
        "monthly",
        "2022-04-01",
        "2022-04-30",
        "interaction-2022-04-01-2022-04-30",
    ]


@pytest.mark.parametrize("name", ["wrong.csv", file(1)])
def test_there_is_no_manifest_while_a_file_is_missing(
    stack: Stack, function: ScannedFunction, bucket: Bucket, name: str
) -> None:
    stack.exports.put(PREFIX, {file(0): b"a\n1\n", name: b"a\n2\n"})
    stack.faults.add("link.get", Kind.STATUS, name=re.escape(name), status=403, times=None)
    assert only(function.post(DAY), 502)["manifest"] is None
    assert bucket.names() == [FOLDER + file(0)]


# Columns


@pytest.mark.parametrize(
    ("files", "columns", "is_changed"),
    [
        pytest.param({"1": b"a,b\n1,2\n", "2": b"a,b\n3,4\n"}, ["a", "b"], False, id="all equal"),
        pytest.param({"1": b"a,b\n", "2": b"a,b"}, ["a", "b"], False, id="header only, with and without newline"),
        pytest.param({"1": b"", "2": b"a,b\n1,2\n"}, ["a", "b"], False, id="the first file is empty"),
        pytest.param({"1": b"", "2": b""}, [], False, id="all files are empty"),
        pytest.param({"1": b'\xef\xbb\xbf"a ""x""","b,c"\r\n1,2\r\n'}, ['a "x"', "b,c"], False, id="CSV with quotes"),
        pytest.param({"1": b"a,b\n1,2\n", "2": b"a,b,c\n1,2,3\n"}, ["a", "b"], True, id="one more in the second"),
        pytest.param({"1": b"a,b\n1,2\n", "2": b"b,a\n1,2\n"}, ["a", "b"], True, id="in another order"),
        pytest.param({"2": b"a,c\n", "1": b"b,c\n"}, ["a", "c"], True, id="the first in the listing counts"),
        pytest.param(
            {"1": ",".join(f"c{n}" for n in range(10_000)).encode() + b"\n1\n"},
            [f"c{n}" for n in range(10_000)],
            False,
            id="a long header",
        ),
    ],
)
def test_columns_are_the_first_line_of_the_first_file_that_has_one(
    stack: Stack,
    function: ScannedFunction,
    bucket: Bucket,
    files: Mapping[str, bytes],
    columns: list[str],
    is_changed: bool,  # noqa: FBT001 - a table
) -> None:
    stack.exports.put(PREFIX, files)
    assert only(function.post(DAY))["columns_changed"] is is_changed
    assert bucket.manifest(PERIOD)["columns"] == columns
    assert is_changed == ("columns_changed" in [line["message"] for line in new_lines(function)])


def new_lines(function: ScannedFunction) -> list[dict[str, object]]:
    return [json.loads(line) for line in function.new_output().splitlines() if line.startswith("{")]


@pytest.mark.parametrize(
    ("before", "after", "is_changed", "added", "removed"),
    [
        pytest.param("a,b", "a,b", False, [], [], id="equal"),
        pytest.param("a,b", "a,b,c", True, ["c"], [], id="one more"),
        pytest.param("a,b", "a", True, [], ["b"], id="one less"),
        pytest.param("a,b", "b,a", True, [], [], id="another order"),
        pytest.param("", "a", False, [], [], id="nothing to compare with"),
    ],
)
@pytest.mark.parametrize(
    ("frequency", "first_day", "second_day"),
    [
        ("daily", "2022-03-31", "2022-04-01"),
        ("weekly", "2022-03-28", "2022-04-04"),
        ("monthly", "2022-03-01", "2022-04-01"),
    ],
)
def test_columns_that_differ_from_the_previous_period_are_reported_and_logged(  # noqa: PLR0913, PLR0917 - a table
    stack: Stack,
    function: ScannedFunction,
    frequency: str,
    first_day: str,
    second_day: str,
    before: str,
    after: str,
    is_changed: bool,  # noqa: FBT001 - a table
    added: list[str],
    removed: list[str],
) -> None:
    request = {"aggregation": "granular", "frequency": frequency}
    for day, header in ((first_day, before), (second_day, after)):
        stack.exports.put(prefix_of(frequency, day), {f"{day}.csv": f"{header}\n1,2\n".encode() if header else b""})
    assert only(function.post(request | {"date": first_day}))["columns_changed"] is False
    function.new_output()
    assert only(function.post(request | {"date": second_day}))["columns_changed"] is is_changed
    warnings = [line for line in new_lines(function) if line["message"] == "columns_changed"]
    assert [(line["severity"], line["columns_added"], line["columns_removed"]) for line in warnings] == (
        [("WARNING", added, removed)] if is_changed else []
    )
    assert only(function.post(request | {"date": second_day}))["columns_changed"] is is_changed


def prefix_of(frequency: str, start: str) -> str:
    ends = {"2022-03-28": "2022-04-03", "2022-04-04": "2022-04-10", "2022-03-01": "2022-03-31"} | (
        {"2022-04-01": "2022-04-30"} if frequency == "monthly" else {}
    )
    return f"granular-{start}" + (f"-{ends[start]}" if frequency != "daily" else "")


def test_columns_are_not_compared_across_aggregations(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put("interaction-2022-03-31", {"1.csv": b"x,y\n"})
    stack.exports.put("granular-2022-04-01", {"2.csv": b"a,b\n"})
    only(function.post({"aggregation": "interaction", "frequency": "daily", "date": "2022-03-31"}))
    assert only(function.post(DAY))["columns_changed"] is False


def test_columns_of_files_that_are_already_stored_are_read_from_the_bucket(
    stack: Stack, function: ScannedFunction, bucket: Bucket
) -> None:
    header = io.StringIO()
    csv.writer(header).writerow([f"column {number}, quoted" for number in range(8_000)])
    data = header.getvalue().encode()
    stack.exports.put(PREFIX, {file(0): data})
    only(function.post(DAY))
    bucket.delete(MANIFEST)
    stack.storage.requests.clear()
    export = only(function.post(DAY))
    assert (export["status"], export["bytes_copied"]) == ("copied", 0)
    assert len(bucket.manifest(PERIOD)["columns"]) == 8_000
    if stack.is_destination_ours:
        reads = [read.range for read in stack.storage.requests.of("object.read") if read.name == FOLDER + file(0)]
        assert reads == ["bytes=0-262143"], "only the part that may have the header"


def test_columns_are_those_of_the_first_file_even_if_it_was_already_stored(
    stack: Stack, function: ScannedFunction, bucket: Bucket
) -> None:
    stack.exports.put(PREFIX, {file(0): b"a,b\n1,2\n"})
    only(function.post(DAY))
    stack.exports.put(PREFIX, {file(0): b"a,b\n1,2\n", file(1): b"a;b;c\n1;2;3\n"})
    only(function.post(DAY))
    manifest = bucket.manifest(PERIOD)
    assert (manifest["columns"], manifest["field_delimiter"]) == (["a", "b"], ",")


@pytest.mark.parametrize("row", ["semicolons", "UTF-16, with its byte order mark", "gzip"])
def test_the_manifest_has_the_format_of_the_first_file_with_text(
    stack: Stack, function: ScannedFunction, bucket: Bucket, row: str
) -> None:
    """One of each kind; the unit test of the header has them all."""
    data, csv_format = WRITTEN[row]
    stack.exports.put(PREFIX, {file(0): b"", file(1): data, file(2): b"day,total\n"})
    only(function.post(DAY))
    manifest = bucket.manifest(PERIOD)
    names = ("field_delimiter", "encoding", "byte_order_mark", "compression")
    assert tuple(manifest[name] for name in names) == csv_format
    assert manifest["columns"] == ["day", "größe"]
    assert bucket.read(FOLDER + file(1)) == data


# First lines that are not headers: their values appear in no manifest and no log line


@pytest.mark.parametrize("row", ["a quote that is never closed", "no header", "a row of words"])
def test_a_first_line_that_is_not_a_header_is_logged_once_by_its_rule_only(
    stack: Stack, function: ScannedFunction, bucket: Bucket, row: str
) -> None:
    """Its values are neither in the manifest nor in a log line of this day or the next."""
    text, rule = HEADERLESS[row]
    function.new_output()
    for day, data in (
        ("2022-03-31", b"day,name,total\n"),
        ("2022-04-01", text.encode()),
        ("2022-04-02", b"day,name\n"),
    ):
        stack.exports.put(f"granular-{day}", {f"granular-{day}.csv": data})
        only(function.post(DAY | {"date": day}))
    only(function.post(DAY))
    output = function.new_output()
    unusable = [line for line in map(json.loads, output.splitlines()) if line["message"] == "header_unusable"]
    logged = [
        (line["severity"], line["start_date"], line["object"], line["rule"], line["objects"]) for line in unusable
    ]
    assert logged == [("WARNING", "2022-04-01", FOLDER + "granular-2022-04-01.csv", rule, 1)]
    assert PERSON not in output
    assert "columns_changed" not in output
    assert bucket.manifest(PERIOD)["columns"] == []
    assert PERSON not in bucket.read(MANIFEST).decode()
    assert bucket.read(FOLDER + "granular-2022-04-01.csv") == text.encode()


@pytest.mark.parametrize("row", [f"2022-04-01,{PERSON},1", f"{PERSON},DE,Linux"], ids=["a row", "a row of words"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_file_without_a_header_among_others_is_logged_and_changes_no_columns(
    stack: Stack, function: ScannedFunction, bucket: Bucket, row: str, place: int
) -> None:
    files = {file(number): b"day,name,total\n" for number in range(3)} | {file(place): f"{row}\n".encode()}
    stack.exports.put(PREFIX, files)
    assert only(function.post(DAY))["columns_changed"] is False
    output = function.new_output()
    [unusable] = [line for line in map(json.loads, output.splitlines()) if line["message"] == "header_unusable"]
    assert unusable["object"] == FOLDER + file(place)
    assert unusable["rule"] == ("unlike_other_files" if "Linux" in row else "value_as_name")
    assert PERSON not in output
    assert bucket.manifest(PERIOD)["columns"] == ([] if place == 0 else ["day", "name", "total"])


def test_several_files_without_a_header_are_logged_in_one_line(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put(PREFIX, {file(number): f"2022-04-01,{number}\n".encode() for number in range(3)})
    only(function.post(DAY))
    logged = [line for line in new_lines(function) if line["message"] == "header_unusable"]
    assert [(line["object"], line["rule"], line["objects"]) for line in logged] == [
        (FOLDER + file(0), "value_as_name", 3)
    ]


@pytest.mark.ours_only
def test_copied_files_are_not_read_back(stack: Stack, function: ScannedFunction) -> None:
    """Their format is detected while they are copied."""
    stack.exports.put(PREFIX, {file(0): b"", file(1): b"day,total\n" * 100_000, file(2): b"day,total\n"})
    only(function.post(DAY))
    assert [each.name for each in stack.storage.requests.of("object.read") if each.name.endswith(".csv")] == []


def test_neither_of_two_unlike_headers_is_accepted(stack: Stack, function: ScannedFunction, bucket: Bucket) -> None:
    stack.exports.put("granular-2022-03-31", {"x.csv": b"day,name,total\n"})
    only(function.post(DAY | {"date": "2022-03-31"}))
    stack.exports.put(PREFIX, {file(0): f"{PERSON},DE,Linux\n".encode(), file(1): b"day,name,total,os\n"})
    assert only(function.post(DAY))["columns_changed"] is False
    output = function.new_output()
    assert '"rule": "unlike_other_files", "objects": 2' in output
    assert "columns_changed" not in output
    assert PERSON not in output
    assert bucket.manifest(PERIOD)["columns"] == []


def test_headers_are_compared_even_if_the_first_file_has_none(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put(PREFIX, {file(0): b"2022-04-01,1\n", file(1): b"day,total\n", file(2): b"day,total,os\n"})
    assert only(function.post(DAY))["columns_changed"] is True
    [changed] = [line for line in new_lines(function) if line["message"] == "columns_changed"]
    assert (changed["columns_added"], changed["columns_removed"]) == (["os"], [])


@pytest.mark.parametrize(
    "columns", [["day", f"name\n{ROWS}"], ["2022-03-31", PERSON, "1"]], ids=["rows in a name", "a row"]
)
def test_rows_that_version_1_0_0_left_in_a_manifest_are_neither_compared_nor_logged(
    stack: Stack, function: ScannedFunction, bucket: Bucket, columns: list[str]
) -> None:
    stack.exports.put("granular-2022-03-31", {"x.csv": b"day,name\n"})
    only(function.post(DAY | {"date": "2022-03-31"}))
    name = "manifests/granular/daily/start_date=2022-03-31.json"
    old = json.loads(bucket.read(name)) | {"columns": columns}
    for field in ("field_delimiter", "encoding", "byte_order_mark", "compression"):
        del old[field]
    bucket.put(name, json.dumps(old).encode())
    stack.exports.put(PREFIX, {file(0): b"day,name,total\n"})
    assert only(function.post(DAY))["columns_changed"] is False
    assert only(function.post(DAY | {"date": "2022-03-31"}))["status"] == "unchanged"
    output = function.new_output()
    assert PERSON not in output
    assert "columns_changed" not in output
