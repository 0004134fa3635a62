"""The API key: where it comes from, how often it is read, and that it is sent in one header only."""

import pytest

from analytics_export.http import session
from local.faults import Kind
from local.request_log import Request
from local.stack import ANALYTICS_ID, API_KEY, SECRET, Stack
from tests.support.functions import ScannedFunction, StartFunction
from tests.support.requests_and_answers import DAY, PREFIX, exports, file, only, problem, span
from tests.support.secret_scan import forget_requests

NEW_KEY = "another-secret-key-9876543210"


def rotate(stack: Stack) -> None:
    stack.secrets.add_version(SECRET, NEW_KEY)
    stack.exports.keys = {NEW_KEY}


def test_a_warm_instance_reads_the_key_once(stack: Stack, start_function: StartFunction) -> None:
    function = start_function()
    only(function.post(DAY))
    function.post(span("2022-04-02", "2022-04-05"))
    assert [request.name for request in stack.secrets.requests.all()] == [f"{SECRET}/versions/latest"]


def test_a_rotated_key_is_used_by_a_warm_instance(stack: Stack, start_function: StartFunction) -> None:
    function = start_function()
    only(function.post(DAY))
    rotate(stack)
    only(function.post(DAY))
    only(function.post(DAY))
    assert stack.secrets.requests.count() == 2
    assert [request.status for request in stack.exports.requests.of("export.list")] == [200, 401, 200, 200]


def test_a_key_that_stays_wrong_is_read_again_once_per_run(stack: Stack, start_function: StartFunction) -> None:
    """Not once per period: a wrong key must not overload Secret Manager."""
    function = start_function()
    stack.exports.keys = {NEW_KEY}
    answer = function.post(span("2022-04-01", "2022-04-04"))
    problem(answer, 502, "export-service-refused")
    assert stack.secrets.requests.count() == 2
    stack.secrets.add_version(SECRET, NEW_KEY)
    only(function.post(DAY))


def test_a_function_reads_the_version_in_its_setting(stack: Stack, start_function: StartFunction) -> None:
    stack.secrets.add_version(SECRET, "a-later-secret-key")
    only(start_function(API_KEY_SECRET=f"{SECRET}/versions/1").post(DAY))
    assert [request.name for request in stack.secrets.requests.all()] == [f"{SECRET}/versions/1"]


@pytest.mark.parametrize(
    ("code", "status", "slug"),
    [("PERMISSION_DENIED", 500, "misconfigured"), ("UNAVAILABLE", 503, "upstream-unavailable")],
)
def test_a_key_that_could_not_be_read_is_read_by_the_next_call(
    stack: Stack, start_function: StartFunction, code: str, status: int, slug: str
) -> None:
    function = start_function()
    stack.faults.add("secret.access", Kind.STATUS, status=code, times=None)
    problem(function.post(DAY), status, slug)
    stack.faults.clear()
    only(function.post(DAY))


def test_a_short_outage_of_secret_manager_is_waited_for(stack: Stack, start_function: StartFunction) -> None:
    stack.faults.add("secret.access", Kind.STATUS, status="UNAVAILABLE", times=2)
    only(start_function().post(DAY))
    assert stack.secrets.requests.count() == 3


def test_a_key_that_is_rotated_during_a_run_is_used(stack: Stack, start_function: StartFunction) -> None:
    """The periods whose requests are refused continue with the new key."""
    function = start_function()
    stack.faults.add("export.list", Kind.CALL, name="2022-05-02", call=lambda _request: rotate(stack))
    assert function.post(span("2022-05-01", "2022-05-03")).status == 200
    assert stack.secrets.requests.count() == 2


@pytest.mark.parametrize("is_rotated", [True, False], ids=["rotated", "refused"])
def test_the_key_is_read_once_however_many_periods_are_refused(
    stack: Stack, function: ScannedFunction, *, is_rotated: bool
) -> None:
    only(function.post(DAY))
    stack.exports.keys = {NEW_KEY}
    if is_rotated:
        stack.secrets.add_version(SECRET, NEW_KEY)
    forget_requests(stack)
    answer = function.post(span("2022-04-01", "2022-05-30", refresh=True))
    assert stack.secrets.requests.count() == 1
    if is_rotated:
        assert answer.status == 200
    else:
        problem(answer, 502, "export-service-refused")
        assert {each["error"]["type"] for each in exports(answer)} == {"export-service-refused"}


# Where the key is sent


def places(requests: list[Request]) -> set[str]:
    """Headers, paths and queries that contained the key."""
    return {place for request in requests for place in request.places_of(API_KEY)}


def test_the_key_goes_to_the_export_service_in_one_header(stack: Stack, start_function: StartFunction) -> None:
    only(start_function().post(DAY))
    (listing,) = stack.exports.requests.all()
    assert (listing.method, listing.path) == ("GET", f"/download/v2/analytics/{ANALYTICS_ID}/{PREFIX}")
    assert listing.headers["x-api-key"] == API_KEY
    assert places([listing]) == {"x-api-key"}


def test_the_key_is_never_sent_to_a_links_host(stack: Stack, start_function: StartFunction) -> None:
    """Nor to the bucket. After every other test, all its requests to Cloud Storage are checked for it too."""
    stack.exports.put(PREFIX, {file(0): b"a\n1\n", file(1): b"a\n" * 1_000_000})
    stack.faults.add("link.get", Kind.RESET, name=file(1), after_bytes=300_000)
    function = start_function()
    assert [only(function.post(DAY))["status"] for _ in range(2)] == ["copied", "unchanged"]
    links = stack.storage.requests.of("link.get")
    assert len(links) == 5, "each file, the longer one in two parts, and each again for the comparison"
    assert all(link.headers["user-agent"] for link in links), "headers are recorded"
    assert places(stack.storage.requests.all()) == set()


@pytest.mark.parametrize("where", ["export.list", "link.get"])
def test_a_redirect_is_not_followed_with_the_key(stack: Stack, function: ScannedFunction, where: str) -> None:
    headers = {"Location": f"{stack.storage.url}/elsewhere"}
    redirect = stack.faults.add(where, Kind.REDIRECT, headers=headers, times=None)
    slug = "export-service-error" if where == "export.list" else "link-refused"
    assert "302" in problem(function.post(DAY), 502, slug)["detail"]
    assert redirect.fired
    assert [each.path for each in stack.storage.requests.all() if "elsewhere" in each.path] == []


def test_a_cookie_of_one_service_is_not_kept_for_another(stack: Stack) -> None:
    """All of them may have the same host."""
    stack.exports.put(PREFIX, {file(0): b"a\n1\n"})
    stack.faults.add("link.get", Kind.SET_HEADERS, headers={"Set-Cookie": "party=a; Path=/"}, times=None)
    kept = session(connections=1)
    answer = kept.get(stack.exports.link(file(0)))
    assert "party" in answer.headers["Set-Cookie"]
    assert not kept.cookies
