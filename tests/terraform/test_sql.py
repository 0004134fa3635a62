"""The views, read as GoogleSQL and run in DuckDB on what the function landed on the local stack."""

import json
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from tests.terraform.landed import landed

SQL = Path(__file__).parents[2] / "terraform/sql"
DATASET = "my-project.analytics_export"
NAMES = {
    "aggregation": "granular",
    "frequency": "daily",
    "files": f"{DATASET}.granular_daily_files",
    "exports": f"{DATASET}.exports",
    "complete": f"{DATASET}.granular_daily",
}
DUCKDB_TYPES = {"STRING": "VARCHAR", "INTEGER": "BIGINT", "DATE": "DATE", "TIMESTAMP": "TIMESTAMP"}


def duckdb_type(column: dict[str, Any]) -> str:
    if column["type"] == "RECORD":
        fields = ", ".join(f"{field['name']} {duckdb_type(field)}" for field in column["fields"])
        kind = f"STRUCT({fields})"
    else:
        kind = DUCKDB_TYPES[column["type"]]
    return kind + ("[]" if column.get("mode") == "REPEATED" else "")


def query(file: str, *, now: str = "2022-04-06 07:00:00") -> str:
    """A view's query as DuckDB speaks it, at a fixed time."""
    parsed = sqlglot.parse_one(Template((SQL / file).read_text()).substitute(NAMES), read="bigquery")
    fixed = parsed.transform(
        lambda node: sqlglot.parse_one(f"TIMESTAMP '{now}'") if isinstance(node, exp.CurrentTimestamp) else node
    )
    return fixed.sql("duckdb")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with landed(tmp_path_factory.mktemp("stack")) as objects:
        yield objects


@pytest.fixture
def bigquery(bucket: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The external tables over a landed bucket, under the names that they have in BigQuery."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; ATTACH ':memory:' AS \"my-project\"")
        connection.execute('CREATE SCHEMA "my-project".analytics_export; USE "my-project".analytics_export')
        connection.execute(
            f"CREATE VIEW granular_daily_files AS FROM read_csv('{bucket}/granular/daily/*/*.csv', header = true, "
            "all_varchar = true, union_by_name = true, hive_partitioning = true, hive_types = {start_date: DATE})"
        )
        schema = json.loads((SQL / "exports.schema.json").read_text())
        columns = ", ".join(f"{column['name']}: '{duckdb_type(column)}'" for column in schema)
        connection.execute(
            f"CREATE VIEW exports AS FROM read_json('{bucket}/manifests/*/*/*.json', "
            f"format = 'newline_delimited', columns = {{{columns}}})"
        )
        connection.execute(f"CREATE VIEW granular_daily AS {query('complete_periods.sql')}")
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql).fetchall()


def test_the_schema_of_the_exports_table_takes_in_every_field_of_a_manifest(
    bigquery: duckdb.DuckDBPyConnection, bucket: Path
) -> None:
    manifest = json.loads(next(bucket.glob("manifests/**/*.json")).read_text())
    schema = {column["name"]: column for column in json.loads((SQL / "exports.schema.json").read_text())}
    assert set(manifest) == set(schema)
    assert set(manifest["objects"][0]) == {field["name"] for field in schema["objects"]["fields"]}
    assert rows(bigquery, "SELECT bytes = list_sum([o.size FOR o IN objects]) FROM exports") == [(True,)] * 8


def test_complete_periods_leave_out_a_half_copied_one(bigquery: duckdb.DuckDBPyConnection) -> None:
    counts = "SELECT start_date::VARCHAR, count(*) FROM {} GROUP BY ALL ORDER BY ALL"
    everything = [("2022-04-01", 10), ("2022-04-02", 2), ("2022-04-04", 7), ("2022-04-05", 1)]
    assert rows(bigquery, counts.format("granular_daily_files")) == everything
    assert rows(bigquery, counts.format("granular_daily")) == [
        ("2022-04-01", 10),
        ("2022-04-02", 2),
        ("2022-04-05", 1),
    ]


