"""The queries in the documentation have the right results over two months, and Google's analyzer accepts them."""

import csv
import json
import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from tests.docs.documents import DOCUMENTS, blocks, code
from tests.terraform.copied_bucket import BUCKET, GRANULAR, INTERACTION, PREFIX
from tests.terraform.googlesql import GoogleSql, Refused
from tests.terraform.terraform_cli import ROOT
from tests.terraform.test_googlesql import catalog, created
from tests.terraform.warehouse import DATASET, PROJECT, duckdb_sql, rows, tables, warehouse

DAYS = [date(2022, 3, 1) + timedelta(days=n) for n in range(61)]
RUN_DATE = "2022-04-06"
EVENTS = {"1": 5, "2": 1, "8": 1, "6": 2, "SAVE_L2": 1, "14": 3}

Rows = list[dict[str, str]]


@cache
def examples() -> dict[str, list[str]]:
    """Every ```sql block of docs/queries.md, by its heading."""
    found = defaultdict(list)
    for section in (ROOT / "docs/queries.md").read_text().split("\n## ")[1:]:
        for block in re.findall(r"```sql\n(.*?)```", section, re.DOTALL):
            found[section.partition("\n")[0]].append(block)
    return dict(found)


def statements() -> list[str]:
    """Every statement in the documentation, including those of `bq query` commands and of scripts."""
    texts = [block.text for block in blocks("sql")]
    texts += [
        shlex.split(command, comments=True)[-1]
        for document in DOCUMENTS
        for command in code(document)
        if command.lstrip().startswith("bq query ")
    ]
    return [part.strip() for text in texts for part in text.split(";") if part.strip()]


def with_values(statement: str) -> str:
    """A statement with values for its parameter and its variable; for a DECLARE, the query of its default."""
    declared = re.fullmatch(r"DECLARE newest DATE DEFAULT \((.*)\)", statement, re.DOTALL)
    plain = declared[1] if declared else re.sub(r"= newest\b", "= DATE '2022-04-29'", statement)
    return plain.replace("@run_date", f"DATE '{RUN_DATE}'")


def qualified(statement: str) -> str:
    """A statement with full table names, as if the project were the default."""
    return re.sub(rf"\b{DATASET}\.(\w+)", rf"`{PROJECT}.{DATASET}.\1`", with_values(statement))


