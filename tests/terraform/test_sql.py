"""The views of the plan, run in DuckDB over files that the function copied on the local stack."""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.terraform.copied_bucket import EVENTS, copied_bucket, copied_bucket_and_function
from tests.terraform.terraform_cli import changes
from tests.terraform.warehouse import DATASET, PROJECT, duckdb_sql, exports_schema, rows, views, warehouse

DUE = json.loads((Path(__file__).parents[1] / "due_periods.json").read_text())
ELSEWHERE = "America/Los_Angeles"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with copied_bucket(tmp_path_factory.mktemp("stack")) as objects:
        yield objects


@pytest.fixture(params=["UTC", ELSEWHERE])
def bigquery(bucket: Path, request: pytest.FixtureRequest) -> Iterator[duckdb.DuckDBPyConnection]:
    """Tables and views over the copied bucket, for readers in two time zones."""
    with warehouse(bucket, time_zone=request.param) as connection:
        yield connection


def test_the_schema_of_the_exports_table_has_every_field_of_a_manifest(
    bigquery: duckdb.DuckDBPyConnection, bucket: Path
) -> None:
    manifest = json.loads(next(bucket.glob("some/manifests/**/*.json")).read_text())
    schema = {column["name"]: column for column in exports_schema()}
    assert set(manifest) == set(schema)
    assert set(manifest["objects"][0]) == {field["name"] for field in schema["objects"]["fields"]}
    assert rows(bigquery, "SELECT bytes = list_sum([o.size FOR o IN objects]) FROM exports") == [(True,)] * 8


