"""terraform/tables.py writes the Terraform variable `tables` from manifests."""

import itertools
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analytics_export.bucket.header_rules import why_unusable
from tests.terraform.copied_bucket import GRANULAR, INTERACTION, copied_bucket
from tests.terraform.terraform_cli import MODULE, applied


def run(path: Path, text: str) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [sys.executable, MODULE / "tables.py", path]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def tables(path: Path, text: str) -> dict[str, Any]:
    """The variable in the file at `path` after the script has read these manifests."""
    done = run(path, text)
    assert done.returncode == 0, done.stderr
    variable: dict[str, Any] = json.loads(path.read_text())["tables"]
    return variable


def manifest(*columns: str, start_date: str = "2022-04-01", aggregation: str = "granular", **fields: object) -> str:
    """A manifest as version 1.0.0 wrote it, with more `fields`."""
    known = {"aggregation": aggregation, "frequency": "daily", "start_date": start_date}
    return json.dumps({**known, "columns": columns, "objects": [{}], **fields})


def names(entry: dict[str, Any]) -> list[str]:
    return [column["name"] for column in entry["columns"]]


def test_the_functions_manifests_become_one_entry_per_export(tmp_path: Path) -> None:
    with copied_bucket(tmp_path) as bucket:
        text = "".join(path.read_text() for path in bucket.glob("some/manifests/**/*.json"))
    new_tables = tables(tmp_path / "tables.json", text)
    assert set(new_tables) == {"granular/daily", "granular/weekly", "interaction/daily", "interaction/monthly"}
    assert names(new_tables["granular/daily"]) == GRANULAR.split(",")
    assert names(new_tables["interaction/monthly"]) == INTERACTION.split(",")
    assert new_tables["granular/daily"]["column_match"] == "NAME"
    assert {column["type"] for entry in new_tables.values() for column in entry["columns"]} == {"STRING"}


def test_terraform_accepts_the_written_file(tmp_path: Path) -> None:
    path = tmp_path / "tables.auto.tfvars.json"
    tables(
        path,
        manifest(*GRANULAR.split(","))
        + manifest(
            "an event", aggregation="interaction", field_delimiter="\t", encoding="ISO-8859-1", compression="GZIP"
        ),
    )
    table_ids = {table["table_id"] for table in applied("google_bigquery_table", f"-var-file={path}").values()}
    assert table_ids == {
        "exports",
        "missing_periods",
        "granular_daily_files",
        "granular_daily",
        "granular_daily_decoded",
        "granular_daily_rates",
        "interaction_daily_files",
        "interaction_daily",
    }


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_columns_of_every_period_are_kept_the_newest_periods_first(tmp_path: Path, order: tuple[int, ...]) -> None:
    """The order of the manifests does not matter. A dropped column stays, so that its history can be read."""
    found = [
        manifest("a", "old", start_date="2022-04-01"),
        manifest("a", "b", "A_2", start_date="2022-04-02"),
        manifest("c", "B", "a", start_date="2022-04-03"),
    ]
    entry = tables(tmp_path / "tables.json", "\n".join(found[n] for n in order))["granular/daily"]
    assert (names(entry), entry["column_match"]) == (["c", "B", "a", "A_2", "old"], "NAME")


def test_manual_changes_in_the_file_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "tables.json"
    changed = {"columns": [{"name": "b", "type": "INTEGER"}], "require_partition_filter": True}
    path.write_text(json.dumps({"tables": {"granular/daily": changed, "granular/monthly": {}}}))
    new_tables = tables(path, manifest("a", "b"))
    assert new_tables["granular/daily"]["require_partition_filter"]
    assert new_tables["granular/daily"]["columns"] == [
        {"name": "a", "type": "STRING"},
        {"name": "b", "type": "INTEGER"},
    ]
    assert new_tables["granular/monthly"] == {}


def test_only_known_columns_get_a_description(tmp_path: Path) -> None:
    path = tmp_path / "tables.json"
    path.write_text(json.dumps({"tables": {"granular/daily": {"columns": [{"name": "DAY", "description": "mine"}]}}}))
    text = manifest("day", "consent", "number", "x") + manifest("number", "consent", aggregation="interaction")
    new_tables = tables(path, text)
    described = {
        (key, column["name"]): column["description"]
        for key, entry in new_tables.items()
        for column in entry["columns"]
        if "description" in column
    }
    assert set(described) == {("granular/daily", "day"), ("granular/daily", "consent"), ("interaction/daily", "number")}
    assert described["granular/daily", "day"] == "mine"
    assert "sum it up" in described["interaction/daily", "number"]


