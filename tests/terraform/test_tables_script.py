"""From manifests to the Terraform variable `tables`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from landed import landed
from terraform_cli import MODULE


def tables(text: str) -> dict[str, Any]:
    """What the script makes of manifests on its standard input."""
    done = subprocess.run(
        [sys.executable, MODULE / "tables.py"], input=text, capture_output=True, text=True, check=True
    )
    variable: dict[str, Any] = json.loads(done.stdout)["tables"]
    return variable


def manifest(*columns: str, start_date: str = "2022-04-01", aggregation: str = "granular") -> str:
    return json.dumps(
        {
            "aggregation": aggregation,
            "frequency": "daily",
            "start_date": start_date,
            "columns": columns,
            "objects": [{}],
        }
    )


def names(entry: dict[str, Any]) -> list[str]:
    return [column["name"] for column in entry["columns"]]


def test_manifests_that_the_function_wrote_become_one_entry_an_export(tmp_path: Path) -> None:
    landed(tmp_path)
    made = tables("".join(path.read_text() for path in tmp_path.glob("manifests/**/*.json")))
    assert set(made) == {"granular/daily", "interaction/weekly", "interaction/monthly"}
    assert names(made["granular/daily"]) == ["settingsId", "consent", "action", "note"]
    assert made["granular/daily"]["column_match"] == "NAME"
    assert {column["type"] for entry in made.values() for column in entry["columns"]} == {"STRING"}


def test_the_latest_period_gives_the_columns_in_whatever_order_the_manifests_come() -> None:
    new, old = manifest("a", "b", start_date="2022-04-02"), manifest("a", start_date="2022-04-01")
    assert names(tables(new + old)["granular/daily"]) == ["a", "b"]
    assert names(tables(old + "\n" + new)["granular/daily"]) == ["a", "b"]


def test_an_export_without_rows_or_header_gives_no_table() -> None:
    assert set(tables(manifest() + manifest("event", aggregation="interaction"))) == {"interaction/daily"}


def test_names_that_bigquery_refuses_are_mended_and_matched_by_position() -> None:
    made = tables(manifest("setting id", "2nd", "Action", "action", "start_date", "größe"))["granular/daily"]
    assert made["column_match"] == "POSITION"
    assert names(made) == ["setting_id", "column_2nd", "Action", "action_4", "start_date_5", "gr__e"]


def test_without_a_manifest_it_says_what_to_do() -> None:
    done = subprocess.run([sys.executable, MODULE / "tables.py"], input="", capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "run an export first" in done.stderr
    assert done.stdout == ""