@cache
def granular() -> dict[date, Rows]:
    return {
        day: [
            {"day": str(day), "settings_id": "s", "dps_id": service, "consent": consent, "action": "7"}
            | {"total": str(10 + n % 7 + share * (n // 31 + 1)), "country": "DE", "os": "ios", "browser": browser}
            for service, consent, share, browser in (
                ("analytics", "1", 3, "safari"),
                ("analytics", "0", 2, "bot"),
                ("maps", "1", 1, "safari"),
                ("maps", "0", 5, "chrome"),
            )
        ]
        for n, day in enumerate(DAYS)
    }


@cache
def interaction() -> dict[date, Rows]:
    return {
        day: [
            {"day": str(day), "event_type": event, "settings_id": "s", "host": "h", "country": country}
            | {"browser": browser, "device_type": device, "os": "ios", "number": str(number * weight + n % 5)}
            for event, number in EVENTS.items()
            for country, device, browser, weight in (
                ("DE", "mobile", "safari", 10),
                ("DE", "desktop", "", 3),
                ("", "mobile", "safari", 1),
                ("DE", "mobile", "bot", 1000),
            )
        ]
        for n, day in enumerate(DAYS)
    }


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of both daily exports, the last day of granular without its manifest."""
    bucket = tmp_path_factory.mktemp("gs") / BUCKET
    for aggregation, header, reports in (
        ("granular", GRANULAR.removesuffix(",note"), granular()),
        ("interaction", INTERACTION, interaction()),
    ):
        for day, report in reports.items():
            name = f"{PREFIX}{aggregation}/daily/start_date={day}/{aggregation}-{day}-000000000000.csv"
            (bucket / name).parent.mkdir(parents=True)
            with (bucket / name).open("w", newline="") as file:
                writer = csv.DictWriter(file, header.split(","))
                writer.writeheader()
                writer.writerows(report)
            manifest = {"aggregation": aggregation, "frequency": "daily", "start_date": str(day), "end_date": str(day)}
            path = bucket / f"{PREFIX}manifests/{aggregation}/daily/start_date={day}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(manifest | {"objects": [{"name": name}]}) + "\n")
    (bucket / f"{PREFIX}manifests/granular/daily/start_date={DAYS[-1]}.json").unlink()
    return bucket


@pytest.fixture(scope="module")
def bigquery(bucket: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse(bucket) as connection:
        yield connection


def percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1)


def decisions(days: list[date], service: str, consent: str = "") -> int:
    """The number of decisions, counted from the reports' rows."""
    return sum(
        int(row["total"])
        for day in days
        for row in granular()[day]
        if row["dps_id"] == service and row["consent"].startswith(consent)
    )


def events(days: list[date], names: set[str], **where: str) -> int:
    """The number of events, counted from the reports' rows without bots."""
    return sum(
        int(row["number"])
        for day in days
        for row in interaction()[day]
        if row["event_type"] in names and row["browser"] != "bot" and where.items() <= row.items()
    )


def between(first: str, last: str) -> list[date]:
    return [day for day in DAYS if first <= str(day) <= last]


def opt_in_rates() -> list[tuple[Any, ...]]:
    weeks = [between("2022-04-04", "2022-04-10"), between("2022-04-11", "2022-04-17")]
    return [
        (
            service,
            str(week[0]),
            decisions(week, service),
            percent(decisions(week, service, "1"), decisions(week, service)),
        )
        for service in ("analytics", "maps")
        for week in weeks
    ]


def accept_rates() -> list[tuple[Any, ...]]:
    april = between("2022-04-01", "2022-04-30")
    return [
        (
            country or None,
            device,
            events(april, {"1"}, **where),
            percent(events(april, {"2", "8"}, **where), events(april, {"2", "8", "6", "SAVE_L2"}, **where)),
        )
        for country, device in (("DE", "mobile"), ("DE", "desktop"), ("", "mobile"))
        for where in [{"country": country, "device_type": device}]
    ]


def displays() -> list[tuple[Any, ...]]:
    counts = [
        (str(day), events([day], {"1"}), events([day], {"2", "8", "6", "SAVE_L2"}))
        for day in between("2022-04-04", "2022-04-10")
    ]
    return [(day, shown, done, shown - done, percent(done, shown)) for day, shown, done in counts]


def changes() -> list[tuple[Any, ...]]:
    march, april = between("2022-03-01", "2022-03-31"), between("2022-04-01", "2022-04-29")
    return [
        (
            service,
            percent(decisions(march, service, "1"), decisions(march, service)),
            percent(decisions(april, service, "1"), decisions(april, service)),
            decisions(april, service) - decisions(march, service),
        )
        for service in ("analytics", "maps")
    ]


def newest() -> list[tuple[Any, ...]]:
    return [("2022-04-29",)]


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("Opt-in rate by service and week", opt_in_rates),
        ("Accept rate by country and device", accept_rates),
        ("Displays against interactions", displays),
        ("What changed since last month", changes),
        ("The newest complete day", newest),
    ],
)
def test_the_results_equal_those_of_counting_rows(
    bigquery: duckdb.DuckDBPyConnection, heading: str, expected: Callable[[], list[tuple[Any, ...]]]
) -> None:
    query = duckdb_sql(examples()[heading][0], now="2022-05-01 09:00:00")
    found = [tuple(str(cell)[:10] if isinstance(cell, date) else cell for cell in row) for row in rows(bigquery, query)]
    assert found == expected()


def test_a_script_uses_the_newest_day(bigquery: duckdb.DuckDBPyConnection) -> None:
    *_, script = examples()["The newest complete day"]
    declared, query = (with_values(part.strip()) for part in script.split(";") if part.strip())
    ((newest_day,),) = rows(bigquery, duckdb_sql(declared, now="2022-05-01 09:00:00"))
    ((settings_id, total, _),) = rows(bigquery, duckdb_sql(query, now="2022-05-01 09:00:00"))
    assert str(newest_day) == "2022-04-29"
    assert (settings_id, total) == ("s", decisions([newest_day], "analytics") + decisions([newest_day], "maps"))


def test_the_scheduled_query_fills_a_native_table_and_may_run_again(bigquery: duckdb.DuckDBPyConnection) -> None:
    once, scheduled = examples()["For heavy use: a native table"]
    create = sqlglot.parse_one(qualified(once), read="bigquery")
    for partitioning in list(create.find_all(exp.PartitionedByProperty)):
        partitioning.pop()  # DuckDB has no partitions
    bigquery.execute(create.sql("duckdb"))
    counted = f"SELECT start_date::VARCHAR, count(*), sum(total) FROM {DATASET}.granular_daily_native GROUP BY ALL"
    for _ in range(2):
        for part in scheduled.split(";"):
            if part.strip():
                bigquery.execute(duckdb_sql(with_values(part.strip()), now="2022-04-06 13:00:00"))
        total = decisions([date(2022, 4, 5)], "analytics") + decisions([date(2022, 4, 5)], "maps")
        assert rows(bigquery, counted) == [("2022-04-05", 4, total)]


@pytest.fixture(scope="module")
def googlesql() -> GoogleSql:
    return GoogleSql("America/Los_Angeles")


@pytest.mark.slow
def test_bigquery_accepts_every_statement_of_the_documentation(googlesql: GoogleSql) -> None:
    columns = created(googlesql, tables("known_columns"))
    _, pseudo = catalog(tables("known_columns"))
    once = next(statement for statement in statements() if statement.startswith("CREATE TABLE"))
    native = googlesql.analyze(qualified(once), columns, pseudo)
    columns[f"{PROJECT}.{DATASET}.granular_daily_native"] = [
        (column.name, column.type) for column in native.column_definition_list
    ]
    assert len(statements()) >= 11
    for statement in statements():
        try:
            googlesql.analyze(qualified(statement), columns, pseudo)
        except Refused as refusal:
            pytest.fail(f"{refusal}\n{statement}")


def test_every_query_over_reports_compares_start_date_with_a_constant() -> None:
    """A literal, a parameter or a variable: with anything else BigQuery reads every file."""
    checked = 0
    for statement in statements():
        parsed = sqlglot.parse_one(with_values(statement), read="bigquery")
        read = {table.name for table in parsed.find_all(exp.Table)}
        if isinstance(parsed, exp.Create) or read <= {"exports", "missing_periods"}:
            continue
        where = parsed.find(exp.Where)
        assert where, statement
        limits = [
            limit
            for limit in where.find_all(exp.EQ, exp.Between)
            if isinstance(limit.this, exp.Column) and limit.this.name == "start_date"
        ]
        assert limits, statement
        for limit in limits:
            others = [part for part in limit.iter_expressions() if part is not limit.this]
            assert not [bad for part in others for bad in part.find_all(exp.Column, exp.Subquery, exp.Select)], (
                statement
            )
        checked += 1
    assert checked >= 8


def test_no_example_counts_rows_or_averages_codes() -> None:
    for statement in statements():
        parsed = sqlglot.parse_one(with_values(statement), read="bigquery")
        assert not list(parsed.find_all(exp.Count, exp.Avg, exp.CountIf)), statement


def test_columns_md_has_every_name_in_the_views() -> None:
    text = (ROOT / "docs/columns.md").read_text()
    views = [(ROOT / "terraform/sql" / name).read_text() for name in ("granular_decoded.sql", "event_name.sql")]
    names = [name for view in views for name in re.findall(r"WHEN \d+ THEN '(.+)'", view)]
    assert len(names) == 2 + 9 + 9 + 18
    cells = {cell.strip() for line in text.splitlines() for cell in line.split("|")}
    assert [name for name in names if name not in cells and name not in {"Opt-out", "Opt-in"}] == []
    for description in json.loads((ROOT / "terraform/known_columns.json").read_text()).values():
        assert [column for column in description if f"`{column}`" not in cells] == []
