"""Every view of the plans is accepted by Google's own analyzer: BigQuery would not create a view that it refuses."""

import json
import re
import sys
from typing import Any

import pytest

from tests.terraform.googlesql import Columns, GoogleSql, Refused, analyzer, column_type, simple
from tests.terraform.test_sql import DUE, expecting
from tests.terraform.warehouse import DATASET, PROJECT, exports_schema, tables, views

RUNS = ["known_columns", "other_columns", "deletion", "deletion_elsewhere", "expectations"]
DETECTED = [("day", "DATE"), ("consent", "INT64"), ("anything", "STRING")]
"""Columns as BigQuery may detect them if `tables` has none."""
FILE_NAME = "_FILE_NAME"


def qualified(table_id: str) -> str:
    return f"{PROJECT}.{DATASET}.{table_id}"


def catalog(planned: dict[str, dict[str, Any]]) -> tuple[dict[str, Columns], dict[str, Columns]]:
    """The columns of the external tables among these, and their columns that `*` does not select."""
    columns: dict[str, Columns] = {
        qualified("exports"): [(field["name"], column_type(field)) for field in exports_schema()]
    }
    pseudo: dict[str, Columns] = {}
    for name, table in planned.items():
        if not name.startswith("files/"):
            continue
        schema = table["external_data_configuration"][0].get("schema")
        of_file = [(field["name"], field["type"]) for field in json.loads(schema)] if schema else DETECTED
        table_name = qualified(table["table_id"])
        columns[table_name] = [(column, simple(kind)) for column, kind in [*of_file, ("start_date", "DATE")]]
        pseudo[table_name] = [(FILE_NAME, simple("STRING"))]
    return columns, pseudo


def created(googlesql: GoogleSql, planned: dict[str, dict[str, Any]]) -> dict[str, Columns]:
    """The columns of every table and view; each view is created after those that it reads."""
    columns, pseudo = catalog(planned)
    for table in planned.values():
        if table["view"]:
            query = table["view"][0]["query"]
            columns[qualified(table["table_id"])] = googlesql.created_view(query, columns, pseudo)
    return columns


@pytest.fixture(scope="module", params=["UTC", "America/Los_Angeles"])
def googlesql(request: pytest.FixtureRequest) -> GoogleSql:
    return GoogleSql(request.param)


@pytest.fixture(scope="module")
def known(googlesql: GoogleSql) -> dict[str, Columns]:
    """Tables and views over known columns."""
    return created(googlesql, tables("known_columns"))


@pytest.mark.parametrize("run", RUNS)
def test_bigquery_would_create_every_view(googlesql: GoogleSql, run: str) -> None:
    assert len(created(googlesql, tables(run))) == len(tables(run))


def kinds(columns: Columns) -> dict[str, str]:
    return {name.lower(): kind.type_kind.name.removeprefix("TYPE_") for name, kind in columns}


@pytest.mark.parametrize("frequency", ["daily", "weekly", "monthly"])
def test_known_columns_have_their_types_in_the_views(known: dict[str, Columns], frequency: str) -> None:
    numbers = ["consent", "action", "total"]
    granular = kinds(known[qualified(f"granular_{frequency}")])
    assert {name: granular[name] for name in ["day", *numbers]} == {"day": "DATE"} | dict.fromkeys(numbers, "INT64")
    interaction = kinds(known[qualified(f"interaction_{frequency}")])
    assert (interaction["day"], interaction["number"]) == ("DATE", "INT64")
    assert FILE_NAME.lower() not in granular


