"""From the first export to rates, by the commands of docs/deploy.md, as far as possible without a cloud."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.terraform.copied_bucket import BUCKET, PREFIX, copied_bucket
from tests.terraform.googlesql import GoogleSql
from tests.terraform.terraform_cli import MODULE, applied, outputs
from tests.terraform.test_googlesql import created
from tests.terraform.test_queries import statements
from tests.terraform.warehouse import duckdb_sql, in_order, rows, warehouse


def tables_written(bucket: Path, folder: Path) -> Path:
    """Run the command of the output tables_command, with a `gcloud` that reads the bucket's folder. Return its file."""
    gcloud = folder / "gcloud"
    gcloud.write_text(
        f'#!/bin/sh\nuri="${{3#gs://}}"\nfind "{bucket.parent}/${{uri%/*}}" -name "*.json" -exec cat {{}} +\n'
    )
    gcloud.chmod(0o755)
    for name in ("tables.py", "known_columns.json"):
        shutil.copy(MODULE / name, folder)
    subprocess.run(
        ["bash", "-c", outputs("known_columns", file="tables")["tables_command"]],
        cwd=folder,
        env={"PATH": f"{folder}:{Path(shutil.which('python3') or '').parent}:/usr/bin:/bin"},
        check=True,
    )
    return folder / "tables.auto.tfvars.json"


@pytest.mark.slow
def test_rates_can_be_queried_over_the_copied_files(tmp_path: Path) -> None:
    with copied_bucket(tmp_path / "stack") as bucket:
        path = tables_written(bucket, tmp_path)
        variables = (f"-var-file={path}", "-var", f"bucket={json.dumps({'name': BUCKET, 'object_prefix': PREFIX})}")
        applied_tables = in_order(applied("google_bigquery_table", *variables))
        with warehouse(bucket, tables_to_create=applied_tables) as connection:
            by_service = [rows(connection, duckdb_sql(query, now="2022-04-06 09:00:00")) for query in first_queries()]
            counted = rows(
                connection,
                "SELECT dps_id, sum(total::BIGINT) FILTER (consent = 1), sum(total::BIGINT) FROM granular_daily "
                "WHERE start_date = '2022-04-01' GROUP BY ALL ORDER BY ALL",
            )
    assert counted == [("dps-0", None, 70), ("dps-1", 75, 75)]
    assert [sorted(answer) for answer in by_service] == [[("dps-0", 0, 70), ("dps-1", 75, 75)]]
    assert len(created(GoogleSql("UTC"), applied_tables)) == len(applied_tables)


def first_queries() -> list[str]:
    """The `bq query` of docs/deploy.md."""
    return [query for query in statements() if query.startswith("SELECT dps_id, SUM(opt_ins) AS opt_ins")]
