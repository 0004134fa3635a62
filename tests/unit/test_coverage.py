"""Coverage, from the request's query to the complete and missing periods, without a bucket."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_export.bucket.manifest import Summary
from analytics_export.coverage import MAX_PERIODS, Coverage, CoverageRequest, coverage, parse, utc
from analytics_export.errors import InvalidRequest
from analytics_export.periods import Aggregation, Export, Frequency, Period, available_within

NOW = datetime(2022, 4, 10, 9, 0, tzinfo=UTC)
DAILY = (Aggregation.GRANULAR, Frequency.DAILY)
DUE = json.loads((Path(__file__).parents[1] / "due_periods.json").read_text())
"""The view `missing_periods` must pass the same cases."""
FREQUENCIES = st.sampled_from(list(Frequency))


def parsed(query: Mapping[str, str] | None = None, *, now: datetime = NOW) -> CoverageRequest:
    return parse({name: [value] for name, value in (query or {}).items()}, schedule_time=None, clock=lambda: now)


def summary(export: Export, analytics_id: str = "acme") -> Summary:
    return Summary(export, analytics_id, export.period.available_at + timedelta(minutes=25), 3, 1000, ())


def daily(*days: str, analytics_id: str = "acme") -> dict[Export, Summary]:
    exports = [Export(DAILY[0], Period.holding(DAILY[1], date.fromisoformat(day))) for day in days]
    return {export: summary(export, analytics_id) for export in exports}


def answered(request: CoverageRequest, *found: dict[Export, Summary], kind: Any = DAILY) -> Coverage:
    summaries = {export: each for part in found for export, each in part.items()}
    return coverage(request, {kind: summaries}, analytics_id="acme")


def statuses(found: Coverage) -> dict[str, str]:
    """The status of each period of the only aggregation and frequency in the answer."""
    entries: Any = found.to_json()["coverage"]
    (export,) = entries
    return {period["start_date"]: period["status"] for period in export["periods"]}


# The query


def test_coverage_without_a_query_is_of_everything() -> None:
    request = parsed()
    assert len(request.kinds) == 6
    assert (request.first, request.last, request.require_complete, request.as_of) == (None, None, False, NOW)


def test_aggregation_and_frequency_select_exports() -> None:
    assert parsed({"aggregation": "granular"}).kinds == [(Aggregation.GRANULAR, each) for each in Frequency]
    assert parsed({"frequency": "weekly"}).kinds == [(each, Frequency.WEEKLY) for each in Aggregation]
    assert parsed({"aggregation": "granular", "frequency": "daily"}).kinds == [DAILY]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"aggregation": "both"}, 'Field `aggregation`: expected "interaction" or "granular"; got "both"'),
        ({"frequency": "yearly"}, 'Field `frequency`: expected "daily" or "weekly" or "monthly"; got "yearly"'),
        ({"from": "01.04.2022"}, 'Field `from`: expected a date as YYYY-MM-DD; got "01.04.2022"'),
        ({"to": "2022-02-30"}, "Field `to`: expected a date as YYYY-MM-DD"),
        ({"to": "20220401"}, "Field `to`: expected a date as YYYY-MM-DD"),
        ({"from": "2022-04-02", "to": "2022-04-01"}, "Field `from` (2022-04-02) must not be after `to` (2022-04-01)"),
        ({"require_complete": "yes"}, 'Field `require_complete`: expected true or false; got "yes"'),
        ({"require_complete": ""}, "Field `require_complete`: expected true or false"),
        ({"date": "2022-04-01"}, 'Unknown field "date"; the fields are aggregation, frequency, from, to'),
    ],
)
def test_a_wrong_field_of_the_coverage_query_is_named_with_what_it_accepts(query: Mapping[str, str], says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(query)
    assert says in caught.value.detail


def test_a_field_given_twice_in_the_coverage_query_is_refused() -> None:
    with pytest.raises(InvalidRequest, match='Field "from" is given more than once'):
        parse({"from": ["2022-04-01", "2022-04-01"]}, schedule_time=None, clock=lambda: NOW)


def test_coverage_is_as_of_the_schedule_time() -> None:
    request = parse({}, schedule_time="2022-05-01T10:00:00+02:00", clock=lambda: NOW)
    assert request.as_of == datetime(2022, 5, 1, 8, 0, tzinfo=UTC)


# What is due


@settings(deadline=None, max_examples=50)
@given(
    frequency=FREQUENCIES,
    now=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the strategy adds the zone
)
def test_the_newest_due_period_is_the_last_available_one(frequency: Frequency, now: datetime) -> None:
    due = list(available_within(frequency, first=date(2019, 6, 1), last=date.max, now=now))
    assert due[0].available_at <= now
    following = Period.holding(frequency, due[0].end + timedelta(days=1))
    assert following.available_at > now


@pytest.mark.parametrize("case", DUE, ids=lambda case: f"{case['frequency']}: {case['why']}")
def test_a_due_period_without_a_manifest_is_missing(case: dict[str, Any]) -> None:
    """The same gaps as in the view `missing_periods`, with an empty bucket and a given span."""
    query = {"aggregation": "granular", "frequency": case["frequency"], "from": case["first"]}
    if case["until"]:
        query["to"] = case["until"]
    now = datetime.fromisoformat(case["now"]).replace(tzinfo=UTC)
    found = answered(parsed(query, now=now), kind=(Aggregation.GRANULAR, Frequency(case["frequency"])))
    assert statuses(found) == dict.fromkeys(case["due"], "missing")


def test_nothing_is_due_before_the_calendar_begins() -> None:
    early = datetime(1, 1, 1, 7, tzinfo=UTC)
    assert list(available_within(Frequency.DAILY, first=date.min, last=date.max, now=early)) == []


# The periods of an answer


def test_coverage_runs_from_the_first_complete_period_to_the_last_due_one() -> None:
    found = answered(parsed(), daily("2022-04-07", "2022-04-09"))
    assert statuses(found) == {"2022-04-07": "complete", "2022-04-08": "missing", "2022-04-09": "complete"}


@pytest.mark.parametrize(("hour", "last"), [(7, "2022-04-08"), (8, "2022-04-09")])
def test_a_day_is_due_from_8_utc_on_the_next_day(hour: int, last: str) -> None:
    found = answered(parsed(now=NOW.replace(hour=hour)), daily("2022-04-07"))
    assert list(statuses(found))[-1] == last


def test_coverage_has_the_documented_form() -> None:
    assert answered(parsed(), daily("2022-04-08")).to_json() == {
        "as_of": "2022-04-10T09:00:00Z",
        "coverage": [
            {
                "aggregation": "granular",
                "frequency": "daily",
                "complete": 1,
                "missing": 1,
                "bytes": 1000,
                "periods": [
                    {
                        "start_date": "2022-04-08",
                        "end_date": "2022-04-08",
                        "status": "complete",
                        "objects": 3,
                        "bytes": 1000,
                        "completed_at": "2022-04-09T08:25:00Z",
                    },
                    {"start_date": "2022-04-09", "end_date": "2022-04-09", "status": "missing"},
                ],
            }
        ],
    }


def test_from_and_to_bound_the_periods_of_coverage() -> None:
    query = {"aggregation": "granular", "frequency": "daily", "from": "2022-04-05", "to": "2022-04-07"}
    found = answered(parsed(query), daily("2022-04-06", "2022-04-08"))
    assert statuses(found) == {"2022-04-05": "missing", "2022-04-06": "complete", "2022-04-07": "missing"}


def test_a_later_to_adds_no_period_that_is_not_due() -> None:
    found = answered(parsed({"to": "2022-12-31"}), daily("2022-04-09"))
    assert list(statuses(found)) == ["2022-04-09"]


def test_a_week_with_a_day_in_the_span_belongs_to_it() -> None:
    query = {"aggregation": "granular", "frequency": "weekly", "from": "2022-03-23", "to": "2022-03-28"}
    found = answered(parsed(query), kind=(Aggregation.GRANULAR, Frequency.WEEKLY))
    assert statuses(found) == {"2022-03-21": "missing", "2022-03-28": "missing"}


def test_manifests_of_another_analytics_id_do_not_count() -> None:
    found = answered(parsed(), daily("2022-04-01", analytics_id="other"), daily("2022-04-08"))
    assert statuses(found) == {"2022-04-08": "complete", "2022-04-09": "missing"}
    assert answered(parsed(), daily("2022-04-08", analytics_id="other")).exports == ()


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"from": "2022-04-01"},
        {"aggregation": "granular", "from": "2022-04-01"},
        {"frequency": "daily", "from": "2022-04-01"},
        {"aggregation": "granular", "frequency": "daily"},
    ],
)
def test_an_export_without_periods_is_left_out_unless_named_with_from(query: Mapping[str, str]) -> None:
    assert answered(parsed(query)).exports == ()


def test_an_export_without_periods_is_missing_if_named_with_from() -> None:
    found = answered(parsed({"aggregation": "granular", "frequency": "daily", "from": "2022-04-08"}))
    assert statuses(found) == {"2022-04-08": "missing", "2022-04-09": "missing"}


def test_coverage_of_too_many_periods_is_refused() -> None:
    query = {"aggregation": "granular", "frequency": "daily"}
    first = date(2022, 4, 9) - timedelta(days=MAX_PERIODS - 1)
    assert len(answered(parsed(query | {"from": str(first)})).exports[0].periods) == MAX_PERIODS
    with pytest.raises(InvalidRequest, match=r"More than 5000 daily periods .* later `from`"):
        answered(parsed(query | {"from": str(first - timedelta(days=1))}))
    with pytest.raises(InvalidRequest):
        answered(parsed(query | {"from": "0001-01-01"}))


# require_complete


def test_a_missing_period_is_a_problem_only_with_require_complete() -> None:
    found = daily("2022-04-01")
    assert answered(parsed(), found).problem is None
    problem = answered(parsed({"require_complete": "true"}), found).problem
    assert problem is not None
    assert (problem.status, problem.type) == (503, "periods-missing")
    assert "8 of granular/daily (2022-04-02, 2022-04-03, 2022-04-04, 2022-04-05, 2022-04-06 and 3 more)" in (
        problem.detail
    )


def test_require_complete_is_no_problem_if_nothing_is_missing() -> None:
    found = answered(parsed({"require_complete": "true"}), daily("2022-04-08", "2022-04-09"))
    assert found.problem is None
    assert answered(parsed({"require_complete": "true"})).problem is None


@settings(deadline=None, max_examples=50)
@given(
    frequency=FREQUENCIES,
    first=st.dates(min_value=date(2019, 1, 1), max_value=date(2022, 1, 1)),
    has=st.sets(st.integers(0, 400), max_size=40),
)
def test_every_period_that_is_due_is_either_complete_or_missing(
    frequency: Frequency, first: date, has: set[int]
) -> None:
    """Each of them once, whichever have a manifest."""
    due = list(available_within(frequency, first=first, last=date.max, now=NOW))[::-1]
    exported = {due[number % len(due)] for number in has}
    kind = (Aggregation.INTERACTION, frequency)
    summaries = {Export(kind[0], period): summary(Export(kind[0], period)) for period in exported}
    query = {"aggregation": "interaction", "frequency": str(frequency), "from": str(first)}
    (export,) = answered(parsed(query), summaries, kind=kind).exports
    assert [each.export.period for each in export.periods] == due
    assert {each.export.period for each in export.complete} == exported
    assert set(export.missing) == set(due) - exported


@pytest.fixture
def _machine_in_los_angeles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_machine_in_los_angeles")
def test_timestamps_are_written_in_utc_to_the_second() -> None:
    moment = datetime(2022, 5, 1, 1, 31, 7, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert utc(moment) == "2022-04-30T23:31:07Z"
