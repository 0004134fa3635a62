"""The answer: its shape, and its status row by row of the contract's table."""

import pytest

from local.faults import Kind
from local.stack import API_KEY, SECRET, Stack
from tests.support.destination import Bucket
from tests.support.functions import ScannedFunction, StartFunction
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

UNUSABLE = "projects/local/secrets/unusable"
LINK = "https://elsewhere.example.org/file.csv?X-Goog-Signature=abc"


def test_a_good_answer_has_exactly_this_shape(stack: Stack, function: ScannedFunction) -> None:
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


def test_a_problem_has_exactly_this_shape(stack: Stack, function: ScannedFunction) -> None:
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


def test_several_periods_are_told_oldest_first_and_their_bytes_added_up(
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
        pytest.param({"API_KEY_SECRET": UNUSABLE}, "API_KEY_SECRET", id="no such secret"),
        pytest.param({"API_KEY_SECRET": f"{SECRET}/versions/9"}, "API_KEY_SECRET", id="no such version"),
        pytest.param({"BUCKET": "no-such-bucket"}, "BUCKET", id="no such bucket"),
    ],
)
def test_what_the_operator_must_mend_is_answered_500_and_named(
    stack: Stack, function_with: StartFunction, env: dict[str, str], names: str
) -> None:
    stack.secrets.remove(UNUSABLE)
    answer = function_with(**env).post(DAY)
    assert problem(answer, 500, "misconfigured")["detail"].startswith(f"{names}: ")
    assert only(answer, 500)["status"] == "failed"


@pytest.fixture
def without_key(stack: Stack, function_with: StartFunction) -> ScannedFunction:
    """A function whose secret no test fills with a key, so it never knows one."""
    stack.secrets.remove(UNUSABLE)
    return function_with(API_KEY_SECRET=UNUSABLE)


@pytest.mark.parametrize(
    "payload", [b"", b" \n", b"two\nlines", "schlüssel".encode()], ids=["empty", "blank", "two lines", "not ASCII"]
)
def test_a_secret_that_is_no_key_is_answered_500(stack: Stack, without_key: ScannedFunction, payload: bytes) -> None:
    stack.secrets.add_version(UNUSABLE, payload)
    detail = problem(without_key.post(DAY), 500, "misconfigured")["detail"]
    assert "one line of printable ASCII" in detail
    assert stack.exports.requests.count() == 0


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("PERMISSION_DENIED", "secretmanager.secretAccessor"),
        ("FAILED_PRECONDITION", "disabled"),
        ("NOT_FOUND", "exist"),
    ],
)
def test_a_secret_that_may_not_be_read_is_answered_500(
    stack: Stack, without_key: ScannedFunction, code: str, says: str
) -> None:
    stack.faults.add("secret.access", Kind.STATUS, status=code, times=None)
    assert says in problem(without_key.post(DAY), 500, "misconfigured")["detail"]


def with_every_request(stack: Stack) -> None:
    """Make the next run use all that it can: a short and a long file, and a manifest that only its body tells of."""
    stack.exports.put(PREFIX, {file(0): b"a\n", file(1): b"a\n" * 1_000_000})
    stack.storage.put(stack.bucket, MANIFEST, b"{}")


@pytest.mark.ours_only
@pytest.mark.parametrize("where", ["object.read", "object.list", "upload.start", "object.insert"])
def test_a_bucket_that_may_not_be_used_is_answered_500(stack: Stack, function: ScannedFunction, where: str) -> None:
    with_every_request(stack)
    stack.faults.add(where, Kind.STATUS, status=403, times=None)
    detail = problem(function.post(DAY), 500, "misconfigured")["detail"]
    assert "BUCKET: " in detail
    assert "roles/storage.objectUser" in detail


@pytest.mark.ours_only
def test_credentials_that_cloud_storage_does_not_know_are_answered_500(stack: Stack, function: ScannedFunction) -> None:
    stack.faults.add("object.list", Kind.STATUS, status=401, times=None)
    assert "service account" in problem(function.post(DAY), 500, "misconfigured")["detail"]


# 502


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_answered_502_after_it_was_read_once_more(
    stack: Stack, start_function: StartFunction, status: int
) -> None:
    stack.faults.add("export.list", Kind.STATUS, status=status, times=None)
    answer = start_function().post(DAY)
    assert str(status) in problem(answer, 502, "export-service-refused")["detail"]
    assert (stack.secrets.requests.count(), stack.exports.requests.count()) == (2, 2)


