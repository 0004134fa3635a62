"""The export service and Secret Manager behave as documented; the made-up reports look like real ones."""

import csv
import io
import json
from collections import Counter
from datetime import UTC, datetime

import google_crc32c
import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import secretmanager_v1
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)

from local.export_service import V1Form
from local.faults import Kind
from local.report_period import ReportPeriod
from local.reports import BLOCK_ROWS, report
from local.stack import ANALYTICS_ID, API_KEY, SECRET, Stack

DAY = "granular-2022-04-01"
FIRST_FILE = f"{DAY}-000000000000.csv"


def listing(
    stack: Stack, prefix: str = DAY, key: str | None = API_KEY, analytics_id: str = ANALYTICS_ID
) -> requests.Response:
    headers = {"x-api-key": key} if key else {}
    return requests.get(
        f"{stack.exports.url}/download/v2/analytics/{analytics_id}/{prefix}", headers=headers, timeout=10
    )


def one_file(stack: Stack, file: str = FIRST_FILE, base: str = "/api") -> requests.Response:
    url = f"{stack.exports.url}{base}/download/analytics/{ANALYTICS_ID}/{file}"
    return requests.get(url, headers={"x-api-key": API_KEY}, timeout=10)


def test_v2_lists_links_to_the_files(stack: Stack) -> None:
    links = listing(stack).json()["downloadUrls"]
    assert [link.split("?")[0].rsplit("/", 1)[1] for link in links] == [FIRST_FILE, f"{DAY}-000000000001.csv"]
    contents = [requests.get(link, timeout=10).content for link in links]
    assert contents == [info.read_bytes() for info in stack.exports.files(DAY).values()]


@pytest.mark.parametrize("key", [None, "", "wrong"])
def test_a_request_without_the_key_is_answered_401(stack: Stack, key: str | None) -> None:
    assert listing(stack, key=key).status_code == 401


def test_the_key_may_be_sent_as_a_parameter_and_be_rotated(stack: Stack) -> None:
    url = f"{stack.exports.url}/download/v2/analytics/{ANALYTICS_ID}/{DAY}?apiKey=new-key"
    assert requests.get(url, timeout=10).status_code == 401
    stack.exports.keys = {"new-key"}
    assert requests.get(url, timeout=10).status_code == 200
    assert listing(stack).status_code == 401


@pytest.mark.parametrize(
    "prefix",
    [
        "granular-2022-04-05-2022-04-11",  # Tuesday to Monday
        "granular-2022-04-01-2022-04-29",  # not the month's end
        "granular-2022-04-01-2022-04-01",  # a day has one date
        "granular-2022-02-30",
        "granular-2022-4-1",
        "other-2022-04-01",
        "granular",
        "granular-2022-04-01-000000000000.csv",
    ],
)
def test_prefixes_that_name_no_period_are_answered_404(stack: Stack, prefix: str) -> None:
    assert listing(stack, prefix).status_code == 404


@pytest.mark.parametrize(
    ("prefix", "available_from"),
    [
        ("interaction-2022-04-01", datetime(2022, 4, 2, 8, tzinfo=UTC)),
        ("granular-2022-04-04-2022-04-10", datetime(2022, 4, 11, 8, tzinfo=UTC)),
        ("interaction-2024-02-01-2024-02-29", datetime(2024, 3, 1, 8, tzinfo=UTC)),
        ("granular-2022-12-26-2023-01-01", datetime(2023, 1, 2, 8, tzinfo=UTC)),
    ],
)
def test_a_report_is_available_from_8_utc_on_the_day_after(stack: Stack, prefix: str, available_from: datetime) -> None:
    stack.clock.fixed = available_from.replace(hour=7, minute=59)
    assert listing(stack, prefix).status_code == 404
    stack.clock.fixed = available_from
    assert listing(stack, prefix).status_code == 200


def test_the_last_day_of_the_calendar_never_becomes_available() -> None:
    period = ReportPeriod.parse("granular-9999-12-31")
    assert period is not None
    assert not period.is_available(datetime.max.replace(tzinfo=UTC))


def test_another_analytics_id_or_method_is_refused(stack: Stack) -> None:
    assert listing(stack, analytics_id="other").status_code == 404
    url = f"{stack.exports.url}/download/v2/analytics/{ANALYTICS_ID}/{DAY}"
    response = requests.post(url, headers={"x-api-key": API_KEY}, timeout=10)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("base", ["/api", ""])
def test_v1_answers_one_link_per_file_and_404_after_the_last(stack: Stack, base: str) -> None:
    statuses = [one_file(stack, f"{DAY}-{number:012d}.csv", base).status_code for number in range(3)]
    assert statuses == [200, 200, 404]