def test_rates_are_counts_and_fractions(known: dict[str, Columns]) -> None:
    assert kinds(known[qualified("granular_daily_rates")]) == {
        "start_date": "DATE",
        "day": "DATE",
        "settings_id": "STRING",
        "dps_id": "STRING",
        **dict.fromkeys(["decisions", "opt_ins", "opt_outs"], "INT64"),
        "opt_in_rate": "DOUBLE",
    }
    assert kinds(known[qualified("interaction_daily_rates")]) == {
        "start_date": "DATE",
        "day": "DATE",
        "settings_id": "STRING",
        **dict.fromkeys(["displays", "interactions", "ignores", "accepts", "denies", "saves"], "INT64"),
        **dict.fromkeys(["interaction_rate", "accept_rate", "deny_rate", "save_rate"], "DOUBLE"),
    }


@pytest.mark.parametrize(
    ("table_id", "query"),
    [
        (
            "granular_daily",
            "SELECT complete.*, 'x' AS consent_name FROM `my-project.analytics_export.granular_weekly_files` AS complete",
        ),
        (
            "interaction_daily",
            "SELECT complete.*, 'x' AS event_name FROM `my-project.analytics_export.interaction_weekly_files` AS complete",
        ),
    ],
)
def test_a_column_that_a_view_adds_is_refused_if_the_file_has_it(
    googlesql: GoogleSql, table_id: str, query: str
) -> None:
    """So the plan has no such view then: tables.tftest.hcl."""
    columns, pseudo = catalog(tables("other_columns"))
    with pytest.raises(Refused, match="duplicate name"):
        googlesql.created_view(query, columns, pseudo)
    assert f"{table_id.replace('daily', 'weekly')}_decoded" not in views("other_columns")


MUTANTS = [
    pytest.param("granular_daily_decoded", r"CASE complete\.action\n    WHEN 0", "CASE complete.action\n    WHEN '0'", id="a CASE over an INTEGER with a STRING label"),
    pytest.param("interaction_daily_decoded", r"WHEN 17 THEN", "WHEN '17' THEN", id="likewise over a cast"),
    pytest.param("missing_periods", r"INTERVAL 8 HOUR\)", "INTERVAL 1 MONTH)", id="a TIMESTAMP plus a month"),
    pytest.param("missing_periods", r"<= CURRENT_TIMESTAMP\(\)", "<= CURRENT_DATE('UTC')", id="a TIMESTAMP before a DATE"),
    pytest.param("missing_periods", r"DATE_ADD\(calendar\.end_date, INTERVAL 1 DAY\)", "DATE_ADD(calendar.end_date, INTERVAL 8 HOUR)", id="a DATE plus hours"),
    pytest.param("granular_daily", r"files\._FILE_NAME", "files.file_name", id="a column that does not exist"),
    pytest.param("granular_daily_rates", r", complete\.dps_id\n?$", "", id="a column that is not grouped by"),
    pytest.param("granular_daily_decoded", r"AS action_event", "AS action_name", id="two columns of a name"),
]  # fmt: skip


@pytest.mark.parametrize(("table_id", "pattern", "replacement"), MUTANTS)
def test_queries_that_bigquery_refuses_are_refused(
    googlesql: GoogleSql, known: dict[str, Columns], table_id: str, pattern: str, replacement: str
) -> None:
    """Most of these pass in test_sql.py, since sqlglot and DuckDB accept more."""
    _, pseudo = catalog(tables("known_columns"))
    query = views("known_columns")[table_id]
    mutant = re.sub(pattern, replacement, query)
    assert mutant != query
    with pytest.raises(Refused):
        googlesql.created_view(mutant, known, pseudo)


