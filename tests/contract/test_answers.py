"""The answer: its shape, and its status row by row of the contract's table."""

from typing import Any

import pytest

from local.faults import Kind
from local.stack import API_KEY, SECRET, Stack
from tests.support.destination import Bucket
from tests.support.functions import ScannedFunction, StartFunction
from tests.support.hostile_links import HOSTILE_LINKS
from tests.support.requests_and_answers import (
    DAY,
    FOLDER,
    MANIFEST,
    PREFIX,
    exports,
    file,
    only,
    problem,
    span,
    statuses,
)


def test_a_successful_answer_has_the_documented_fields(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put(PREFIX, {file(0): b"a,b\n1,2\n", file(1): b"a,b\n"})
    answer = function.post(DAY)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    value = answer.json()
    seconds = value.pop("seconds")
    assert isinstance(seconds, float)
    assert 0 < seconds < answer.seconds + 0.1
    assert value == {
        "exports": [
            {
                "aggregation": "granular",
                "frequency": "daily",
                "start_date": "2022-04-01",
                "end_date": "2022-04-01",
                "file_prefix": "granular-2022-04-01",
                "status": "copied",
                "objects": 2,
                "bytes": 12,
                "bytes_copied": 12,
                "columns_changed": False,
                "manifest": f"gs://{stack.bucket}/{MANIFEST}",
                "error": None,
            }
        ],
        "bytes_copied": 12,
    }


def test_a_problem_has_the_documented_fields(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.remove(PREFIX)
    answer = function.post(DAY)
    document = problem(answer, 503, "not-available-yet")
    assert document["exports"] == [
        {
            "aggregation": "granular",
            "frequency": "daily",
            "start_date": "2022-04-01",
            "end_date": "2022-04-01",
            "file_prefix": "granular-2022-04-01",
            "status": "not_available",
            "objects": 0,
            "bytes": 0,
            "bytes_copied": 0,
            "columns_changed": False,
            "manifest": None,
            "error": {"type": "not-available-yet", "detail": document["detail"]},
        }
    ]
    assert document["bytes_copied"] == 0


def test_several_periods_are_listed_oldest_first_and_their_bytes_added_up(
    stack: Stack, function: ScannedFunction
) -> None:
    for day in (1, 2, 3):
        stack.exports.put(f"granular-2022-04-0{day}", {f"{day}.csv": b"x" * day})
    answer = function.post(span("2022-04-01", "2022-04-03"))
    assert [(each["start_date"], each["bytes_copied"]) for each in exports(answer)] == [
        ("2022-04-01", 1),
        ("2022-04-02", 2),
        ("2022-04-03", 3),
    ]
    assert answer.json()["bytes_copied"] == 6


# 500


@pytest.mark.parametrize(
    ("env", "names"),
    [
        pytest.param({"API_KEY_SECRET": "projects/local/secrets/nowhere"}, "API_KEY_SECRET: projects/local/secrets/nowhere", id="no such secret"),
        pytest.param({"BUCKET": "no-such-bucket-here"}, "BUCKET: the bucket no-such-bucket-here does not exist", id="no such bucket"),
    ],
)  # fmt: skip
def test_a_missing_secret_or_bucket_is_answered_500_and_named(
    stack: Stack, function_with: StartFunction, env: dict[str, str], names: str
) -> None:
    answer = function_with(**env).post(DAY)
    assert problem(answer, 500, "misconfigured")["detail"].startswith(names)
    assert only(answer, 500)["status"] == "failed"
    assert stack.exports.requests.count() == 0


def test_an_invalid_key_is_answered_500(stack: Stack, start_function: StartFunction) -> None:
    """One example; the unit test of the key has all kinds."""
    stack.secrets.add_version(SECRET, "some-secret-key\nX-Evil: 1")
    function = start_function()
    answer = function.post(DAY)
    assert "one line of printable ASCII" in problem(answer, 500, "misconfigured")["detail"]
    assert "X-Evil" not in answer.text + function.output()
    assert stack.exports.requests.count() == 0


def test_a_secret_that_may_not_be_read_is_answered_500(stack: Stack, start_function: StartFunction) -> None:
    stack.faults.add("secret.access", Kind.STATUS, status="PERMISSION_DENIED", times=None)
    assert "secretmanager.secretAccessor" in problem(start_function().post(DAY), 500, "misconfigured")["detail"]


def require_every_request(stack: Stack) -> None:
    """Make the next run send every kind of request: for a short and a long file, and a manifest without metadata."""
    stack.exports.put(PREFIX, {file(0): b"a\n", file(1): b"a\n" * 1_000_000})
    stack.storage.put(stack.bucket, MANIFEST, b"{}")


PERMISSIONS = {
    "to list": ({"where": "object.list"}, "storage.objects.list"),
    "to write a long file": ({"where": "upload.start"}, "storage.objects.create"),
    "to write a short file": ({"where": "object.insert", "name": FOLDER}, "storage.objects.create"),
    "to read": ({"where": "object.read"}, "storage.objects.get"),
    "to write the manifest": ({"where": "object.insert", "name": MANIFEST}, "storage.objects.create"),
    "to delete": ({"where": "object.delete"}, "storage.objects.delete"),
}


@pytest.mark.ours_only
@pytest.mark.parametrize(("where", "permission"), PERMISSIONS.values(), ids=PERMISSIONS)
def test_a_missing_permission_on_the_bucket_is_answered_500_and_named(
    stack: Stack, function: ScannedFunction, bucket: Bucket, where: dict[str, str], permission: str
) -> None:
    """Once it is granted, the next call completes the period."""
    require_every_request(stack)
    bucket.put(FOLDER + "stale.csv", b"of an earlier run")
    stack.faults.add(kind=Kind.STATUS, status=403, times=None, **where)  # type: ignore[arg-type] # all are text
    detail = problem(function.post(DAY), 500, "misconfigured")["detail"]
    assert "BUCKET: " in detail
    assert permission in detail
    assert "roles/storage.objectUser" in detail
    stack.faults.clear()
    assert only(function.post(DAY))["status"] == "copied"
    files = {FOLDER + name: info.read_bytes() for name, info in stack.exports.files(PREFIX).items()}
    assert bucket.contents(FOLDER) == files


@pytest.mark.ours_only
def test_without_the_permission_to_delete_everything_else_is_done(
    stack: Stack, function: ScannedFunction, bucket: Bucket
) -> None:
    """New files are there, the stale one stays, no manifest says that the period is complete."""
    stack.exports.put(PREFIX, {file(0): b"a\n", file(1): b"b\n"})
    bucket.put(FOLDER + "stale.csv", b"of an earlier run")
    stack.faults.add("object.delete", Kind.STATUS, status=403, times=None)
    problem(function.post(DAY), 500, "misconfigured")
    assert set(bucket.names()) == {FOLDER + name for name in (file(0), file(1), "stale.csv")}


@pytest.mark.ours_only
def test_credentials_that_cloud_storage_does_not_accept_are_answered_500(
    stack: Stack, function: ScannedFunction
) -> None:
    stack.faults.add("object.list", Kind.STATUS, status=401, times=None)
    assert "service account" in problem(function.post(DAY), 500, "misconfigured")["detail"]


# 502


ANSWERS: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "404": ({"status": 404}, 503, "not-available-yet", PREFIX),
    "an empty list": ({"status": 200, "body": '{"downloadUrls": []}'}, 503, "not-available-yet", PREFIX),
    "401 again": ({"status": 401}, 502, "export-service-refused", "401"),
    "403 again": ({"status": 403}, 502, "export-service-refused", "403"),
    "418": ({"status": 418}, 502, "export-service-error", "418"),
    "204": ({"status": 204, "body": ""}, 502, "export-service-error", "204"),
    "a redirect": ({"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}}, 502, "export-service-error", "302"),
    "HTML": ({"status": 200, "body": "<html>Sign in</html>"}, 502, "export-service-error", "downloadUrls"),
    "deeply nested JSON": ({"status": 200, "body": "[" * 100_000}, 502, "export-service-error", "downloadUrls"),
    "always 503": ({"status": 503}, 503, "upstream-unavailable", "503"),
    "429 for an hour": ({"status": 429, "headers": {"Retry-After": "3600"}}, 503, "upstream-unavailable", "429"),
}
"""One of each kind; the unit test of the listing has them all."""


@pytest.mark.parametrize(("fault", "status", "slug", "says"), ANSWERS.values(), ids=ANSWERS)
def test_the_status_and_type_tell_that_the_export_service_answered(
    stack: Stack, function: ScannedFunction, bucket: Bucket, fault: dict[str, Any], status: int, slug: str, says: str
) -> None:
    """Nothing is written, and the next run completes the period."""
    stack.exports.put(PREFIX, {file(0): b"a\n", file(1): b"b\n"})
    stack.faults.add("export.list", Kind.STATUS, times=None, **fault)
    assert says in problem(function.post(DAY), status, slug)["detail"]
    tries = {"export-service-refused": 2, "upstream-unavailable": 1 if "headers" in fault else 7}
    assert stack.exports.requests.count() == tries.get(slug, 1)
    assert bucket.names() == []
    stack.faults.clear()
    assert only(function.post(DAY))["status"] == "copied"
    assert bucket.contents(FOLDER) == {FOLDER + file(0): b"a\n", FOLDER + file(1): b"b\n"}


def test_a_link_that_is_refused_even_when_fresh_is_answered_502(stack: Stack, function: ScannedFunction) -> None:
    stack.faults.add("link.get", Kind.STATUS, status=403, times=None)
    assert "403" in problem(function.post(DAY), 502, "export-service-error")["detail"]


LINKS = {
    **{kind: next(iter(rows.values())) for kind, rows in HOSTILE_LINKS.items()},
    "a name too long to store": ("{origin}/b/" + "x" * 1000, "too long"),
    "a name given twice": ("{origin}/other/path/" + file(0), "more than once"),
}
"""One of each kind; the unit test of links has them all."""


@pytest.mark.parametrize(("link", "says"), LINKS.values(), ids=LINKS)
def test_a_listing_with_one_bad_link_is_answered_502_and_nothing_is_fetched(
    stack: Stack, function: ScannedFunction, bucket: Bucket, link: str, says: str
) -> None:
    stack.exports.put(PREFIX, {file(0): b"a\n"})
    stack.exports.links[PREFIX] = [stack.exports.link(file(0)), link.replace("{origin}", stack.storage.url)]
    answer = function.post(DAY)
    assert says in problem(answer, 502, "link-refused")["detail"]
    assert "pw@" not in answer.text
    assert stack.storage.requests.count("link.get", "unknown") == 0
    assert bucket.names() == []


def test_bytes_that_do_not_match_their_checksum_are_answered_502_and_not_stored(
    stack: Stack, function: ScannedFunction, bucket: Bucket
) -> None:
    stack.exports.put(PREFIX, {file(0): b"a\n1\n", file(1): b"a\n2\n"})
    stack.faults.add("link.get", Kind.WRONG_HASH, name=file(1), times=None)
    answer = function.post(DAY)
    assert file(1) in problem(answer, 502, "integrity")["detail"]
    assert (only(answer, 502)["status"], only(answer, 502)["objects"]) == ("failed", 1)
    assert bucket.names() == [FOLDER + file(0)]


# 503


def test_a_period_that_is_not_available_is_to_be_retried_in_15_minutes(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.remove(PREFIX)
    answer = function.post(DAY)
    assert only(answer, 503)["status"] == "not_available"
    assert answer.headers["Retry-After"] == "900"


def test_a_period_that_is_not_due_is_to_be_retried_when_it_is(stack: Stack, function: ScannedFunction) -> None:
    """Retry-After is at least a quarter of an hour, and until 08:00 UTC where that is later."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - only used here

    now = datetime.now(UTC)
    stack.clock.fixed = now - timedelta(days=2)
    answer = function.post({"aggregation": "granular", "frequency": "daily"})
    problem(answer, 503, "not-available-yet")
    due = now.replace(hour=8, minute=0, second=0, microsecond=0)
    expected_s = max(900, (due - now).total_seconds())
    assert expected_s - 60 <= int(answer.headers["Retry-After"]) <= expected_s + 1


@pytest.mark.parametrize(
    ("where", "status"),
    [("export.list", 429), *(("link.get", status) for status in (408, 425, 429, 500, 502, 503, 504))],
)
def test_a_long_retry_after_of_a_service_is_passed_on_with_503(
    stack: Stack, function: ScannedFunction, where: str, status: int
) -> None:
    stack.faults.add(where, Kind.STATUS, status=status, headers={"Retry-After": "1234"}, times=None)
    answer = function.post(DAY)
    assert str(status) in problem(answer, 503, "upstream-unavailable")["detail"]
    assert (only(answer, 503)["status"], answer.headers["Retry-After"]) == ("failed", "1234")


@pytest.mark.ours_only
@pytest.mark.parametrize("where", ["object.read", "object.list", "upload.start", "upload.put", "object.insert"])
def test_a_long_retry_after_of_the_bucket_is_passed_on_with_503(
    stack: Stack, function: ScannedFunction, where: str
) -> None:
    require_every_request(stack)
    stack.faults.add("upload.status", Kind.STATUS, status=503, headers={"Retry-After": "1234"}, times=None)
    stack.faults.add(where, Kind.STATUS, status=503, headers={"Retry-After": "1234"}, times=None)
    answer = function.post(DAY)
    problem(answer, 503, "upstream-unavailable")
    assert answer.headers["Retry-After"] == "1234"


def test_a_run_past_its_deadline_is_answered_503_and_the_next_continues(
    stack: Stack, function_with: StartFunction, function: ScannedFunction
) -> None:
    stack.faults.add("export.list", Kind.DELAY, seconds=1.2, times=None)
    answer = function_with(DEADLINE_SECONDS="1").post(span("2022-04-01", "2022-04-03"))
    problem(answer, 503, "deadline")
    assert set(statuses(answer).values()) == {"incomplete"}
    stack.faults.clear()
    assert int(answer.headers["Retry-After"]) <= 60
    assert set(statuses(function.post(span("2022-04-01", "2022-04-03"))).values()) == {"copied"}


def test_periods_completed_before_the_deadline_stay_complete(
    stack: Stack, function_with: StartFunction, bucket: Bucket
) -> None:
    stack.faults.add("export.list", Kind.DELAY, name="2022-04-02", seconds=1.2)
    answer = function_with(DEADLINE_SECONDS="1").post(span("2022-04-01", "2022-04-02"))
    problem(answer, 503, "deadline")
    assert statuses(answer) == {"2022-04-01": "copied", "2022-04-02": "incomplete"}
    assert MANIFEST in bucket.names()


# Several periods


WORSE = {
    "2022-04-02": ("export-service-error", 502, {"where": "export.list", "status": 418}),
    "2022-04-03": ("not-available-yet", 503, {"where": "export.list", "status": 404}),
}


@pytest.mark.parametrize(
    ("broken", "worst"),
    [
        (["2022-04-02", "2022-04-03"], "2022-04-02"),
        (["2022-04-03"], "2022-04-03"),
    ],
    ids=["502 before 503", "503 before 200"],
)
def test_the_answer_is_that_of_the_worst_period_and_the_others_are_copied(
    stack: Stack, function: ScannedFunction, broken: list[str], worst: str
) -> None:
    for day in broken:
        _, _, fault = WORSE[day]
        stack.faults.add(kind=Kind.STATUS, name=day, times=None, **fault)  # type: ignore[arg-type] # a table
    answer = function.post(span("2022-04-01", "2022-04-05"))
    slug, status, _ = WORSE[worst]
    problem(answer, status, slug)
    assert list(statuses(answer)) == [f"2022-04-0{day}" for day in range(1, 6)]
    for export in exports(answer):
        day = export["start_date"]
        if day in broken:
            assert export["error"]["type"] == WORSE[day][0]
        else:
            assert (export["status"], export["error"]) == ("copied", None)


@pytest.mark.ours_only
def test_500_of_one_period_is_worse_than_502_of_another(stack: Stack, function: ScannedFunction) -> None:
    stack.faults.add("export.list", Kind.STATUS, name="2022-04-01", status=418, times=None)
    stack.faults.add("object.insert", Kind.STATUS, name="2022-04-02", status=403, times=None)
    answer = function.post(span("2022-04-01", "2022-04-03"))
    problem(answer, 500, "misconfigured")
    assert [(each["error"] or {}).get("type") for each in exports(answer)] == [
        "export-service-error",
        "misconfigured",
        None,
    ]


def test_the_shortest_retry_after_of_several_periods_is_passed_on(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.remove("granular-2022-04-01")
    stack.faults.add("export.list", Kind.STATUS, name="04-02", status=429, headers={"Retry-After": "1234"}, times=None)
    answer = function.post(span("2022-04-01", "2022-04-02"))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "900")


def test_a_failed_period_reports_what_it_copied(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put(PREFIX, {file(0): b"a\n1\n", file(1): b"a\n2\n"})
    stack.faults.add("link.get", Kind.STATUS, name=file(1), status=403, times=None)
    answer = function.post(DAY)
    export = only(answer, 502)
    assert (export["objects"], export["bytes"], export["bytes_copied"], export["manifest"]) == (1, 4, 4, None)
    assert answer.json()["bytes_copied"] == 4
    assert API_KEY not in answer.text