@pytest.mark.parametrize("form", list(V1Form))
def test_v1_answers_in_each_form(stack: Stack, form: V1Form) -> None:
    stack.exports.v1_form = form
    text = one_file(stack).text
    if form is V1Form.PLAIN_TEXT:
        link = text
    else:
        value = json.loads(text)
        value = next(iter(value.values())) if isinstance(value, dict) else value
        link = value[0] if isinstance(value, list) else value
    assert requests.get(link, timeout=10).content == stack.exports.files(DAY)[FIRST_FILE].read_bytes()


def test_files_can_be_put_and_replaced(stack: Stack) -> None:
    first = stack.exports.put(DAY, {"a.csv": b"1", "b.csv": iter([b"2", b"2"])})
    second = stack.exports.put(DAY, {"b.csv": b"3"}, content_type="text/plain", content_encoding="gzip")
    assert second["b.csv"].generation > first["b.csv"].generation
    assert (second["b.csv"].content_type, second["b.csv"].content_encoding) == ("text/plain", "gzip")
    assert list(stack.exports.files(DAY)) == ["b.csv"]
    assert len(listing(stack).json()["downloadUrls"]) == 1
    stack.exports.put(DAY, {})
    assert listing(stack).json() == {"downloadUrls": []}
    stack.exports.remove(DAY)
    assert listing(stack).status_code == 404


def test_making_up_reports_can_be_switched_off(stack: Stack) -> None:
    stack.exports.makes_up_reports = False
    assert listing(stack).status_code == 404


def test_a_test_can_set_the_links(stack: Stack) -> None:
    stack.exports.links[DAY] = ["http://169.254.169.254/a.csv", 5]
    assert listing(stack).json() == {"downloadUrls": ["http://169.254.169.254/a.csv", 5]}
    stack.exports.links[FIRST_FILE] = "ftp://x/"
    assert one_file(stack).json() == {"downloadUrl": "ftp://x/"}


def test_a_test_can_set_when_links_expire(stack: Stack) -> None:
    stack.exports.link_life_s = 0.0
    (link, _) = listing(stack).json()["downloadUrls"]
    assert "ExpiredToken" in requests.get(link, timeout=10).text


def test_the_log_can_be_searched_for_a_secret_but_never_prints_one(stack: Stack) -> None:
    url = f"{stack.exports.url}/download/v2/analytics/{ANALYTICS_ID}/{DAY}"
    requests.get(url, params={"apiKey": API_KEY}, headers={"Authorization": "Bearer a-token"}, timeout=10)
    listing(stack)
    by_query, by_header = stack.exports.requests.of("export.list")
    assert (by_query.name, by_query.status, by_header.status) == (DAY, 200, 200)
    assert (by_query.places_of(API_KEY), by_header.places_of(API_KEY)) == (["query"], ["x-api-key"])
    assert (by_query.places_of("a-token"), by_query.places_of(ANALYTICS_ID)) == (["authorization"], ["path"])
    assert by_header.headers["x-api-key"] == API_KEY
    printed = f"{by_query} {by_header} {by_query.headers} {by_header.headers!r}"
    assert "x-api-key" in printed
    assert [secret for secret in (API_KEY, "a-token", "apiKey=") if secret in printed] == []


def test_the_bytes_of_a_report_are_the_same_every_time_and_differ_between_shards() -> None:
    one = b"".join(report("granular", DAY, 0, rows=50))
    assert one == b"".join(report("granular", DAY, 0, rows=50))
    assert one != b"".join(report("granular", DAY, 1, rows=50))


@pytest.mark.parametrize("rows", [0, 1, 19_999, 20_000, 20_001, 45_000])
def test_a_report_has_the_requested_number_of_rows(rows: int) -> None:
    assert b"".join(report("interaction", "interaction-2022-04-01", 0, rows=rows)).count(b"\n") == rows + 1


def test_a_report_reaches_the_requested_size() -> None:
    size = sum(map(len, report("granular", DAY, 0, rows=0, least_bytes=5_000_000)))
    assert 5_000_000 <= size < 8_000_000


SPANS = {"daily": "2022-04-01", "weekly": "2022-04-04-2022-04-10", "monthly": "2022-04-01-2022-04-30"}


def rows_of(aggregation: str, frequency: str = "daily", shard: int = 0, rows: int = BLOCK_ROWS) -> list[dict[str, str]]:
    blocks = report(aggregation, f"{aggregation}-{SPANS[frequency]}", shard, rows=rows)
    return list(csv.DictReader(io.StringIO(b"".join(blocks).decode())))


def test_reports_have_the_columns_that_the_real_ones_likely_have() -> None:
    assert ",".join(rows_of("granular", rows=1)[0]) == "day,settings_id,dps_id,consent,action,total,country,os,browser"
    assert ",".join(rows_of("interaction", rows=1)[0]) == (
        "day,event_type,settings_id,host,country,browser,device_type,os,number"
    )