def test_complete_periods_are_those_of_the_same_aggregation_and_frequency(
    bigquery: duckdb.DuckDBPyConnection,
) -> None:
    """The week that starts on the half-copied day is complete, and so is the other aggregation; the day is not."""
    complete = "SELECT aggregation, frequency FROM exports WHERE start_date = '2022-04-04' ORDER BY ALL"
    assert rows(bigquery, complete) == [("granular", "weekly"), ("interaction", "daily")]
    assert rows(bigquery, "SELECT * FROM granular_daily WHERE start_date = '2022-04-04'") == []


def test_codes_are_decoded_with_the_names_that_usercentrics_gives_them(
    bigquery: duckdb.DuckDBPyConnection,
) -> None:
    decoded = rows(
        bigquery,
        f"SELECT action, action_name, action_event, consent_name FROM ({query('decoded.sql')}) "  # noqa: S608 - our own file
        "WHERE start_date = '2022-04-01' ORDER BY action",
    )
    assert decoded == [
        ("0", "Accept All", "onAcceptAllServices", "Opt-out"),
        ("1", "Deny All", "onDenyAllServices", "Opt-in"),
        ("2", "Essential change", "onEssentialChange", "Opt-out"),
        ("3", "Initial page load", "onInitialPageLoad", "Opt-in"),
        ("4", "Bot, first CCPA visit or non-EU region", "onNonEURegion", "Opt-out"),
        ("5", "Session restored (deprecated)", "onSessionRestored", "Opt-in"),
        ("6", "TCF string change", "onTcfStringChange", "Opt-out"),
        ("7", "Granular Accept or Granular Deny", "onUpdateServices", "Opt-in"),
        ("8", "Mobile session restore", "onMobileSessionRestore", "Opt-out"),
        ("9", "unknown code 9", None, "Opt-in"),
    ]


@pytest.mark.parametrize("kind", ["VARCHAR", "BIGINT"])
def test_codes_are_decoded_whatever_type_the_table_gives_them(kind: str) -> None:
    with duckdb.connect() as connection:
        connection.execute('ATTACH \':memory:\' AS "my-project"; CREATE SCHEMA "my-project".analytics_export')
        connection.execute(
            f'CREATE TABLE "my-project".analytics_export.granular_daily AS '
            f"SELECT 1::{kind} AS consent, NULL::{kind} AS action"
        )
        (row,) = rows(connection, query("decoded.sql"))
        assert row == (row[0], None, "Opt-in", None, None)


def missing(connection: duckdb.DuckDBPyConnection, now: str) -> list[tuple[str, ...]]:
    found = rows(connection, query("missing_periods.sql", now=now))
    # a DATE plus days is a DATE in BigQuery and a TIMESTAMP in DuckDB
    return sorted((aggregation, frequency, str(start), str(end)[:10]) for aggregation, frequency, start, end in found)


def test_missing_periods_are_the_calendar_less_the_manifests(bigquery: duckdb.DuckDBPyConnection) -> None:
    assert missing(bigquery, "2022-04-06 08:00:00") == [
        ("granular", "daily", "2022-04-03", "2022-04-03"),
        ("granular", "daily", "2022-04-04", "2022-04-04"),
        ("interaction", "monthly", "2022-02-01", "2022-02-28"),
    ]


def test_a_period_is_missing_only_once_it_should_be_there(bigquery: duckdb.DuckDBPyConnection) -> None:
    before, after = "2022-05-02 07:59:59", "2022-05-02 08:00:00"
    assert ("interaction", "monthly", "2022-04-01", "2022-04-30") in missing(bigquery, before)
    appeared = set(missing(bigquery, after)) - set(missing(bigquery, before))
    assert appeared == {
        ("granular", "daily", "2022-05-01", "2022-05-01"),
        ("granular", "weekly", "2022-04-25", "2022-05-01"),
        ("interaction", "daily", "2022-05-01", "2022-05-01"),
    }


@pytest.mark.parametrize("file", sorted(path.name for path in SQL.glob("*.sql")))
def test_every_view_is_one_googlesql_statement(file: str) -> None:
    (statement,) = sqlglot.parse(Template((SQL / file).read_text()).substitute(NAMES), read="bigquery")
    assert isinstance(statement, exp.Select)
