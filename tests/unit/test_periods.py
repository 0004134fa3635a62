"""Days, weeks and months: tables for the edge cases, properties for the whole calendar."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_export.periods import (
    Aggregation,
    Export,
    Frequency,
    Period,
    finished_before,
    finished_within,
    last_finished,
)

DAILY, WEEKLY, MONTHLY = Frequency.DAILY, Frequency.WEEKLY, Frequency.MONTHLY

days = st.dates(date(1, 2, 8), date(9999, 11, 30))
moments = st.datetimes(datetime(1, 3, 1), datetime(9999, 11, 30), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
frequencies = st.sampled_from(Frequency)
aggregations = st.sampled_from(Aggregation)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("frequency", "day", "start", "end"),
    [
        pytest.param(DAILY, "2022-04-01", "2022-04-01", "2022-04-01", id="a day"),
        pytest.param(DAILY, "2024-02-29", "2024-02-29", "2024-02-29", id="a leap day"),
        pytest.param(WEEKLY, "2022-04-04", "2022-04-04", "2022-04-10", id="a week by its Monday"),
        pytest.param(WEEKLY, "2022-04-10", "2022-04-04", "2022-04-10", id="a week by its Sunday"),
        pytest.param(WEEKLY, "2021-01-01", "2020-12-28", "2021-01-03", id="a week across the year"),
        pytest.param(WEEKLY, "2024-02-29", "2024-02-26", "2024-03-03", id="a week across a leap day"),
        pytest.param(WEEKLY, "2024-12-30", "2024-12-30", "2025-01-05", id="a week that ends in the next year"),
        pytest.param(MONTHLY, "2022-04-30", "2022-04-01", "2022-04-30", id="a month of 30 days"),
        pytest.param(MONTHLY, "2022-12-31", "2022-12-01", "2022-12-31", id="a month of 31 days"),
        pytest.param(MONTHLY, "2023-02-10", "2023-02-01", "2023-02-28", id="a month of 28 days"),
        pytest.param(MONTHLY, "2024-02-01", "2024-02-01", "2024-02-29", id="a leap month"),
        pytest.param(MONTHLY, "1900-02-05", "1900-02-01", "1900-02-28", id="a century without a leap day"),
        pytest.param(MONTHLY, "2000-02-05", "2000-02-01", "2000-02-29", id="a century with one"),
    ],
)
def test_a_day_lies_in_one_period_of_each_frequency(frequency: Frequency, day: str, start: str, end: str) -> None:
    period = Period.holding(frequency, date.fromisoformat(day))
    assert (str(period.start), str(period.end)) == (start, end)


@pytest.mark.parametrize(
    ("frequency", "now", "start", "end"),
    [
        pytest.param(DAILY, "2022-04-02T09:00Z", "2022-04-01", "2022-04-01", id="yesterday"),
        pytest.param(DAILY, "2022-04-02T00:00Z", "2022-04-01", "2022-04-01", id="yesterday, at midnight"),
        pytest.param(DAILY, "2022-04-01T23:59:59Z", "2022-03-31", "2022-03-31", id="yesterday, just before midnight"),
        pytest.param(DAILY, "2024-03-01T09:00Z", "2024-02-29", "2024-02-29", id="the day before is a leap day"),
        pytest.param(DAILY, "2022-01-01T09:00Z", "2021-12-31", "2021-12-31", id="the day before is last year's"),
        pytest.param(DAILY, "2022-04-02T01:00+02:00", "2022-03-31", "2022-03-31", id="UTC decides, not the offset"),
        pytest.param(WEEKLY, "2022-04-11T09:00Z", "2022-04-04", "2022-04-10", id="on Monday, the week just over"),
        pytest.param(WEEKLY, "2022-04-10T23:59Z", "2022-03-28", "2022-04-03", id="on Sunday, the week before"),
        pytest.param(WEEKLY, "2021-01-05T09:00Z", "2020-12-28", "2021-01-03", id="a week across the year"),
        pytest.param(MONTHLY, "2022-05-01T09:00Z", "2022-04-01", "2022-04-30", id="on the 1st, the month just over"),
        pytest.param(MONTHLY, "2022-04-30T23:59Z", "2022-03-01", "2022-03-31", id="on the last, the month before"),
        pytest.param(MONTHLY, "2024-03-31T09:00Z", "2024-02-01", "2024-02-29", id="a leap month"),
        pytest.param(MONTHLY, "2022-01-15T09:00Z", "2021-12-01", "2021-12-31", id="last year's December"),
    ],
)
def test_the_last_finished_period_is_the_one_before_the_current_one(
    frequency: Frequency, now: str, start: str, end: str
) -> None:
    period = last_finished(frequency, at(now))
    assert (str(period.start), str(period.end)) == (start, end)


@pytest.mark.parametrize(
    ("frequency", "day", "aggregation", "prefix"),
    [
        (DAILY, "2022-04-01", Aggregation.INTERACTION, "interaction-2022-04-01"),
        (WEEKLY, "2022-04-04", Aggregation.GRANULAR, "granular-2022-04-04-2022-04-10"),
        (MONTHLY, "2022-04-01", Aggregation.INTERACTION, "interaction-2022-04-01-2022-04-30"),
    ],
)
def test_the_file_prefixes_are_those_of_the_documentation(
    frequency: Frequency, day: str, aggregation: Aggregation, prefix: str
) -> None:
    assert Export(aggregation, Period.holding(frequency, date.fromisoformat(day))).file_prefix == prefix


@pytest.mark.parametrize(
    ("frequency", "day", "available_at"),
    [
        pytest.param(DAILY, "2022-04-01", "2022-04-02T08:00Z", id="the next day"),
        pytest.param(WEEKLY, "2022-04-06", "2022-04-11T08:00Z", id="Monday"),
        pytest.param(MONTHLY, "2022-12-06", "2023-01-01T08:00Z", id="the 1st"),
    ],
)
def test_a_period_is_available_at_8_utc_on_the_day_after_its_end(
    frequency: Frequency, day: str, available_at: str
) -> None:
    assert Period.holding(frequency, date.fromisoformat(day)).available_at == at(available_at)


@given(frequencies, days)
def test_every_day_belongs_to_exactly_one_period_of_each_frequency(frequency: Frequency, day: date) -> None:
    period = Period.holding(frequency, day)
    assert period.start <= day <= period.end
    assert {Period.holding(frequency, period.start), Period.holding(frequency, period.end)} == {period}
    assert Period.holding(frequency, period.start - timedelta(days=1)) != period
    assert Period.holding(frequency, period.end + timedelta(days=1)) != period


@given(frequencies, days)
def test_the_previous_period_ends_on_the_day_before(frequency: Frequency, day: date) -> None:
    period = Period.holding(frequency, day)
    assert period.previous.end + timedelta(days=1) == period.start
    assert period.previous == Period.holding(frequency, period.start - timedelta(days=1))


@given(days)
def test_weeks_go_from_monday_to_sunday(day: date) -> None:
    week = Period.holding(WEEKLY, day)
    assert (week.start.isoweekday(), week.end.isoweekday()) == (1, 7)
    assert week.end - week.start == timedelta(days=6)


@given(days)
def test_months_are_calendar_months(day: date) -> None:
    month = Period.holding(MONTHLY, day)
    assert (month.start.day, (month.end + timedelta(days=1)).day) == (1, 1)
    assert 28 <= (month.end - month.start).days + 1 <= 31


@given(aggregations, frequencies, days)
def test_a_file_prefix_reads_back_as_its_period(aggregation: Aggregation, frequency: Frequency, day: date) -> None:
    period = Period.holding(frequency, day)
    match = re.fullmatch(
        r"(interaction|granular)-(\d{4}-\d\d-\d\d)(?:-(\d{4}-\d\d-\d\d))?", Export(aggregation, period).file_prefix
    )
    assert match is not None
    assert (match[1], match[2]) == (aggregation, str(period.start))
    assert match[3] == (None if frequency is DAILY else str(period.end))


@given(frequencies, moments, st.integers(-12, 14))
def test_the_last_finished_period_is_the_latest_that_is_over(frequency: Frequency, now: datetime, offset: int) -> None:
    period = last_finished(frequency, now.astimezone(timezone(timedelta(hours=offset))))
    following = Period.holding(frequency, period.end + timedelta(days=1))
    assert period.is_finished(now)
    assert not following.is_finished(now)


@given(frequencies, moments, st.integers(1, 60))
def test_finished_periods_go_back_without_a_gap(frequency: Frequency, now: datetime, count: int) -> None:
    periods = list(islice(finished_before(frequency, now), count))
    assert periods[:1] == [last_finished(frequency, now)]
    assert all(later.previous == earlier for later, earlier in pairwise(periods))


@given(frequencies, days, st.integers(0, 150), moments)
def test_a_span_contains_each_finished_period_with_a_day_in_it(
    frequency: Frequency, first: date, length: int, now: datetime
) -> None:
    last = min(first + timedelta(days=length), date(9999, 11, 30))
    by_day = {Period.holding(frequency, first + timedelta(days=n)) for n in range((last - first).days + 1)}
    expected = sorted((each for each in by_day if each.is_finished(now)), key=lambda each: each.start, reverse=True)
    assert list(finished_within(frequency, first=first, last=last, now=now)) == expected


def test_the_finished_periods_end_where_the_calendar_begins() -> None:
    periods = list(finished_before(DAILY, datetime(1, 1, 4, tzinfo=UTC)))
    assert [str(period.start) for period in periods] == ["0001-01-03", "0001-01-02", "0001-01-01"]


def test_a_span_to_the_end_of_the_calendar_ends_with_the_last_finished_period() -> None:
    now = datetime(2022, 4, 2, tzinfo=UTC)
    (period,) = finished_within(WEEKLY, first=date(2022, 3, 25), last=date.max, now=now)
    assert str(period.start) == "2022-03-21"