class TestCompletePeriods:
    def test_exclude_a_half_copied_one_and_a_file_that_no_manifest_names(
        self, bigquery: duckdb.DuckDBPyConnection
    ) -> None:
        counts = "SELECT start_date::VARCHAR, count(*) FROM {} GROUP BY ALL ORDER BY ALL"
        everything = [("2022-04-01", 15), ("2022-04-02", 2), ("2022-04-04", 7), ("2022-04-05", 3)]
        assert rows(bigquery, counts.format("granular_daily_files")) == everything
        assert rows(bigquery, counts.format("granular_daily")) == [
            ("2022-04-01", 10),
            ("2022-04-02", 2),
            ("2022-04-05", 3),
        ]

    def test_have_a_manifest_of_the_same_aggregation_and_frequency(self, bigquery: duckdb.DuckDBPyConnection) -> None:
        """The week that starts on the half-copied day is complete, and so is the other aggregation; the day is not."""
        complete = "SELECT aggregation, frequency FROM exports WHERE start_date = '2022-04-04' ORDER BY ALL"
        assert rows(bigquery, complete) == [("granular", "weekly"), ("interaction", "daily")]
        assert rows(bigquery, "SELECT * FROM granular_daily WHERE start_date = '2022-04-04'") == []
        assert rows(bigquery, "SELECT count(*) FROM granular_weekly WHERE start_date = '2022-04-04'") == [(7,)]

    def test_have_types_for_known_names_and_null_for_an_invalid_value(
        self, bigquery: duckdb.DuckDBPyConnection
    ) -> None:
        types = dict(rows(bigquery, "SELECT column_name, column_type FROM (DESCRIBE granular_daily)"))
        typed = {name: kind for name, kind in types.items() if kind != "VARCHAR"}
        whole_numbers = dict.fromkeys(["consent", "action", "total"], "BIGINT")
        assert typed == {"day": "DATE", "start_date": "DATE"} | whole_numbers
        odd = "SELECT day, consent, action, total FROM granular_daily WHERE settings_id = 'setting-9' ORDER BY total"
        assert rows(bigquery, odd) == [(None, 2, None, 7), (None, None, None, None)]

    @pytest.mark.parametrize(
        ("file_name", "counted"),
        [
            ("a b+ö.csv", 1),
            ("a%20b%2B%C3%B6.csv", 1),
            ("a b%2B%c3%b6.csv", 1),
            ("other/a b+ö.csv", 0),
            ("a b+ö.csv.csv", 0),
        ],
    )
    def test_find_a_file_by_its_name_with_or_without_percent_encoding(self, file_name: str, counted: int) -> None:
        folder = "granular/daily/start_date=2022-04-01/"
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH ':memory:' AS \"{PROJECT}\"")
            connection.execute(f'CREATE SCHEMA "{PROJECT}".{DATASET}; USE "{PROJECT}".{DATASET}')
            connection.execute(
                "CREATE TABLE exports AS SELECT 'granular' AS aggregation, 'daily' AS frequency, "
                f"[{{name: 'some/{folder}a b+ö.csv'}}] AS objects"
            )
            connection.execute(
                "CREATE TABLE granular_daily_files AS SELECT '' AS action, '' AS consent, '' AS day, '' AS total, "
                f"'gs://my-bucket/some/{folder}{file_name}' AS _FILE_NAME"
            )
            query = duckdb_sql(views("known_columns")["granular_daily"], now="2022-05-01 09:00:00")
            assert len(rows(connection, query)) == counted

    def test_do_not_change_the_type_of_an_event(self, bigquery: duckdb.DuckDBPyConnection) -> None:
        assert rows(bigquery, "SELECT typeof(event_type), typeof(number) FROM interaction_daily LIMIT 1") == [
            ("VARCHAR", "BIGINT")
        ]

    @pytest.mark.parametrize(
        ("now", "periods"),
        [
            ("2022-05-02 07:59:59", ["2022-04-01", "2022-04-02"]),
            ("2022-05-02 08:00:01", ["2022-04-02"]),
            ("2022-05-05 12:00:01", []),
        ],
    )
    def test_are_excluded_once_their_oldest_file_may_be_deleted(self, now: str, periods: list[str]) -> None:
        """After 30 days. A generation is a time in microseconds; for any other, the age counts from the period's end."""
        with duckdb.connect() as connection:
            connection.execute(f"SET TimeZone = 'UTC'; ATTACH ':memory:' AS \"{PROJECT}\"")
            connection.execute(f'CREATE SCHEMA "{PROJECT}".{DATASET}; USE "{PROJECT}".{DATASET}')
            connection.execute(
                "CREATE TABLE exports AS SELECT 'granular' AS aggregation, 'daily' AS frequency, * FROM (VALUES "
                f"(DATE '2022-04-01', {_objects('2022-04-01', '2022-04-04 08:00:00', '2022-04-02 08:00:00')}), "
                f"(DATE '2022-04-02', {_objects('2022-04-02', '2022-04-05 12:00:00')})"
                ") AS t(end_date, objects)"
            )
            connection.execute(
                "CREATE TABLE granular_daily_files AS SELECT "
                "end_date AS start_date, '1' AS action, '1' AS consent, '2022-04-01' AS day, '1' AS total, "
                "'gs://my-project-analytics-export/' || objects[1].name AS _FILE_NAME FROM exports"
            )
            query = duckdb_sql(views("deletion")["granular_daily"], now=now)
            found = rows(connection, f"SELECT start_date::VARCHAR FROM ({query}) ORDER BY ALL")
        assert [start for (start,) in found] == periods

    def test_with_a_generation_that_is_no_time_the_age_counts_from_the_day_after_the_period(self) -> None:
        query = views("deletion")["granular_daily"]
        assert "TIMESTAMP(DATE_ADD(exports.end_date, INTERVAL 1 DAY), 'UTC')" in query
        with duckdb.connect() as connection:
            connection.execute(f"SET TimeZone = 'UTC'; ATTACH ':memory:' AS \"{PROJECT}\"")
            connection.execute(f'CREATE SCHEMA "{PROJECT}".{DATASET}; USE "{PROJECT}".{DATASET}')
            connection.execute(
                "CREATE TABLE exports AS SELECT 'granular' AS aggregation, 'daily' AS frequency, "
                "DATE '2022-04-01' AS end_date, [{name: 'a', generation: '7'}] AS objects"
            )
            connection.execute(
                "CREATE TABLE granular_daily_files AS SELECT '1' AS action, '1' AS consent, '' AS day, '1' AS total, "
                "'gs://my-project-analytics-export/a' AS _FILE_NAME"
            )
            counted = {
                now: len(rows(connection, duckdb_sql(query, now=now)))
                for now in ("2022-05-01 23:59:59", "2022-05-02 00:00:00")
            }
        assert counted == {"2022-05-01 23:59:59": 1, "2022-05-02 00:00:00": 0}