def test_the_checks_are_skipped_if_the_analyzer_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that wasmtime does not support, its import fails."""
    monkeypatch.setitem(sys.modules, "wasmtime", None)
    with pytest.raises(pytest.skip.Exception, match="does not run on this machine"):
        analyzer.__wrapped__()


def inline(table_id: str, query: str) -> str:
    return f"`{qualified(table_id)}` AS ({query})"


def literal(value: str | None, kind: str = "STRING") -> str:
    return f"CAST({'NULL' if value is None else json.dumps(value)} AS {kind})"


@pytest.mark.parametrize("case", DUE, ids=lambda case: f"{case['frequency']}: {case['why']}")
def test_missing_periods_become_due_at_the_same_time_as_in_the_function(
    googlesql: GoogleSql, case: dict[str, Any]
) -> None:
    """Run by Google's own evaluator, for readers in two time zones. The bucket is empty."""
    nothing = "SELECT '' AS aggregation, '' AS frequency, DATE '2022-01-01' AS start_date FROM UNNEST([]) AS none"
    query = expecting(case).replace("CURRENT_TIMESTAMP()", f"TIMESTAMP '{case['now']}+00'")
    query = query.replace("CURRENT_DATE('UTC')", f"DATE(TIMESTAMP '{case['now']}+00', 'UTC')")
    found = googlesql.rows(f"WITH {inline('exports', nothing)} SELECT * FROM ({query})")
    assert sorted(row["start_date"] for row in found) == case["due"]


@pytest.mark.parametrize("kind", ["STRING", "INT64"])
def test_decoded_views_have_the_same_names_in_googles_evaluator(googlesql: GoogleSql, kind: str) -> None:
    """The type of an event depends on the table; the other codes are numbers in the view that is read."""
    events = ["1", "10", "17", "18", "-3", None] + (["", "SAVE_L2"] if kind == "STRING" else [])
    complete = " UNION ALL ".join(f"SELECT {literal(event, kind)} AS event_type" for event in events)
    found = googlesql.rows(
        f"WITH {inline('interaction_daily', complete)} SELECT * FROM ({views('known_columns')['interaction_daily_decoded']})"
    )
    names = {None if row["event_type"] is None else str(row["event_type"]): row["event_name"] for row in found}
    expected: dict[str | None, str | None] = {
        "1": "CMP_SHOWN",
        "10": "SAVE_L2",
        "17": "SAY_MINE_LINK",
        "18": "unknown code 18",
        "-3": "unknown code -3",
        None: None,
    }
    assert names == (expected | {"": None, "SAVE_L2": "SAVE_L2"} if kind == "STRING" else expected)


def test_a_day_that_is_a_timestamp_in_the_table_is_the_day_in_utc(googlesql: GoogleSql) -> None:
    files = "SELECT TIMESTAMP '2022-04-01 00:30:00+00' AS day, 1.0 AS total, 1 AS action, TRUE AS consent, 'gs://my-bucket/a' AS _FILE_NAME"
    exports = "SELECT 'granular' AS aggregation, 'monthly' AS frequency, [STRUCT('a' AS name)] AS objects"
    query = views("known_columns")["granular_monthly"]
    (found,) = googlesql.rows(
        f"WITH {inline('granular_monthly_files', files)}, {inline('exports', exports)} SELECT * FROM ({query})"
    )
    assert {name: found[name] for name in ("day", "total", "consent")} == {
        "day": "2022-04-01",
        "total": 1,
        "consent": 1,
    }


def test_rates_are_the_same_in_googles_evaluator(googlesql: GoogleSql) -> None:
    events = [("1", "chrome", 100), ("1", "bot", 900), ("2", None, 30), ("ACCEPT_ALL_L1", "", 10), ("3", "x", 10)]
    complete = " UNION ALL ".join(
        f"SELECT DATE '2022-04-01' AS start_date, DATE '2022-04-01' AS day, 's' AS settings_id, {number} AS number, "
        f"{literal(event)} AS event_type, {literal(browser)} AS browser"
        for event, browser, number in events
    )
    (found,) = googlesql.rows(
        f"WITH {inline('interaction_daily', complete)} SELECT * FROM ({views('known_columns')['interaction_daily_rates']})"
    )
    assert (found["displays"], found["interactions"], found["ignores"]) == (100, 50, 50)
    assert (found["interaction_rate"], found["accept_rate"], found["deny_rate"], found["save_rate"]) == (
        0.5,
        0.8,
        0.2,
        0,
    )
