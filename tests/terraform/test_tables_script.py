"""From manifests to the Terraform variable `tables`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.terraform.landed import landed
from tests.terraform.terraform_cli import MODULE, terraform


def run(path: Path, text: str) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [sys.executable, MODULE / "tables.py", path]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def tables(path: Path, text: str) -> dict[str, Any]:
    """The variable in the file at `path` after the script has read these manifests."""
    done = run(path, text)
    assert done.returncode == 0, done.stderr
    variable: dict[str, Any] = json.loads(path.read_text())["tables"]
    return variable


def manifest(*columns: str, start_date: str = "2022-04-01", aggregation: str = "granular") -> str:
    fields = {"aggregation": aggregation, "frequency": "daily", "start_date": start_date}
    return json.dumps({**fields, "columns": columns, "objects": [{}]})


def names(entry: dict[str, Any]) -> list[str]:
    return [column["name"] for column in entry["columns"]]


def test_manifests_that_the_function_wrote_become_one_entry_an_export(tmp_path: Path) -> None:
    with landed(tmp_path) as bucket:
        text = "".join(path.read_text() for path in bucket.glob("manifests/**/*.json"))
    made = tables(tmp_path / "tables.json", text)
    assert set(made) == {"granular/daily", "granular/weekly", "interaction/daily", "interaction/monthly"}
    assert names(made["granular/daily"]) == ["settingsId", "consent", "action", "note"]
    assert made["granular/daily"]["column_match"] == "NAME"
    assert {column["type"] for entry in made.values() for column in entry["columns"]} == {"STRING"}


def test_what_it_writes_is_what_terraform_takes(tmp_path: Path) -> None:
    path = tmp_path / "tables.auto.tfvars.json"
    tables(path, manifest("settingsId", "action", "consent") + manifest("an event", aggregation="interaction"))
    printed = terraform("test", "-json", "-verbose", "-filter=tests/key.tftest.hcl", f"-var-file={path}")
    (state,) = [line["test_state"] for line in map(json.loads, printed.splitlines()) if line["type"] == "test_state"]
    made = {
        resource["values"]["table_id"]
        for resource in state["root_module"]["resources"]
        if resource["type"] == "google_bigquery_table"
    }
    assert made == {
        "exports",
        "missing_periods",
        "granular_daily_files",
        "granular_daily",
        "granular_daily_decoded",
        "interaction_daily_files",
        "interaction_daily",
    }


def test_the_latest_period_gives_the_columns_in_whatever_order_the_manifests_come(tmp_path: Path) -> None:
    new, old = manifest("a", "b", start_date="2022-04-02"), manifest("a", start_date="2022-04-01")
    assert names(tables(tmp_path / "1.json", new + old)["granular/daily"]) == ["a", "b"]
    assert names(tables(tmp_path / "2.json", old + "\n" + new)["granular/daily"]) == ["a", "b"]


def test_what_somebody_has_changed_in_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "tables.json"
    changed = {"columns": [{"name": "b", "type": "INTEGER"}], "require_partition_filter": True}
    path.write_text(json.dumps({"tables": {"granular/daily": changed, "granular/monthly": {}}}))
    made = tables(path, manifest("a", "b"))
    assert made["granular/daily"]["require_partition_filter"]
    assert made["granular/daily"]["columns"] == [{"name": "a", "type": "STRING"}, {"name": "b", "type": "INTEGER"}]
    assert made["granular/monthly"] == {}


def test_an_export_without_rows_or_header_gives_no_table(tmp_path: Path) -> None:
    text = manifest() + manifest("event", aggregation="interaction")
    assert set(tables(tmp_path / "tables.json", text)) == {"interaction/daily"}


def test_names_that_bigquery_refuses_are_mended_and_matched_by_position(tmp_path: Path) -> None:
    text = manifest("setting id", "2nd", "Action", "action", "start_date", "größe")
    made = tables(tmp_path / "tables.json", text)["granular/daily"]
    assert made["column_match"] == "POSITION"
    assert names(made) == ["setting_id", "column_2nd", "Action", "action_4", "start_date_5", "gr__e"]


def test_without_a_manifest_it_says_what_to_do_and_writes_nothing(tmp_path: Path) -> None:
    done = run(tmp_path / "tables.json", "")
    assert done.returncode == 1
    assert "run an export first" in done.stderr
    assert list(tmp_path.iterdir()) == []