def _objects(period: str, *created: str) -> str:
    """A list of objects that were created at these times."""
    generations = [
        int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1_000_000) for moment in created
    ]
    return str([{"name": f"{period}/{n}", "generation": str(value)} for n, value in enumerate(generations)])


class TestDecoded:
    def test_codes_have_usercentrics_own_names(self, bigquery: duckdb.DuckDBPyConnection) -> None:
        decoded = rows(
            bigquery,
            "SELECT action, action_name, action_event, consent_name FROM granular_daily_decoded "
            "WHERE start_date = '2022-04-01' ORDER BY action",
        )
        assert decoded == [
            (0, "Accept All", "onAcceptAllServices", "Opt-out"),
            (1, "Deny All", "onDenyAllServices", "Opt-in"),
            (2, "Essential change", "onEssentialChange", "Opt-out"),
            (3, "Initial page load", "onInitialPageLoad", "Opt-in"),
            (4, "Bot, first CCPA visit or non-EU region", "onNonEURegion", "Opt-out"),
            (5, "Session restored (deprecated)", "onSessionRestored", "Opt-in"),
            (6, "TCF string change", "onTcfStringChange", "Opt-out"),
            (7, "Granular Accept or Granular Deny", "onUpdateServices", "Opt-in"),
            (8, "Mobile session restore", "onMobileSessionRestore", "Opt-out"),
            (9, "unknown code 9", None, "Opt-in"),
        ]

    def test_an_empty_code_has_no_name_and_an_unknown_one_is_named_unknown(
        self, bigquery: duckdb.DuckDBPyConnection
    ) -> None:
        """One of the empty codes is quoted, the other is not."""
        odd = "SELECT consent_name, action_name, action_event FROM granular_daily_decoded WHERE settings_id = 'setting-9' ORDER BY total"
        assert rows(bigquery, odd) == [("unknown code 2", None, None), (None, None, None)]

    def test_an_event_may_be_a_number_or_a_name(self, bigquery: duckdb.DuckDBPyConnection) -> None:
        found = dict(rows(bigquery, "SELECT DISTINCT event_type, event_name FROM interaction_daily_decoded"))
        assert found == {
            "0": "UNDEFINED",
            "1": "CMP_SHOWN",
            "2": "ACCEPT_ALL",
            "3": "DENY_ALL",
            "4": "SAVE",
            "5": "ACCEPT_ALL_L1",
            "6": "DENY_ALL_L1",
            "7": "SAVE_L1",
            "8": "ACCEPT_ALL_L2",
            "9": "DENY_ALL_L2",
            "10": "SAVE_L2",
            "17": "SAY_MINE_LINK",
            "18": "unknown code 18",
            "": None,
            None: None,
            "ACCEPT_ALL_L1": "ACCEPT_ALL_L1",
            "SOMETHING_NEW": "SOMETHING_NEW",
        }

    def test_every_known_event_has_its_name(self) -> None:
        names = [
            "UNDEFINED",
            "CMP_SHOWN",
            "ACCEPT_ALL",
            "DENY_ALL",
            "SAVE",
            "ACCEPT_ALL_L1",
            "DENY_ALL_L1",
            "SAVE_L1",
            "ACCEPT_ALL_L2",
            "DENY_ALL_L2",
            "SAVE_L2",
            "COOKIE_POLICY_LINK",
            "IMPRINT_LINK",
            "MORE_INFORMATION_LINK",
            "PRIVACY_POLICY_LINK",
            "CCPA_TOGGLES_ON",
            "CCPA_TOGGLES_OFF",
            "SAY_MINE_LINK",
        ]
        written = re.findall(r"WHEN (\d+) THEN '(\w+)'", views("known_columns")["interaction_daily_decoded"])
        assert written == [(str(number), name) for number, name in enumerate(names)]