@pytest.mark.parametrize("status", [400, 402, 405, 410, 418, 204, 302])
def test_another_answer_of_the_export_service_is_answered_502(
    stack: Stack, function: ScannedFunction, status: int
) -> None:
    stack.faults.add("export.list", Kind.STATUS, status=status, headers={"Location": "/x"}, times=None)
    assert str(status) in problem(function.post(DAY), 502, "export-service-error")["detail"]
    assert stack.exports.requests.count() == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"downloadUrls": [1]}', b'{"downloadUrls": null}'])
def test_an_answer_that_cannot_be_understood_is_answered_502(
    stack: Stack, function: ScannedFunction, body: bytes
) -> None:
    stack.faults.add("export.list", Kind.STATUS, status=200, body=body, times=None)
    problem(function.post(DAY), 502, "export-service-error")


def test_a_link_that_is_refused_even_when_fresh_is_answered_502(stack: Stack, function: ScannedFunction) -> None:
    stack.faults.add("link.get", Kind.STATUS, status=403, times=None)
    assert "403" in problem(function.post(DAY), 502, "export-service-error")["detail"]


@pytest.mark.parametrize(
    ("links", "says"),
    [
        pytest.param([LINK], "https://elsewhere.example.org", id="outside DOWNLOAD_ORIGINS"),
        pytest.param(["HERE@elsewhere.example.org/x.csv"], "elsewhere.example.org", id="with user info"),
        pytest.param(["HERE/b/"], "cannot be stored", id="without a name"),
        pytest.param(["HERE/b/a%2Fb.csv"], "cannot be stored", id="with a slash in the name"),
        pytest.param(["HERE/b/%2e%2e"], "dot segments", id="named like the parent folder"),
        pytest.param(["HERE/b/../c/a.csv"], "dot segments", id="with a dot segment in its path"),
        pytest.param(["HERE/b/%2E./c/a.csv"], "dot segments", id="with a percent-encoded dot segment in its path"),
        pytest.param(["HERE/b/x%2F..%2Fy/a.csv"], "dot segments", id="with a hidden dot segment in its path"),
        pytest.param(["HERE/b/a%0A.csv"], "cannot be stored", id="with a line end in the name"),
        pytest.param(["HERE/b/" + "x" * 1000], "too long", id="with a name too long to store"),
        pytest.param(["HERE/b/a.csv?n=1", "HERE/c/a.csv?n=2"], "more than once", id="with a name given twice"),
        pytest.param(["HERE/b/a.csv", LINK], "https://elsewhere.example.org", id="one good and one not"),
    ],
)
def test_a_link_that_is_not_followed_is_answered_502_and_nothing_is_fetched(
    stack: Stack, function: ScannedFunction, bucket: Bucket, links: list[str], says: str
) -> None:
    stack.exports.links[PREFIX] = [link.replace("HERE", stack.storage.url) for link in links]
    assert says in problem(function.post(DAY), 502, "link-refused")["detail"]
    assert stack.storage.requests.count("link.get", "unknown") == 0
    assert bucket.names() == []