def test_every_known_column_has_a_description_that_bigquery_accepts() -> None:
    for aggregation, header in (("granular", GRANULAR.removesuffix(",note")), ("interaction", INTERACTION)):
        descriptions = runpy.run_path(str(MODULE / "tables.py"))["DESCRIPTIONS"][aggregation]
        assert list(descriptions) == header.split(",")
        assert all(0 < len(text) <= 1024 for text in descriptions.values())


def test_an_export_without_rows_gets_no_table(tmp_path: Path) -> None:
    text = manifest() + manifest("event", aggregation="interaction")
    assert set(tables(tmp_path / "tables.json", text)) == {"interaction/daily"}


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param([], id="the function found none"),
        pytest.param(["a", "x" * 301], id="a name longer than BigQuery's"),
        pytest.param(["a", "2022-04-01,1\n2022-04-02,1"], id="rows in a name"),
        pytest.param([f"c{n}" for n in range(10_001)], id="more names than BigQuery has columns"),
        pytest.param(["2022-04-01", "de"], id="a day"),
        pytest.param(["a", ""], id="an empty name"),
    ],
)
def test_a_first_line_that_is_no_header_is_reported_and_not_used(tmp_path: Path, columns: list[str]) -> None:
    """Manifests of version 1.0.0 contain any first line: nothing of it is printed or written."""
    path = tmp_path / "tables.json"
    text = manifest(*columns, bytes=7) + manifest("a", aggregation="interaction")
    done = run(path, text)
    assert done.returncode == 0
    assert done.stderr == (
        "granular/daily 2022-04-01: the first line of its files is no usable header, so its columns are not known\n"
    )
    assert set(json.loads(path.read_text())["tables"]) == {"interaction/daily"}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            " ",
            "a",
            "größe",
            "setting id",
            "7",
            "-7.5",
            "1e9",
            "0x1f",
            "2022-04-01",
            "2022-04-01T08:00",
            "true",
            "NULL",
        ),
        *("n/a", "http://a", "a@b", "a\nb", "\ufffd", "x" * 300, "x" * 301, "2nd", "0123456789abcdef", "feed", "a_1"),
        *("123e4567-e89b-12d3-a456-426614174000", "()", "sha256"),
    ],
)
def test_the_script_and_the_function_accept_the_same_headers(name: str) -> None:
    """Except duplicate names, which the script renames: manifests of version 1.0.0 may have them."""
    is_header = runpy.run_path(str(MODULE / "tables.py"))["is_header"]
    assert is_header([name]) == (why_unusable([name]) is None)


def test_without_any_usable_header_nothing_is_written(tmp_path: Path) -> None:
    done = run(tmp_path / "tables.json", manifest(bytes=7))
    assert done.returncode == 1
    assert "no usable header" in done.stderr.splitlines()[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(["setting id", "2nd", "größe"], ["setting_id", "column_2nd", "gr__e"], id="invalid"),
        pytest.param(["Action", "action"], ["Action", "action_2"], id="duplicate in another case"),
        pytest.param(["a", "a", "a_2"], ["a", "a_2", "a_2_3"], id="duplicate"),
        pytest.param(["a", "start_date"], ["a", "start_date_2"], id="the partition's"),
        pytest.param(["_TABLE_a", "_file_name"], ["column__TABLE_a", "column__file_name"], id="reserved"),
        pytest.param(["_partitiontime", "__ROOT__"], ["column__partitiontime", "column___ROOT__"], id="reserved too"),
        pytest.param(["_CHANGE_TYPE", "_Colidentifier_1"], ["column__CHANGE_TYPE", "column__Colidentifier_1"], id="also"),
        pytest.param(["_ROW_TIMESTAMP"], ["column__ROW_TIMESTAMP"], id="and that"),
    ],
)  # fmt: skip
def test_names_that_bigquery_refuses_are_changed_and_matched_by_position(
    tmp_path: Path, header: list[str], expected: list[str]
) -> None:
    entry = tables(tmp_path / "tables.json", manifest(*header))["granular/daily"]
    assert (names(entry), entry["column_match"]) == (expected, "POSITION")