class TestRates:
    def test_opt_in_rates_are_quotients_of_the_files_counts(
        self, bigquery: duckdb.DuckDBPyConnection, bucket: Path
    ) -> None:
        """Compared with sums of the files by another CSV reader."""
        sums: dict[tuple[str, str], list[int]] = {}
        for path in bucket.glob("some/granular/daily/start_date=2022-04-01/*.csv"):
            for row in csv.DictReader(io.StringIO(path.read_text())):
                entry = sums.setdefault((row["settings_id"], row["dps_id"]), [0, 0, 0])
                entry[0] += int(row["total"])
                entry[1 if row["consent"] == "1" else 2] += int(row["total"])
        found = rows(
            bigquery,
            "SELECT settings_id, dps_id, decisions, opt_ins, opt_outs, opt_in_rate, day::VARCHAR "
            "FROM granular_daily_rates WHERE start_date = '2022-04-01' ORDER BY ALL",
        )
        assert found == [
            (*key, decisions, opt_ins, opt_outs, opt_ins / decisions, "2022-04-01")
            for key, (decisions, opt_ins, opt_outs) in sorted(sums.items())
        ]

    def test_unknown_consent_is_a_decision_and_without_decisions_there_is_no_rate(
        self, bigquery: duckdb.DuckDBPyConnection
    ) -> None:
        found = (
            "SELECT decisions, opt_ins, opt_outs, opt_in_rate FROM granular_daily_rates WHERE settings_id = 'setting-9'"
        )
        assert rows(bigquery, found) == [(7, 0, 0, 0)]
        bigquery.execute("CREATE OR REPLACE VIEW granular_daily AS FROM granular_weekly SELECT * REPLACE (0 AS total)")
        assert set(rows(bigquery, "SELECT decisions, opt_in_rate FROM granular_daily_rates")) == {(0, None)}

    def test_interaction_rates_equal_those_of_the_dashboards_and_exclude_bots(
        self, bigquery: duckdb.DuckDBPyConnection
    ) -> None:
        people = [(event, number) for event, browser, number in EVENTS if browser.lower() != "bot" and number.isdigit()]
        displays = sum(int(number) for event, number in people if event == "1")
        accepts = sum(int(number) for event, number in people if event in {"2", "5", "8", "ACCEPT_ALL_L1"})
        denies = sum(int(number) for event, number in people if event in {"3", "6", "9"})
        saves = sum(int(number) for event, number in people if event in {"4", "7", "10"})
        interactions = accepts + denies + saves
        (found,) = rows(bigquery, "SELECT * EXCLUDE (start_date, day, settings_id) FROM interaction_daily_rates")
        assert (displays, accepts, denies, saves) == (120, 40, 15, 5)
        assert found == (
            *(displays, interactions, displays - interactions, accepts, denies, saves),
            *(interactions / displays, accepts / interactions, denies / interactions, saves / interactions),
        )

    def test_without_displays_and_interactions_there_are_no_rates(self, bigquery: duckdb.DuckDBPyConnection) -> None:
        bigquery.execute(
            "CREATE OR REPLACE VIEW interaction_daily AS FROM interaction_monthly SELECT * REPLACE ('17' AS event_type)"
        )
        (found, *_) = rows(bigquery, "SELECT displays, COLUMNS('_rate$') FROM interaction_daily_rates")
        assert found == (0, None, None, None, None)


