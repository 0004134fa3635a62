"""What the export service answers, hostile or new, and odd files."""

import json
from typing import Any

import pytest

from analytics_export.http import session
from local.function import REPOSITORY, FunctionProcess
from local.stack import API_KEY, SECRET
from tests.support.requests_and_answers import DAY, FOLDER, MANIFEST, PREFIX, only, slug
from tests.support.secret_scan import secrets_in
from tests.support.source_files import csv, shards
from tests.support.world import World, wait_for

FIRST = f"{PREFIX}-000000000000.csv"


# --- the export service -------------------------------------------------------------------------------------------

HEALS = {
    "answers 503 for a while": {"kind": "status", "status": 503, "times": 3},
    "answers 500 for a while": {"kind": "status", "status": 500, "times": 3},
    "answers 429 with Retry-After": {"kind": "status", "status": 429, "headers": {"Retry-After": "1"}},
    "drops connections": {"kind": "reset", "times": 3},
    "drops connections in the middle of the listing": {"kind": "reset", "after_bytes": 50, "times": 3},
    "ends the listing early": {"kind": "close", "after_bytes": 50, "times": 3},
    "is slow": {"kind": "delay", "seconds": 0.7},
    "stalls": {"kind": "stall", "seconds": 50},
    "refuses the key once": {"kind": "status", "status": 401},
}
FAILS: dict[str, tuple[dict[str, Any], int, str]] = {
    "answers 404": ({"status": 404}, 503, "not-available-yet"),
    "answers an empty list": ({"status": 200, "body": '{"downloadUrls": []}'}, 503, "not-available-yet"),
    "refuses the key with 401": ({"status": 401}, 502, "export-service-refused"),
    "refuses the key with 403": ({"status": 403}, 502, "export-service-refused"),
    "answers 400": ({"status": 400}, 502, "export-service-error"),
    "answers 418": ({"status": 418}, 502, "export-service-error"),
    "redirects": ({"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}}, 502, "export-service-error"),
    "answers 204": ({"status": 204, "body": ""}, 502, "export-service-error"),
    "answers HTML": ({"status": 200, "body": "<html>Sign in</html>"}, 502, "export-service-error"),
    "answers nothing": ({"status": 200, "body": ""}, 502, "export-service-error"),
    "answers a list": ({"status": 200, "body": "[]"}, 502, "export-service-error"),
    "answers null": ({"status": 200, "body": "null"}, 502, "export-service-error"),
    "answers without links": ({"status": 200, "body": "{}"}, 502, "export-service-error"),
    "answers with one link in place of a list": (
        {"status": 200, "body": '{"downloadUrls": "https://x/y"}'}, 502, "export-service-error",
    ),
    "answers with numbers for links": ({"status": 200, "body": '{"downloadUrls": [1]}'}, 502, "export-service-error"),
    "answers with invalid UTF-8": ({"status": 200, "body": b'{"downloadUrls": ["\xff"]}'}, 502, "export-service-error"),
    "answers deeply nested JSON": ({"status": 200, "body": "[" * 100_000}, 502, "export-service-error"),
    "is down": ({"status": 503, "times": None}, 503, "upstream-unavailable"),
    "asks to wait for an hour": (
        {"status": 429, "headers": {"Retry-After": "3600"}, "times": None}, 503, "upstream-unavailable",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", HEALS.values(), ids=HEALS)
def test_a_run_outlasts_an_export_service_that(fault: dict[str, Any], world: World) -> None:
    """What a retry can mend is mended within the run."""
    world.issue(shards(2, size=1000))
    world.stack.faults.add("export.list", **fault)
    answer = world.call()
    assert answer.status == 200
    assert answer.seconds < 20
    assert world.stack.faults.fired
    world.check_right()


@pytest.mark.parametrize("situation", FAILS.values(), ids=FAILS)
def test_a_run_says_what_is_wrong_when_the_export_service(
    situation: tuple[dict[str, Any], int, str], world: World
) -> None:
    """Each answer has its own status and type, nothing is written, and the next run makes it right."""
    fault, status, expected = situation
    world.issue(shards(2, size=1000))
    world.stack.faults.add("export.list", "status", **({"times": None} | fault))
    answer = world.call()
    assert (answer.status, slug(answer)) == (status, expected)
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert world.objects() == {}
    world.stack.faults.clear()
    assert world.call().status == 200
    world.check_right()


def test_a_rotated_key_is_taken_up_once_it_is_refused(world: World) -> None:
    """A warm instance reads the secret again, once, and goes on."""
    world.issue(shards(1, size=1000))
    assert world.call().status == 200
    world.stack.exports.keys = {"rotated-key"}
    world.stack.secrets.add_version(SECRET, "rotated-key\n")
    try:
        assert world.call().status == 200
    finally:
        world.stack.exports.keys = {API_KEY}
        world.stack.secrets.add_version(SECRET, API_KEY)
    assert world.call().status == 200


def test_a_rotation_in_the_middle_of_a_span_is_taken_up(world: World) -> None:
    """The periods that meet the refusal go on with the new key."""

    def rotate(key: str) -> None:
        world.stack.exports.keys = {key}
        world.stack.secrets.add_version(SECRET, key)

    world.stack.faults.add("export.list", "call", name="2022-05-02", call=lambda _request: rotate("second-key"))
    span = {"aggregation": "granular", "frequency": "daily", "from": "2022-05-01", "to": "2022-05-03"}
    try:
        assert world.call(span).status == 200
    finally:
        rotate(API_KEY)
        assert world.call().status in {200, 503}


def test_a_listing_of_thousands_of_links_is_taken(world: World) -> None:
    """5,000 files in one period."""
    files = {f"{PREFIX}-{number:012d}.csv": b"a,b\n%d,1\n" % number for number in range(5000)}
    world.issue(files)
    many = world.start(PARALLEL_TRANSFERS="16", STALL_SECONDS="20")
    answer = world.call(function=many)
    assert (answer.status, only(answer)["objects"]) == (200, 5000)
    world.check_right()
    many.stop()


# --- hostile answers ----------------------------------------------------------------------------------------------

HOSTILE = {
    "a percent sign that encodes nothing": "{origin}/x/%2e%2e%zz/file.csv",
    "another host": "https://evil.example/x/file.csv?X-Goog-Signature=s",
    "http where https is allowed": "http://storage.googleapis.com/x/file.csv",
    "user info that looks like the host": "https://storage.googleapis.com@evil.example/file.csv",
    "user info at the right host": "{origin_with_user}/x/file.csv",
    "the right host as a prefix": "{origin}.evil.example/x/file.csv",
    "another port": "{origin}0/x/file.csv",
    "a link-local address": "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token",
    "the loopback by another name": "http://[::1]:80/x/file.csv",
    "a file": "file:///etc/passwd",
    "no scheme": "//storage.googleapis.com/x/file.csv",
    "nothing": "",
    "a backslash before the host": "{origin}\\@evil.example/file.csv",
    "white space in the host": "http://127.0.0.1 .evil.example/file.csv",
    "a line break": "{origin}/x/file.csv\r\nX-Evil: 1",
    "a fragment": "{origin}/x/file.csv#.evil.example",
    "an empty file name": "{origin}/x/?a=b",
    "dots for a name": "{origin}/x/..?a=b",
    "percent-encoded dots for a name": "{origin}/x/%2e%2e?a=b",
    "a percent-encoded slash": "{origin}/x/..%2F..%2Fmanifests%2Fevil.json?a=b",
    "a percent-encoded backslash": "{origin}/x/..%5Cevil.csv",
    "a control character in the name": "{origin}/x/a%00b.csv",
    "a line break in the name": "{origin}/x/a%0Ab.csv",
    "a name that is not UTF-8": "{origin}/x/%ff.csv",
    "a name of over 1024 bytes": "{origin}/x/" + "a" * 1025,
}


@pytest.mark.parametrize("link", HOSTILE.values(), ids=HOSTILE)
def test_a_listing_is_refused_whose_link_has(link: str, world: World) -> None:
    """Nothing is fetched from any link of such a listing, and nothing is stored."""
    world.issue(shards(2, size=1000))
    origin = world.stack.storage.url
    link = link.format(origin=origin, origin_with_user=origin.replace("://", "://user:pass@"))
    good = [world.stack.exports.link(name) for name in shards(2)]
    world.stack.exports.links[PREFIX] = [*good, link]
    answer = world.call()
    assert (answer.status, slug(answer)) == (502, "link-refused")
    assert "pass@" not in answer.text
    assert world.requests("link.get") == 0
    assert world.objects() == {}


def test_a_listing_that_names_a_file_twice_is_refused(world: World) -> None:
    """Which of the two would be right cannot be known."""
    world.issue(shards(2, size=1000))
    world.stack.exports.links[PREFIX] = [world.stack.exports.link(FIRST)] * 2
    assert slug(world.call()) == "link-refused"
    assert world.objects() == {}


@pytest.mark.parametrize(
    "name", ["Größe 名前.csv", "a b+c&d=e.csv", "100%.csv", "a?b#c.csv", ".hidden", "_tmp", "x" * 900, "~(1)[2]*.csv"]
)
def test_an_unusual_file_name_is_carried_faithfully(name: str, world: World) -> None:
    """The object is called what the link's last segment decodes to."""
    world.issue({name: b"a,b\n1,2\n"})
    assert world.call().status == 200
    assert world.objects() == {name: b"a,b\n1,2\n"}
    world.check_manifest()


def test_the_key_is_never_sent_to_a_links_host(world: World) -> None:
    """The stand-in records every header name it is sent on a link."""
    seen: list[str] = []
    world.issue(shards(1, size=1000))
    world.stack.faults.add("link.get", "redirect", headers={"Location": f"{world.stack.exports.url}/steal"}, times=None)
    assert slug(world.call()) == "link-refused"
    assert [request.path for request in world.stack.exports.requests.all() if "steal" in request.path] == seen


def test_nothing_leaks_even_where_every_logger_is_at_debug(world: World) -> None:
    """An operator who turns all logging up sees neither links' queries nor upload sessions nor the key."""
    program = world.stack.root / "loud.py"
    program.write_text("import logging\nlogging.basicConfig(level=logging.DEBUG)\nfrom main import export_analytics\n")
    world.issue(shards(2, size=400_000))
    world.stack.faults.add("link.get", "reset", after_bytes=100_000)
    env = world.stack.function_env() | {"PYTHONPATH": str(REPOSITORY)}
    with FunctionProcess(env, source=program) as loud:
        assert loud.post(DAY).status == 200
        output = loud.output()
    assert "DEBUG" in output
    assert secrets_in(output) == []


def test_a_cookie_of_one_party_is_not_kept_for_another(world: World) -> None:
    """All of them may live on one host."""
    world.issue(shards(1, size=1000))
    world.stack.faults.add("link.get", "set_headers", headers={"Set-Cookie": "party=a; Path=/"}, times=None)
    kept = session(connections=1)
    answer = kept.get(world.stack.exports.link(FIRST))
    assert "party" in answer.headers["Set-Cookie"]
    assert not kept.cookies


# --- re-issued exports --------------------------------------------------------------------------------------------

REISSUES = {
    "fewer files": {"before": shards(4, size=5000), "after": shards(2, size=5000)},
    "more files": {"before": shards(2, size=5000), "after": shards(4, size=5000)},
    "the same names with other bytes": {"before": shards(3, size=5000), "after": shards(3, mark="b", size=5000)},
    "one file changed": {"before": shards(3, size=5000), "after": shards(3, size=5000) | {FIRST: csv("z", 9000)}},
    "other names": {"before": shards(2, size=5000), "after": {"other-1.csv": csv("y", 100), "other-2.csv": b""}},
    "an empty file": {"before": shards(2, size=5000), "after": shards(2, size=5000) | {FIRST: b""}},
    "a file where an empty one was": {"before": {FIRST: b""}, "after": {FIRST: csv("a", 5000)}},
}


@pytest.mark.parametrize("issue", REISSUES.values(), ids=REISSUES)
def test_a_new_issue_is_taken_over_that_has(issue: dict[str, dict[str, bytes]], world: World) -> None:
    """Stale files go, the manifest fits, unchanged files are not copied again, and a further run writes nothing."""
    world.issue(issue["before"])
    assert world.call().status == 200
    before = {blob.name: blob.generation for blob in world.stack.client().list_blobs(world.stack.bucket, prefix=FOLDER)}
    world.issue(issue["after"])
    answer = world.call()
    assert (answer.status, only(answer)["status"]) == (200, "copied")
    world.check_right(issue["after"])
    same = [name for name, data in issue["after"].items() if issue["before"].get(name) == data]
    after = {blob.name: blob.generation for blob in world.stack.client().list_blobs(world.stack.bucket)}
    assert all(after[FOLDER + name] == before[FOLDER + name] for name in same)
    assert only(world.call())["status"] == "unchanged"
    assert {blob.name: blob.generation for blob in world.stack.client().list_blobs(world.stack.bucket)} == after


def test_a_changed_header_is_told(world: World) -> None:
    """Between the files of one period, and again nothing when all agree."""
    world.issue(shards(2, size=1000) | {FIRST: csv("a", 1000, header="settings_id,action,consent,country")})
    assert only(world.call())["columns_changed"] is True
    [warning] = [line for line in world.function.logs() if line["message"] == "columns_changed"][-1:]
    assert warning["severity"] == "WARNING"
    assert ["country"] in (warning["columns_added"], warning["columns_removed"])
    world.issue(shards(2, size=1000))
    assert only(world.call())["columns_changed"] is False


def test_files_of_somebody_else_in_deeper_folders_are_left_alone(world: World) -> None:
    """What stands right in the period's folder is the tool's to remove; what stands deeper, or beside it, is not."""
    world.issue(shards(1, size=1000))
    others = [FOLDER + "notes/readme.txt", "granular/daily/readme.txt", "elsewhere/x.csv", FOLDER]
    for name in others:
        world.put(name, b"not ours")
    world.put(FOLDER + "left-over.csv", b"of a run that was killed")
    assert world.call().status == 200
    names = {blob.name for blob in world.stack.client().list_blobs(world.stack.bucket)}
    assert names == {*others, FOLDER + FIRST, MANIFEST}


def test_an_object_that_stands_in_the_way_is_replaced(world: World) -> None:
    """Somebody put a file under the very name: it is compared, and replaced where it differs."""
    world.issue(shards(2, size=1000))
    world.put(FOLDER + FIRST, b"in the way")
    assert world.call().status == 200
    world.check_right()


def test_a_manifest_that_is_none_is_replaced(world: World) -> None:
    """Whatever stands where the manifest belongs, nearly right ones included."""
    world.issue(shards(1, size=1000))
    assert world.call().status == 200
    good = json.dumps(world.manifest())
    nearly = [
        good.replace('"size": ', '"size": "x", "n": '),
        good.replace('"columns": [', '"columns": [["x"], '),
        good.replace('"name": "', '"name": ["x"], "n": "'),
    ]
    for text in (b"", b"not json", b"{}", b"[]", b'{"aggregation": 1}', b"\xff", *map(str.encode, nearly)):
        world.put(MANIFEST, text)
        assert world.call(DAY | {"date": DAY["date"]}).status == 200
        world.check_right()


# --- odd inputs ---------------------------------------------------------------------------------------------------

ODD: dict[str, tuple[bytes, list[str]]] = {
    "an empty file": (b"", []),
    "a header alone": (b"a,b,c\n", ["a", "b", "c"]),
    "a header without a line end": (b"a,b,c", ["a", "b", "c"]),
    "Windows line ends": (b"a,b\r\n1,2\r\n", ["a", "b"]),
    "a byte order mark": ("\ufeffa,b\n1,2\n".encode(), ["a", "b"]),
    "quoted commas in the header": (b'"c,d","e""f"\n1,2,3\n', ["c,d", 'e"f']),
    "quoted line breaks in the header": (b'"a\nb","c"\n1,2\n', []),
    "a quote that is never closed": (b'a,"b\n' + b"1,2\n" * 200_000, []),
    "no header": (b"2022-04-01,1,0\n", []),
    "semicolons, UTF-16": ("\ufeffa;b\n1;2\n".encode("utf-16-le"), ["a", "b"]),
    "a first line of 1 MB": (b"x" * 1_000_000 + b",y\n1,2\n", []),
    "no line end in 5 MB": (b"x" * 5_000_000, []),
    "bytes that are no text": (bytes(range(256)) * 10, []),
    "broken gzip": (b"\x1f\x8b" + bytes(100), []),
    "one byte": (b"a", ["a"]),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_file_is_carried_faithfully_that_is_or_has(odd: tuple[bytes, list[str]], world: World) -> None:
    """The bytes are the source's; the manifest's columns are what a CSV reader makes of the first line, if it is a header."""
    data, columns = odd
    world.issue({FIRST: data})
    assert world.call().status == 200
    world.check_right()
    assert world.manifest()["columns"] == columns
    assert only(world.call())["status"] == "unchanged"


def test_columns_are_those_of_the_first_file_that_has_any(world: World) -> None:
    """Empty files come first now and then."""
    world.issue({"1.csv": b"", "2.csv": b"a,b\n1,2\n", "3.csv": b"a,b\n"})
    answer = world.call()
    assert only(answer)["columns_changed"] is False
    assert world.manifest()["columns"] == ["a", "b"]


@pytest.mark.timeout(180)
@pytest.mark.ours_only
def test_a_file_of_5_gib_is_carried_in_constant_memory(world: World) -> None:
    """The stand-in makes it up from one block; the function's memory does not grow with it."""
    size, block = 5 * 1024**3, b"a,b\n" * (1 << 20)
    world.stack.exports.put(PREFIX, {FIRST: (block for _ in range(size // len(block)))})
    world.whole |= {info.crc32c for info in world.stack.exports.files(PREFIX).values()}
    big = world.start(STALL_SECONDS="60")
    answer = world.call(function=big)
    assert (answer.status, only(answer)["bytes_copied"]) == (200, size)
    source = world.stack.exports.files(PREFIX)[FIRST]
    stored = world.stack.storage.objects(world.stack.bucket)[FOLDER + FIRST]
    assert (stored.size, stored.crc32c) == (source.size, source.crc32c)
    assert big.peak_rss_bytes() < 120 * 1024**2
    big.stop()
    world.stack.exports.remove(PREFIX)


# --- settings and rights ------------------------------------------------------------------------------------------

RIGHTS = {
    "to list": ({"where": "object.list"}, "storage.objects.list"),
    "to write a long file": ({"where": "upload.start"}, "storage.objects.create"),
    "to write a short file": ({"where": "object.insert", "name": FOLDER}, "storage.objects.create"),
    "to read": ({"where": "object.read"}, "storage.objects.get"),
    "to write the manifest": ({"where": "object.insert", "name": MANIFEST}, "storage.objects.create"),
}


@pytest.mark.ours_only
@pytest.mark.parametrize("right", RIGHTS.values(), ids=RIGHTS)
def test_a_missing_right_is_named(right: tuple[dict[str, str], str], world: World) -> None:
    """500 `misconfigured` names the permission and the bucket; when it is granted, the next call makes it right."""
    where, permission = right
    world.issue(shards(1, size=1000) | {"long.csv": csv("a", 1_100_000)})
    world.put(MANIFEST, b"no manifest")
    world.stack.faults.add(kind="status", status=403, times=None, **where)  # type: ignore[arg-type] # all are text
    answer = world.call()
    assert (answer.status, slug(answer)) == (500, "misconfigured")
    assert permission in str(answer.json()["detail"])
    world.stack.faults.clear()
    assert world.call().status == 200
    world.check_right()


@pytest.mark.ours_only
def test_without_the_right_to_delete_everything_else_is_done(world: World) -> None:
    """New files are there, the stale one stays, no manifest says that the period is complete."""
    world.issue(shards(2, size=1000))
    world.put(FOLDER + "stale.csv", b"of an earlier run")
    world.stack.faults.add("object.delete", "status", status=403, times=None)
    answer = world.call()
    assert (answer.status, slug(answer)) == (500, "misconfigured")
    assert "storage.objects.delete" in str(answer.json()["detail"])
    assert set(world.objects()) == {*shards(2), "stale.csv"}
    assert world.manifest() is None


def test_a_bucket_that_does_not_exist_is_named(world: World) -> None:
    """500 `misconfigured`."""
    lost = world.start(BUCKET="no-such-bucket-here")
    answer = world.call(function=lost)
    assert (answer.status, slug(answer)) == (500, "misconfigured")
    assert "no-such-bucket-here does not exist" in str(answer.json()["detail"])
    lost.stop()


SECRETS: dict[str, tuple[dict[str, str], str]] = {
    "does not exist": ({"API_KEY_SECRET": "projects/local/secrets/nowhere"}, "projects/local/secrets/nowhere"),
    "has no such version": ({"API_KEY_SECRET": f"{SECRET}/versions/99"}, "versions/99"),
    "is empty": ({"API_KEY_SECRET": "projects/local/secrets/empty"}, "secrets/empty"),
    "holds two lines": ({"API_KEY_SECRET": "projects/local/secrets/two-lines"}, "secrets/two-lines"),
}


@pytest.mark.parametrize("situation", SECRETS.values(), ids=SECRETS)
def test_the_secret_is_named_that(situation: tuple[dict[str, str], str], world: World) -> None:
    """500 `misconfigured`; nothing is asked of the export service."""
    env, named = situation
    world.stack.secrets.add_version("projects/local/secrets/empty", "\n")
    world.stack.secrets.add_version("projects/local/secrets/two-lines", "key\nX-Evil: 1")
    odd = world.start(**env)
    answer = world.call(function=odd)
    assert (answer.status, slug(answer)) == (500, "misconfigured")
    assert named in str(answer.json()["detail"])
    assert "X-Evil" not in answer.text + odd.output()
    assert world.stack.exports.requests.count() == 0
    odd.stop()


@pytest.mark.parametrize(
    ("status", "expected"),
    [("PERMISSION_DENIED", (500, "misconfigured")), ("UNAVAILABLE", (503, "upstream-unavailable"))],
)
def test_a_secret_that_cannot_be_read_is_told(status: str, expected: tuple[int, str], world: World) -> None:
    """Denied is for the operator; unavailable is for a later call, and is not remembered."""
    world.issue(shards(1, size=1000))
    cold = world.start()
    world.stack.faults.add("secret.access", "status", status=status, times=None)
    answer = world.call(function=cold)
    assert (answer.status, slug(answer)) == expected
    world.stack.faults.clear()
    wait_for(lambda: world.call(function=cold).status == 200)
    cold.stop()


def test_a_secret_that_is_unavailable_for_a_moment_is_waited_for(world: World) -> None:
    """The retries of one read."""
    world.issue(shards(1, size=1000))
    cold = world.start()
    world.stack.faults.add("secret.access", "status", status="UNAVAILABLE", times=2)
    assert world.call(function=cold).status == 200
    cold.stop()


def test_an_object_prefix_keeps_everything_below_it(world: World) -> None:
    """For a bucket that is shared: nothing is written, listed or removed beside the prefix."""
    world.issue(shards(2, size=1000))
    world.put(FOLDER + "somebody-elses.csv", b"stays")
    prefixed = world.start(OBJECT_PREFIX="consent/usercentrics/")
    assert world.call(function=prefixed).status == 200
    names = {blob.name for blob in world.stack.client().list_blobs(world.stack.bucket)}
    assert names == {
        FOLDER + "somebody-elses.csv",
        *(f"consent/usercentrics/{FOLDER}{name}" for name in shards(2)),
        f"consent/usercentrics/{MANIFEST}",
    }
    manifest = world.manifest(f"consent/usercentrics/{MANIFEST}")
    assert json.dumps(manifest).count("consent/usercentrics/granular/") == 2
    prefixed.stop()