def test_after_a_byte_order_mark_columns_are_matched_by_position(tmp_path: Path) -> None:
    """The mark stays in the file and would be part of the first name."""
    text = manifest("a", "b", byte_order_mark=True) + manifest("a", "b", start_date="2022-04-02")
    entry = tables(tmp_path / "tables.json", text)["granular/daily"]
    assert (names(entry), entry["column_match"]) == (["a", "b"], "POSITION")


def test_a_moved_column_is_reported_if_columns_are_matched_by_position(tmp_path: Path) -> None:
    """A column that was added or dropped at the end is not."""
    moved = [manifest("c d", "a", start_date=f"2022-04-{day:02}") for day in range(1, 6)]
    added = [manifest("a", start_date="2022-04-06"), manifest("a", "c d", "e", start_date="2022-04-07")]
    done = run(tmp_path / "tables.json", "".join([*moved, *added, manifest("a", "c d", start_date="2022-04-08")]))
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("granular/daily 2022-04-01, 2022-04-02, 2022-04-03 and 2 more: columns in another order")


@pytest.mark.parametrize(
    ("field", "value"),
    [("field_delimiter", ";"), ("field_delimiter", "\t"), ("encoding", "ISO-8859-1"), ("compression", "GZIP")],
)
def test_the_format_of_the_files_is_taken_from_the_newest_manifest(tmp_path: Path, field: str, value: str) -> None:
    """It replaces the value in the file; manifests with another value are reported."""
    path = tmp_path / "tables.json"
    path.write_text(json.dumps({"tables": {"granular/daily": {field: "other", "require_partition_filter": True}}}))
    old = manifest("a", "b", start_date="2022-04-01")
    new = manifest("a", "b", start_date="2022-04-02", **{field: value})
    done = run(path, old + new)
    assert done.returncode == 0
    entry = json.loads(path.read_text())["tables"]["granular/daily"]
    assert (entry[field], entry["require_partition_filter"]) == (value, True)
    assert done.stderr.startswith(f"granular/daily 2022-04-01: another {field} than the newest period's ({value!r})")


def test_fields_that_no_manifest_has_are_left_to_the_defaults(tmp_path: Path) -> None:
    entry = tables(tmp_path / "tables.json", manifest("a"))["granular/daily"]
    assert set(entry) == {"column_match", "columns"}


def test_columns_of_manifests_with_another_delimiter_are_ignored(tmp_path: Path) -> None:
    old = manifest("a;b", start_date="2022-04-01")
    new_tables = tables(
        tmp_path / "tables.json", old + manifest("a", "b", start_date="2022-04-02", field_delimiter=";")
    )
    assert (names(new_tables["granular/daily"]), new_tables["granular/daily"]["column_match"]) == (["a", "b"], "NAME")


@pytest.mark.parametrize("encoding", ["UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"])
def test_an_encoding_that_terraform_cannot_set_is_reported_and_nothing_is_written(
    tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "tables.json"
    text = manifest("a", aggregation="interaction") + manifest("a", encoding=encoding)
    done = run(path, text)
    assert done.returncode == 1
    assert done.stderr.startswith(f"granular/daily 2022-04-01: its files are in {encoding}")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("before", ["", "{", "[]", "null", "{}", '{"tables": []}', '{"tables": {"granular/daily": 1}}', '{"tables": {"granular/daily": {"columns": ["a"]}}}'])  # fmt: skip
def test_a_file_with_other_content_is_not_changed(tmp_path: Path, before: str) -> None:
    path = tmp_path / "tables.json"
    path.write_text(before)
    done = run(path, manifest("a"))
    assert done.returncode == 1
    assert done.stderr == (
        f"{path} is not what this script writes: expected JSON with `tables` in it. "
        f"Remove the file, or put it right; {path} is not written\n"
    )
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_other_variables_in_the_file_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "tables.json"
    path.write_text(json.dumps({"labels": {"team": "data"}, "tables": {}}))
    tables(path, manifest("a"))
    assert json.loads(path.read_text())["labels"] == {"team": "data"}


def test_a_truncated_manifest_is_reported_and_other_json_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "tables.json"
    done = run(path, manifest("a")[:-1])
    assert (done.returncode, done.stderr) == (1, f"a manifest on standard input breaks off; {path} is not written\n")
    assert set(tables(path, '{"a": 1}' + manifest("a"))) == {"granular/daily"}


def test_without_a_manifest_the_script_says_what_to_do_and_writes_nothing(tmp_path: Path) -> None:
    done = run(tmp_path / "tables.json", "")
    assert done.returncode == 1
    assert "run an export first" in done.stderr
    assert list(tmp_path.iterdir()) == []