class TestMissingPeriods:
    @staticmethod
    def missing(bucket: Path, now: str, *, run: str = "known_columns", time_zone: str = "UTC") -> list[tuple[str, ...]]:
        with warehouse(bucket, run=run, now=now, time_zone=time_zone) as connection:
            found = rows(connection, "FROM missing_periods")
        # a DATE plus days is a DATE in BigQuery and a TIMESTAMP in DuckDB
        return sorted(
            (aggregation, frequency, str(start)[:10], str(end)[:10]) for aggregation, frequency, start, end in found
        )

    @pytest.mark.parametrize("time_zone", ["UTC", ELSEWHERE])
    def test_are_the_calendar_without_the_manifests(self, bucket: Path, time_zone: str) -> None:
        assert self.missing(bucket, "2022-04-06 08:00:00", time_zone=time_zone) == [
            ("granular", "daily", "2022-04-03", "2022-04-03"),
            ("granular", "daily", "2022-04-04", "2022-04-04"),
            ("interaction", "monthly", "2022-02-01", "2022-02-28"),
        ]

    def test_equal_those_of_the_coverage_for_the_same_bucket_and_time(self, tmp_path: Path) -> None:
        """The function's answer to GET, and the view over the same manifests."""
        with copied_bucket_and_function(tmp_path) as (folder, function):
            for now in ("2022-04-05 12:00:00", "2022-04-06 08:00:00", "2022-05-02 07:59:59", "2022-05-02 08:00:00"):
                answer = function.get(headers={"X-CloudScheduler-ScheduleTime": f"{now.replace(' ', 'T')}Z"})
                coverage: Any = answer.json()["coverage"]
                reported = sorted(
                    (each["aggregation"], each["frequency"], period["start_date"], period["end_date"])
                    for each in coverage
                    for period in each["periods"]
                    if period["status"] == "missing"
                )
                assert reported == self.missing(folder, now)
                assert reported

    @pytest.mark.parametrize("time_zone", ["UTC", ELSEWHERE])
    def test_a_period_is_missing_only_once_it_is_due(self, bucket: Path, time_zone: str) -> None:
        before = self.missing(bucket, "2022-05-02 07:59:59", time_zone=time_zone)
        after = self.missing(bucket, "2022-05-02 08:00:00", time_zone=time_zone)
        assert ("interaction", "monthly", "2022-04-01", "2022-04-30") in before
        assert set(after) - set(before) == {
            ("granular", "daily", "2022-05-01", "2022-05-01"),
            ("granular", "weekly", "2022-04-25", "2022-05-01"),
            ("interaction", "daily", "2022-05-01", "2022-05-01"),
        }

    def test_expectations_can_have_a_first_and_a_last_day(self, bucket: Path) -> None:
        """So an abandoned export has no new missing periods; one that never ran is missing from its first day on."""
        found = self.missing(bucket, "2022-04-20 12:00:00", run="expectations")
        by_export: dict[str, list[str]] = {}
        for aggregation, frequency, start, _ in found:
            by_export.setdefault(f"{aggregation}/{frequency}", []).append(start)
        interaction = [str(date(2022, 4, 6) + timedelta(days=n)) for n in range(14)]
        assert by_export == {
            "granular/daily": [f"2022-04-{day:02}" for day in (3, 4, 6, 7, 8, 9, 10)],
            "granular/weekly": ["2022-03-14", "2022-03-21", "2022-03-28", "2022-04-11"],
            "interaction/daily": interaction,
            "interaction/monthly": ["2022-02-01"],
        }

    @pytest.mark.parametrize("case", DUE, ids=lambda case: f"{case['frequency']}: {case['why']}")
    def test_become_due_at_the_same_time_as_in_the_function(self, case: dict[str, Any]) -> None:
        """For a reader in another time zone. The bucket is empty, so every due period is missing."""
        query = expecting(case)
        with duckdb.connect() as connection:
            connection.execute(f"SET TimeZone = '{ELSEWHERE}'; ATTACH ':memory:' AS \"{PROJECT}\"")
            connection.execute(f'CREATE SCHEMA "{PROJECT}".{DATASET}; USE "{PROJECT}".{DATASET}')
            connection.execute("CREATE TABLE exports (aggregation TEXT, frequency TEXT, start_date DATE)")
            found = rows(connection, duckdb_sql(query, now=case["now"]))
        assert sorted(str(start)[:10] for _, _, start, _ in found) == case["due"]


def expecting(case: dict[str, Any]) -> str:
    """The view's query with one expected export, that of the case."""
    query = views("known_columns")["missing_periods"]
    days = [f"CAST({repr(day) if day else 'NULL'} AS DATE)" for day in (case["first"], case["until"])]
    expected = (
        f"SELECT 'granular' AS aggregation, '{case['frequency']}' AS frequency, {days[0]} AS since, {days[1]} AS until"
    )
    changed = re.sub(r"(WITH expected AS \().*?(\n\),)", rf"\1{expected}\2", query, count=1, flags=re.DOTALL)
    assert expected in changed
    return changed


def test_views_are_created_again_when_the_columns_of_their_table_change() -> None:
    """BigQuery keeps the columns of a view's creation, and the text of the view may not change."""
    tables = changes("a_column_is_added", "google_bigquery_table", file="columns")
    replaced = {name for name, change in tables.items() if change["actions"] == ["delete", "create"]}
    assert replaced == {f"{view}/granular/daily" for view in ("complete", "decoded", "rates")}