def test_a_link_that_redirects_is_answered_502_and_not_followed(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put(PREFIX, {file(0): b"a\n", "other.csv": b"b\n"})
    elsewhere = stack.exports.link("other.csv")
    stack.exports.put(PREFIX, {file(0): b"a\n"})
    stack.faults.add("link.get", Kind.REDIRECT, headers={"Location": elsewhere}, times=None)
    assert "302" in problem(function.post(DAY), 502, "link-refused")["detail"]
    assert {request.name.rpartition("/")[2] for request in stack.storage.requests.of("link.get")} == {file(0)}


def test_bytes_that_do_not_fit_their_checksum_are_answered_502_and_not_stored(
    stack: Stack, function: ScannedFunction, bucket: Bucket
) -> None:
    stack.exports.put(PREFIX, {file(0): b"a\n1\n", file(1): b"a\n2\n"})
    stack.faults.add("link.get", Kind.WRONG_HASH, name=file(1), times=None)
    answer = function.post(DAY)
    assert file(1) in problem(answer, 502, "integrity")["detail"]
    assert (only(answer, 502)["status"], only(answer, 502)["objects"]) == ("failed", 1)
    assert bucket.names() == [FOLDER + file(0)]


# 503


def test_a_404_is_answered_503_not_available_yet(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.remove(PREFIX)
    answer = function.post(DAY)
    assert PREFIX in problem(answer, 503, "not-available-yet")["detail"]
    assert answer.headers["Retry-After"] == "900"


def test_an_empty_list_is_answered_503_not_available_yet(
    stack: Stack, function: ScannedFunction, bucket: Bucket
) -> None:
    stack.exports.put(PREFIX, {})
    answer = function.post(DAY)
    problem(answer, 503, "not-available-yet")
    assert only(answer, 503)["status"] == "not_available"
    assert bucket.names() == []


def test_a_period_not_yet_due_is_worth_a_retry_when_it_is(stack: Stack, function: ScannedFunction) -> None:
    """Retry-After is at least a quarter of an hour, and until 08:00 UTC where that is later."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - here alone

    now = datetime.now(UTC)
    stack.clock.fixed = now - timedelta(days=2)
    answer = function.post({"aggregation": "granular", "frequency": "daily"})
    problem(answer, 503, "not-available-yet")
    due = now.replace(hour=8, minute=0, second=0, microsecond=0)
    expected_s = max(900, (due - now).total_seconds())
    assert expected_s - 60 <= int(answer.headers["Retry-After"]) <= expected_s + 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("where", ["export.list", "link.get"])
def test_a_service_that_asks_to_wait_for_long_is_answered_503_with_its_wait(
    stack: Stack, function: ScannedFunction, where: str, status: int
) -> None:
    stack.faults.add(where, Kind.STATUS, status=status, headers={"Retry-After": "1234"}, times=None)
    answer = function.post(DAY)
    assert str(status) in problem(answer, 503, "upstream-unavailable")["detail"]
    assert (only(answer, 503)["status"], answer.headers["Retry-After"]) == ("failed", "1234")


@pytest.mark.ours_only
@pytest.mark.parametrize("where", ["object.read", "object.list", "upload.start", "upload.put", "object.insert"])
def test_a_bucket_that_asks_to_wait_for_long_is_answered_503_with_its_wait(
    stack: Stack, function: ScannedFunction, where: str
) -> None:
    with_every_request(stack)
    stack.faults.add("upload.status", Kind.STATUS, status=503, headers={"Retry-After": "1234"}, times=None)
    stack.faults.add(where, Kind.STATUS, status=503, headers={"Retry-After": "1234"}, times=None)
    answer = function.post(DAY)
    problem(answer, 503, "upstream-unavailable")
    assert answer.headers["Retry-After"] == "1234"


def test_a_run_whose_time_is_over_is_answered_503_and_the_next_goes_on(
    stack: Stack, function_with: StartFunction, function: ScannedFunction
) -> None:
    stack.faults.add("export.list", Kind.DELAY, seconds=1.2, times=None)
    answer = function_with(DEADLINE_SECONDS="1").post(span("2022-04-01", "2022-04-03"))
    problem(answer, 503, "deadline")
    assert set(statuses(answer).values()) == {"incomplete"}
    stack.faults.clear()
    assert int(answer.headers["Retry-After"]) <= 60
    assert set(statuses(function.post(span("2022-04-01", "2022-04-03"))).values()) == {"copied"}


def test_what_is_done_when_the_time_is_over_stays_done(
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
def test_the_answer_is_that_of_the_worst_period_and_the_others_are_done(
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
def test_500_is_worse_than_502(stack: Stack, function: ScannedFunction) -> None:
    stack.faults.add("export.list", Kind.STATUS, name="2022-04-01", status=418, times=None)
    stack.faults.add("object.insert", Kind.STATUS, name="2022-04-02", status=403, times=None)
    answer = function.post(span("2022-04-01", "2022-04-03"))
    problem(answer, 500, "misconfigured")
    assert [(each["error"] or {}).get("type") for each in exports(answer)] == [
        "export-service-error",
        "misconfigured",
        None,
    ]


def test_the_soonest_retry_counts(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.remove("granular-2022-04-01")
    stack.faults.add("export.list", Kind.STATUS, name="04-02", status=429, headers={"Retry-After": "1234"}, times=None)
    answer = function.post(span("2022-04-01", "2022-04-02"))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "900")


def test_a_failed_period_still_counts_what_it_copied(stack: Stack, function: ScannedFunction) -> None:
    stack.exports.put(PREFIX, {file(0): b"a\n1\n", file(1): b"a\n2\n"})
    stack.faults.add("link.get", Kind.STATUS, name=file(1), status=403, times=None)
    answer = function.post(DAY)
    export = only(answer, 502)
    assert (export["objects"], export["bytes"], export["bytes_copied"], export["manifest"]) == (1, 4, 4, None)
    assert answer.json()["bytes_copied"] == 4
    assert API_KEY not in answer.text