def test_reports_have_the_documented_codes_and_few_unknown_ones() -> None:
    granular, interaction = rows_of("granular"), rows_of("interaction")
    actions, events = Counter(row["action"] for row in granular), Counter(row["event_type"] for row in interaction)
    assert {row["consent"] for row in granular} == {"0", "1"}
    assert set(actions) == {str(action) for action in range(10)}
    assert set(events) == {str(event) for event in range(19)}
    assert actions["9"] < BLOCK_ROWS / 100
    assert events["18"] < BLOCK_ROWS / 100
    assert {row["consent"] for row in granular if row["action"] == "0"} == {"1"}
    assert {row["consent"] for row in granular if row["action"] == "1"} == {"0"}


@pytest.mark.parametrize("aggregation", ["granular", "interaction"])
def test_a_report_has_several_values_in_each_column_and_bots_and_empty_countries(aggregation: str) -> None:
    rows = rows_of(aggregation)
    names = {"settings_id", "country", "os", "browser"} | (
        {"dps_id"} if aggregation == "granular" else {"host", "device_type"}
    )
    assert all(len({row[name] for row in rows}) > 2 for name in names)
    bots = [row for row in rows if row["browser"] == "bot"]
    assert 0 < len(bots) < len(rows) / 10
    assert {row.get("action", "4") for row in bots} == {"4"}
    assert 0 < sum(row["country"] == "" for row in rows) < len(rows) / 5
    assert all(row[name] for row in rows for name in names - {"country"})


@pytest.mark.parametrize(("aggregation", "count"), [("granular", "total"), ("interaction", "number")])
def test_a_row_is_the_count_of_one_combination(aggregation: str, count: str) -> None:
    rows = rows_of(aggregation)
    combinations = {tuple(value for name, value in row.items() if name != count) for row in rows}
    assert len(combinations) == len(rows) == BLOCK_ROWS
    assert min(int(row[count]) for row in rows) == 1
    assert len({row[count] for row in rows}) > 10


@pytest.mark.parametrize(("aggregation", "count"), [("granular", "total"), ("interaction", "number")])
def test_longer_periods_have_one_day_and_larger_counts(aggregation: str, count: str) -> None:
    sums = []
    for frequency, span in SPANS.items():
        rows = rows_of(aggregation, frequency, rows=2000)
        assert {row["day"] for row in rows} == {span[:10]}
        sums.append(sum(int(row[count]) for row in rows))
    assert sums[0] * 4 < sums[1]
    assert sums[1] * 3 < sums[2]


@pytest.mark.parametrize("aggregation", ["granular", "interaction"])
def test_the_rows_of_a_report_are_the_same_every_time_and_differ_between_shards_and_periods(aggregation: str) -> None:
    one = rows_of(aggregation, rows=100)
    assert one == rows_of(aggregation, rows=100)
    assert one != rows_of(aggregation, shard=1, rows=100)
    assert one != rows_of(aggregation, "weekly", rows=100)


# Secret Manager


@pytest.fixture
def secrets(stack: Stack) -> secretmanager_v1.SecretManagerServiceClient:
    channel = grpc.insecure_channel(stack.secrets.host)
    return secretmanager_v1.SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))


def test_latest_is_the_newest_version(stack: Stack, secrets: secretmanager_v1.SecretManagerServiceClient) -> None:
    assert stack.secrets.add_version(SECRET, b"second\n") == 2
    answer = secrets.access_secret_version(name=f"{SECRET}/versions/latest")
    assert (answer.name, answer.payload.data) == (f"{SECRET}/versions/2", b"second\n")
    assert answer.payload.data_crc32c == google_crc32c.value(b"second\n")
    assert secrets.access_secret_version(name=f"{SECRET}/versions/1").payload.data == API_KEY.encode()


def test_a_disabled_version_is_answered_failed_precondition(
    stack: Stack, secrets: secretmanager_v1.SecretManagerServiceClient
) -> None:
    stack.secrets.disable(SECRET, 1)
    with pytest.raises(exceptions.FailedPrecondition):
        secrets.access_secret_version(name=f"{SECRET}/versions/latest")


@pytest.mark.parametrize("name", [f"{SECRET}/versions/2", "projects/local/secrets/other/versions/latest"])
def test_a_missing_version_or_secret_is_answered_not_found(
    secrets: secretmanager_v1.SecretManagerServiceClient, name: str
) -> None:
    with pytest.raises(exceptions.NotFound):
        secrets.access_secret_version(name=name)


@pytest.mark.parametrize(
    ("status", "error"), [("PERMISSION_DENIED", exceptions.PermissionDenied), (503, exceptions.ServiceUnavailable)]
)
def test_secret_manager_can_deny_or_be_unavailable(
    stack: Stack, secrets: secretmanager_v1.SecretManagerServiceClient, status: int | str, error: type[Exception]
) -> None:
    stack.faults.add("secret.access", Kind.STATUS, status=status)
    with pytest.raises(error):
        secrets.access_secret_version(name=f"{SECRET}/versions/latest", retry=None)
    assert secrets.access_secret_version(name=f"{SECRET}/versions/latest").payload.data
    assert stack.secrets.requests.count("secret.access") == 2
