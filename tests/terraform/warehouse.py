"""The module's tables and views in DuckDB, over a bucket's folder; the views' queries are those of a plan.

sqlglot translates the queries from GoogleSQL to DuckDB. The analyzer finds what BigQuery itself would refuse
(googlesql.py).
"""

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import sqlglot

from tests.terraform.terraform_cli import MODULE, resources

PROJECT = "my-project"
DATASET = "analytics_export"
DUCKDB_TYPES = {
    "STRING": "VARCHAR",
    "INTEGER": "BIGINT",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMPTZ",
    "BOOLEAN": "BOOLEAN",
}

ORDER = ["complete", "decoded", "rates", "missing_periods"]
"""Views in the order of their creation: a view reads only tables and earlier ones."""


def exports_schema() -> list[dict[str, Any]]:
    """The columns of the table over the manifests."""
    schema: list[dict[str, Any]] = json.loads((MODULE / "sql/exports.schema.json").read_text())
    return schema


def tables(run: str) -> dict[str, dict[str, Any]]:
    """The tables and views that a run of terraform/tests/tables.tftest.hcl plans, by NAME/KEY, in the order of creation."""
    return in_order(resources(run, "google_bigquery_table", file="tables"))


def in_order(planned: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Sort by the order of creation: tables first, then views."""
    return dict(sorted(planned.items(), key=lambda item: _position(item[0])))


def views(run: str) -> dict[str, str]:
    """The queries of a run's views by table_id, in the order of creation."""
    return {table["table_id"]: table["view"][0]["query"] for table in tables(run).values() if table["view"]}


def duckdb_sql(googlesql: str, *, now: str) -> str:
    """The query in DuckDB's dialect, at a fixed time (UTC, `YYYY-MM-DD HH:MM:SS`)."""
    (translated,) = sqlglot.transpile(googlesql, read="bigquery", write="duckdb", comments=False)
    # in BigQuery `*` does not select a pseudo-column
    translated = translated.replace("files.*", "files.* EXCLUDE (_FILE_NAME)")
    return re.sub(
        r"\bCURRENT_DATE\b",
        f"CAST(TIMESTAMPTZ '{now}+00' AS DATE)",
        re.sub(r"\bCURRENT_TIMESTAMP\b", f"TIMESTAMPTZ '{now}+00'", translated),
    )


def warehouse(
    bucket: Path,
    *,
    run: str = "known_columns",
    tables_to_create: dict[str, dict[str, Any]] | None = None,
    now: str = "2022-04-06 07:00:00",
    time_zone: str = "UTC",
) -> duckdb.DuckDBPyConnection:
    """Create the external tables over a bucket's folder, and the views; exports without files have no table.

    By default they are those of a run of terraform/tests/tables.tftest.hcl. As in BigQuery, but unlike DuckDB's
    default, a quoted empty value is not NULL.
    """
    connection = duckdb.connect()
    connection.execute(f"SET TimeZone = '{time_zone}'; ATTACH ':memory:' AS \"{PROJECT}\"")
    connection.execute(f'CREATE SCHEMA "{PROJECT}".{DATASET}; USE "{PROJECT}".{DATASET}')
    columns = ", ".join(f"{column['name']}: '{_duckdb_type(column)}'" for column in exports_schema())
    connection.execute(
        f"CREATE TABLE exports AS FROM read_json('{bucket}/**/manifests/*/*/*.json', "
        f"format = 'newline_delimited', columns = {{{columns}}})"
    )
    for name, table in (tables_to_create or tables(run)).items():
        kind, _, key = name.partition("/")
        if kind == "files" and list(bucket.glob(f"**/{key}/*/*.csv")):
            connection.execute(_files(bucket, table))
        elif table["view"] and (kind == "missing_periods" or list(bucket.glob(f"**/{key}/*/*.csv"))):
            connection.execute(f"CREATE VIEW {table['table_id']} AS {duckdb_sql(table['view'][0]['query'], now=now)}")
    return connection


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query in DuckDB's own dialect."""
    return connection.execute(sql).fetchall()


def _files(bucket: Path, table: dict[str, Any]) -> str:
    (source,) = table["external_data_configuration"]
    (uri,) = source["source_uris"]
    folder = f"{bucket}/{uri.removeprefix('gs://').split('/', 1)[1].removesuffix('*')}"
    options = source["csv_options"][0]
    return (
        f"CREATE TABLE {table['table_id']} AS "
        f"SELECT * EXCLUDE (filename), replace(filename, '{bucket.parent}/', 'gs://') AS _FILE_NAME "
        f"FROM read_csv('{folder}**', header = true, all_varchar = true, union_by_name = true, filename = true, "
        f"allow_quoted_nulls = false, delim = '{options['field_delimiter']}', quote = '\"', "
        "hive_partitioning = true, hive_types = {start_date: DATE})"
    )


def _position(name: str) -> int:
    kind = name.split("/", maxsplit=1)[0]
    return ORDER.index(kind) + 1 if kind in ORDER else 0


def _duckdb_type(column: dict[str, Any]) -> str:
    if column["type"] == "RECORD":
        fields = ", ".join(f"{field['name']} {_duckdb_type(field)}" for field in column["fields"])
        kind = f"STRUCT({fields})"
    else:
        kind = DUCKDB_TYPES[column["type"]]
    return kind + ("[]" if column.get("mode") == "REPEATED" else "")
