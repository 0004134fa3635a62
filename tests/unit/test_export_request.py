"""What a request may contain, field by field, and the errors for everything else."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analytics_export.errors import InvalidRequest, PeriodNotFinished
from analytics_export.export_request import FIELDS, MAX_BODY_BYTES, ExportRequest, Purpose, parse
from tests.support import bad_requests
from tests.support.bad_requests import DAILY

NOW = datetime(2022, 4, 20, 9, 0, tzinfo=UTC)  # a Wednesday


def parsed(
    fields: Mapping[str, object] | bytes = b"",
    *,
    query: Mapping[str, Sequence[str]] | None = None,
    schedule_time: str | None = None,
    now: datetime = NOW,
) -> ExportRequest:
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return parse(body=body, query=query or {}, schedule_time=schedule_time, clock=lambda: now)


def starts(request: ExportRequest) -> list[str]:
    return [str(export.period.start) for export in request.exports]


@pytest.mark.parametrize(
    ("fields", "expected", "skips"),
    [
        pytest.param({}, ["2022-04-19"], False, id="nothing: the last finished period"),
        pytest.param({"refresh": True}, ["2022-04-19"], False, id="refresh changes nothing for one period"),
        pytest.param({"date": "2022-04-01"}, ["2022-04-01"], False, id="date"),
        pytest.param({"frequency": "weekly", "date": "2022-04-06"}, ["2022-04-04"], False, id="date within a week"),
        pytest.param({"frequency": "monthly", "date": "2022-03-31"}, ["2022-03-01"], False, id="date within a month"),
        pytest.param(
            {"from": "2022-03-31", "to": "2022-04-02"},
            ["2022-03-31", "2022-04-01", "2022-04-02"],
            True,
            id="a span, oldest first",
        ),
        pytest.param({"from": "2022-04-01", "to": "2022-04-01"}, ["2022-04-01"], True, id="a span of one day"),
        pytest.param(
            {"frequency": "weekly", "from": "2022-04-03", "to": "2022-04-04"},
            ["2022-03-28", "2022-04-04"],
            True,
            id="a span with every week that it touches",
        ),
        pytest.param(
            {"frequency": "monthly", "from": "2022-02-28", "to": "2022-12-31"},
            ["2022-02-01", "2022-03-01"],
            True,
            id="a span without unfinished periods",
        ),
        pytest.param({"from": "2022-04-20", "to": "2022-04-25"}, [], True, id="nothing of the span is finished"),
        pytest.param({"last": 3}, ["2022-04-17", "2022-04-18", "2022-04-19"], True, id="last, oldest first"),
        pytest.param({"last": 1}, ["2022-04-19"], True, id="last 1 skips complete periods, unlike no field"),
        pytest.param({"last": 2, "refresh": True}, ["2022-04-18", "2022-04-19"], False, id="last with refresh"),
        pytest.param({"last": 2, "refresh": False}, ["2022-04-18", "2022-04-19"], True, id="last without refresh"),
    ],
)
def test_the_fields_select_the_periods(fields: dict[str, object], expected: list[str], skips: bool) -> None:  # noqa: FBT001 - a table
    request = parsed(DAILY | fields)
    assert starts(request) == expected
    assert request.skip_complete is skips


@pytest.mark.parametrize(("fields", "names", "accepts"), bad_requests.FIELDS.values(), ids=bad_requests.FIELDS)
def test_a_wrong_field_of_a_request_is_named_with_what_it_accepts(
    fields: dict[str, object], names: str, accepts: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parsed(DAILY | fields)
    assert names in refused.value.detail
    assert accepts in refused.value.detail
    assert (refused.value.status, refused.value.type) == (400, "invalid-request")


@pytest.mark.parametrize("name", ["aggregation", "frequency"])
def test_a_missing_field_of_a_request_is_named(name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"`{name}` is missing"):
        parsed({key: value for key, value in DAILY.items() if key != name})


@pytest.mark.parametrize(("body", "says"), bad_requests.BODIES.values(), ids=bad_requests.BODIES)
def test_a_body_that_is_not_a_request_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parsed(body)
    assert says in refused.value.detail
    assert (refused.value.status, refused.value.type) == (400, "invalid-request")


def test_a_body_longer_than_the_limit_is_refused() -> None:
    good = json.dumps(DAILY).encode()
    assert parsed(good + b" " * (MAX_BODY_BYTES - len(good))).exports
    with pytest.raises(InvalidRequest, match="JSON"):
        parsed(good + b" " * (MAX_BODY_BYTES - len(good) + 1))


@pytest.mark.parametrize(
    ("query", "expected", "skips"),
    [
        pytest.param({}, ["2022-04-19"], False, id="nothing"),
        pytest.param({"date": ["2022-04-01"]}, ["2022-04-01"], False, id="date"),
        pytest.param({"last": ["2"]}, ["2022-04-18", "2022-04-19"], True, id="last"),
        pytest.param({"last": ["2"], "refresh": ["true"]}, ["2022-04-18", "2022-04-19"], False, id="refresh=true"),
        pytest.param({"last": ["1"], "refresh": ["false"]}, ["2022-04-19"], True, id="refresh=false"),
        pytest.param({"from": ["2022-04-01"], "to": ["2022-04-01"]}, ["2022-04-01"], True, id="a span"),
    ],
)
def test_the_query_accepts_the_same_fields(query: dict[str, list[str]], expected: list[str], skips: bool) -> None:  # noqa: FBT001 - a table
    request = parsed(query={"aggregation": ["granular"], "frequency": ["daily"]} | query)
    assert starts(request) == expected
    assert request.skip_complete is skips


@pytest.mark.parametrize(
    ("body", "query", "names"),
    [
        pytest.param({}, {"last": ["1", "2"]}, "last", id="twice in the query"),
        pytest.param({"last": 1}, {"last": ["1"]}, "last", id="in the body and in the query"),
        pytest.param({}, {"last": ["+1"]}, "last", id="last with a sign"),
        pytest.param({}, {"last": ["1.0"]}, "last", id="last a fraction"),
        pytest.param({}, {"last": ["1000000000000"]}, "last", id="last huge"),
        pytest.param({}, {"last": [""]}, "last", id="last empty"),
        pytest.param({}, {"refresh": ["yes"]}, "refresh", id="refresh=yes"),
        pytest.param({}, {"refresh": ["True"]}, "refresh", id="refresh=True"),
        pytest.param({}, {"dry_run": ["1"]}, "dry_run", id="dry_run=1"),
        pytest.param({"enqueue": True}, {"enqueue": ["true"]}, "enqueue", id="enqueue in the body and in the query"),
        pytest.param({}, {"apiKey": ["x"]}, "apiKey", id="an unknown field"),
        pytest.param({}, {"date": [""]}, "date", id="an empty date"),
    ],
)
def test_a_wrong_query_is_refused(body: dict[str, object], query: dict[str, list[str]], names: str) -> None:
    with pytest.raises(InvalidRequest, match=f'[`"]{names}[`"]'):
        parsed(DAILY | body, query=query)


def test_fields_may_be_split_between_body_and_query() -> None:
    request = parsed({"aggregation": "granular"}, query={"frequency": ["daily"], "date": ["2022-04-01"]})
    assert starts(request) == ["2022-04-01"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param("2022-04-02T09:00:00Z", "2022-04-01", id="as Cloud Scheduler writes it"),
        pytest.param("2022-04-02T09:00:00.123456Z", "2022-04-01", id="with a fraction"),
        pytest.param("2022-04-02T00:30:00+02:00", "2022-03-31", id="with an offset"),
        pytest.param("2022-04-02t09:00:00z", "2022-04-01", id="in lower case"),
        pytest.param("2024-03-01T00:00:00Z", "2024-02-29", id="after a leap day"),
    ],
)
def test_the_schedule_time_replaces_the_clock(header: str, expected: str) -> None:
    assert starts(parsed(DAILY, schedule_time=header)) == [expected]


@pytest.mark.parametrize("header", bad_requests.SCHEDULE_TIMES)
def test_an_invalid_schedule_time_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest, match="X-CloudScheduler-ScheduleTime"):
        parsed(DAILY, schedule_time=header)


def test_a_schedule_time_before_the_first_period_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="No daily period is finished by 0001-01-01"):
        parsed(DAILY, schedule_time="0001-01-01T00:00:00Z")


def test_the_clock_is_read_only_without_a_schedule_time() -> None:
    parse(body=json.dumps(DAILY).encode(), query={}, schedule_time="2022-04-02T09:00:00Z", clock=Mock(side_effect=[]))


@pytest.mark.parametrize(
    ("frequency", "day", "now", "is_finished"),
    [
        pytest.param("daily", "2022-04-01", "2022-04-01T23:59:59Z", False, id="a second before the day is over"),
        pytest.param("daily", "2022-04-01", "2022-04-02T00:00:00Z", True, id="the day is over, not yet available"),
        pytest.param("weekly", "2022-04-04", "2022-04-10T23:59:59Z", False, id="on Sunday"),
        pytest.param("weekly", "2022-04-04", "2022-04-11T00:00:00Z", True, id="on Monday"),
        pytest.param("monthly", "2022-02-01", "2022-02-28T12:00:00Z", False, id="on the last of the month"),
        pytest.param("monthly", "2022-02-01", "2022-03-01T00:00:00Z", True, id="on the 1st"),
        pytest.param("daily", "9999-12-31", "2022-03-01T00:00:00Z", False, id="the calendar's last day"),
        pytest.param("weekly", "9999-12-31", "2022-03-01T00:00:00Z", False, id="a week beyond the calendar"),
        pytest.param("monthly", "9999-12-31", "2022-03-01T00:00:00Z", False, id="the calendar's last month"),
        pytest.param("daily", "9999-12-27", "2022-03-01T00:00:00Z", False, id="a day near the calendar's end"),
        pytest.param("weekly", "9999-12-27", "2022-03-01T00:00:00Z", False, id="a week that leads beyond it"),
        pytest.param("monthly", "9999-12-27", "2022-03-01T00:00:00Z", False, id="a month near the calendar's end"),
        pytest.param("daily", "2999-01-01", "2022-03-01T00:00:00Z", False, id="a day far away"),
        pytest.param("weekly", "2999-01-01", "2022-03-01T00:00:00Z", False, id="a week far away"),
        pytest.param("monthly", "2999-01-01", "2022-03-01T00:00:00Z", False, id="a month far away"),
    ],
)
def test_a_date_in_an_unfinished_period_is_refused(frequency: str, day: str, now: str, is_finished: bool) -> None:  # noqa: FBT001 - a table
    fields = {"aggregation": "granular", "frequency": frequency, "date": day}
    if is_finished:
        assert len(parsed(fields, now=datetime.fromisoformat(now)).exports) == 1
    else:
        with pytest.raises(PeriodNotFinished) as refused:
            parsed(fields, now=datetime.fromisoformat(now))
        assert (refused.value.status, refused.value.type) == (400, "period-not-finished")


@pytest.mark.parametrize(
    ("fields", "purpose", "skips"),
    [
        pytest.param({}, Purpose.EXPORT, False, id="neither"),
        pytest.param({"dry_run": False, "enqueue": False}, Purpose.EXPORT, False, id="both false"),
        pytest.param({"dry_run": True}, Purpose.DRY_RUN, False, id="dry_run: a run would compare"),
        pytest.param({"enqueue": True}, Purpose.ENQUEUE, True, id="enqueue: no task for what is complete"),
        pytest.param({"enqueue": True, "refresh": True}, Purpose.ENQUEUE, False, id="enqueue with refresh"),
        pytest.param({"enqueue": True, "dry_run": True}, Purpose.DRY_RUN, True, id="both: what would be queued"),
        pytest.param({"last": 2, "dry_run": True}, Purpose.DRY_RUN, True, id="a span, dry_run"),
        pytest.param(
            {"last": 2, "dry_run": True, "refresh": True}, Purpose.DRY_RUN, False, id="a span, dry_run with refresh"
        ),
        pytest.param({"last": 2, "enqueue": True}, Purpose.ENQUEUE, True, id="a span, enqueue"),
    ],
)
def test_dry_run_and_enqueue_set_the_purpose(fields: dict[str, object], purpose: Purpose, skips: bool) -> None:  # noqa: FBT001 - a table
    request = parsed(DAILY | fields)
    assert (request.purpose, request.skip_complete) == (purpose, skips)
    query = {name: [str(value).lower()] for name, value in fields.items()}
    assert parsed(DAILY, query=query) == request


LIMITS = [({}, 400), ({"dry_run": True}, 5000), ({"enqueue": True}, 5000), ({"dry_run": True, "enqueue": True}, 5000)]


@pytest.mark.parametrize(("more", "limit"), LIMITS)
def test_a_span_has_at_most_400_periods_or_5000_with_dry_run_or_enqueue(more: dict[str, Any], limit: int) -> None:
    last = NOW.date() - timedelta(days=1)
    fields = DAILY | more | {"to": str(last)}
    assert len(parsed(fields | {"from": str(last - timedelta(days=limit - 1))}).exports) == limit
    assert len(parsed(DAILY | more | {"last": limit}).exports) == limit
    with pytest.raises(InvalidRequest, match=f"more than {limit} daily periods; ask for it in parts") as refused:
        parsed(fields | {"from": str(last - timedelta(days=limit))})
    assert ("with `enqueue` (at most 5000)" in refused.value.detail) == (limit == 400)
    with pytest.raises(InvalidRequest, match=f"from 1 to {limit}"):
        parsed(DAILY | more | {"last": limit + 1})


@pytest.mark.parametrize(("more", "limit"), LIMITS)
def test_a_span_over_the_whole_calendar_is_refused_at_once(more: dict[str, Any], limit: int) -> None:
    with pytest.raises(InvalidRequest, match=f"more than {limit}"):
        parsed(DAILY | more | {"from": "0001-01-01", "to": "9999-12-31"})


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
likely = st.sampled_from(
    ["granular", "interaction", "daily", "weekly", "monthly", "2022-04-01", "9999-12-31", "0001-01-01", 1, 400, True]
)
bodies = st.binary(max_size=60) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=6), likely | anything).map(
    lambda fields: json.dumps(fields).encode()
)
queries = st.dictionaries(
    st.sampled_from(FIELDS) | st.text(max_size=6),
    st.lists(likely.map(str) | st.text(max_size=12), min_size=1, max_size=2),
    max_size=4,
)
headers = st.none() | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | st.text(max_size=30)


@given(bodies, queries, headers)
@example(json.dumps(DAILY | {"frequency": "monthly"}).encode(), {}, "0001-01-01T00:00:00Z")
@example(json.dumps(DAILY | {"last": 400}).encode(), {}, "0001-01-03T00:00:00Z")
@example(json.dumps(DAILY | {"date": "0001-01-01", "frequency": "weekly"}).encode(), {}, "9999-12-31T23:59:59Z")
@example(json.dumps(DAILY | {"last": 5000, "enqueue": True}).encode(), {}, "0001-01-03T00:00:00Z")
@example(b'{"aggregation": "\\ud800"}', {}, None)
def test_any_request_is_parsed_or_refused(body: bytes, query: dict[str, Any], header: str | None) -> None:
    """The parser raises nothing but InvalidRequest, with a detail that can be sent."""
    try:
        request = parsed(body, query=query, schedule_time=header)
    except InvalidRequest as refused:
        json.dumps({"detail": refused.detail}).encode()
        assert len(refused.detail) < 600  # noqa: PT017 - either is right
    else:
        assert len(request.exports) <= (400 if request.purpose is Purpose.EXPORT else 5000)
        assert list(request.exports) == sorted(request.exports, key=lambda export: export.period.start)


@given(st.dates(date(1, 1, 1), date(9999, 12, 31)), st.sampled_from(["daily", "weekly", "monthly"]))
def test_any_date_means_the_period_that_contains_it_or_is_refused(day: date, frequency: str) -> None:
    try:
        (export,) = parsed({"aggregation": "granular", "frequency": frequency, "date": str(day)}).exports
    except PeriodNotFinished:
        assert day + timedelta(days=31) > NOW.date() or day.year == 9999
    except OverflowError:
        pytest.fail("the calendar's end must not surface as OverflowError")
    else:
        assert export.period.start <= day <= export.period.end < NOW.date()
