"""What can go wrong between a link and its object. Each row: what happens -> how the run ends."""

import gzip
from dataclasses import dataclass, field
from typing import Any

import pytest

from analytics_export.retries import TRIES_WITHOUT_PROGRESS
from tests.support.requests_and_answers import DAY, FOLDER, MANIFEST, PREFIX, SPAN, exports, only, slug
from tests.support.source_files import crc32c, shards
from tests.support.world import World, wait_for

pytestmark = pytest.mark.ours_only

SOME = 1_000_000
RESET: dict[str, Any] = {"where": "link.get", "kind": "reset", "after_bytes": SOME}
NO_HASH: dict[str, Any] = {"where": "link.get", "kind": "drop_headers", "headers": {"x-goog-hash": ""}, "times": None}
NO_LENGTH: dict[str, Any] = {
    "where": "link.get",
    "kind": "drop_headers",
    "headers": {"content-length": "", "x-goog-stored-content-length": ""},
    "times": None,
}


@dataclass
class Situation:
    """Faults set before the call; `slug` is the problem's type, None where the run must recover by itself."""

    name: str
    faults: list[dict[str, Any]] = field(default_factory=list)
    slug: str | None = None


def source(name: str, slug: str | None = None, **fault: Any) -> Situation:
    return Situation(name, [{"where": "link.get"} | fault], slug)


def bucket(name: str, where: str, slug: str | None = None, **fault: Any) -> Situation:
    return Situation(name, [{"where": where} | fault], slug)


SOURCE = [
    source("the source resets connections in the middle of the body", kind="reset", after_bytes=SOME, times=5),
    source("the source resets connections before it answers", kind="reset", times=5),
    source("the source closes connections cleanly but early", kind="close", after_bytes=SOME, times=5),
    source("the source stalls without closing", kind="stall", after_bytes=SOME, seconds=50, times=2),
    source("the source stalls before it answers", kind="stall", seconds=50, times=2),
    source("the source breaks off in the middle of its headers", kind="cut_head", times=3),
    source("the source answers 500", kind="status", status=500, times=3),
    source("the source answers 503", kind="status", status=503, times=3),
    source("the source answers 429 with Retry-After", kind="status", status=429, headers={"Retry-After": "1"}),
    source("the source answers 503 with an HTTP date in Retry-After", kind="status", status=503,
           headers={"Retry-After": "Fri, 01 Apr 2022 00:00:00 GMT"}),
    source("the source is down", "upstream-unavailable", kind="status", status=503, times=None),
    source("the source asks to wait for an hour", "upstream-unavailable", kind="status", status=429,
           headers={"Retry-After": "3600"}, times=None),
    Situation("the source ignores Range", [RESET, {"where": "link.get", "kind": "ignore_range", "times": None}]),
    Situation("the source answers 206 from the wrong byte", [RESET, {"where": "link.get", "kind": "wrong_start"}]),
    Situation("the source always answers 206 from the wrong byte",
              [RESET, {"where": "link.get", "kind": "wrong_start", "times": None}]),
    Situation("the source answers 206 from an earlier byte",
              [RESET, {"where": "link.get", "kind": "wrong_start", "shift": -7, "times": None}]),
    Situation("the source sends no checksum", [NO_HASH]),
    Situation("the source sends no checksum and breaks off", [RESET, NO_HASH]),
    Situation("the source sends no length", [NO_LENGTH]),
    Situation("the source sends no length and closes early once",
              [{"where": "link.get", "kind": "close", "after_bytes": SOME, "times": 1}, NO_LENGTH]),
    Situation("the source sends neither checksum nor length", [NO_HASH, NO_LENGTH], "integrity"),
    source("the source sends a wrong checksum once", kind="wrong_hash"),
    source("the source sends a wrong checksum always", "integrity", kind="wrong_hash", times=None),
    source("the source sends a wrong byte once", kind="wrong_bytes", after_bytes=SOME),
    source("the source sends a wrong byte always", "integrity", kind="wrong_bytes", after_bytes=SOME, times=None),
    source("the source announces too many bytes once", kind="wrong_length", shift=9),
    source("the source announces too few bytes once", kind="wrong_length", shift=-9),
    source("the source compresses the body in transit", "integrity", kind="set_headers",
           headers={"Content-Encoding": "gzip"}, times=None),
    source("the source redirects", "link-refused", kind="redirect",
           headers={"Location": "http://127.0.0.1:9/elsewhere"}, times=None),
    source("a link is refused once", kind="status", status=403),
    source("a link is refused always", "export-service-error", kind="status", status=403, times=None),
    source("a link is not found always", "export-service-error", kind="status", status=404, times=None),
    source("a link answers 400 without a reason", "export-service-error", kind="status", status=400,
           body="<Error><Code>InvalidArgument</Code></Error>", times=None),
    source("a link has expired once", kind="status", status=400, body="<Error><Code>ExpiredToken</Code></Error>"),
    source("every link has always expired", "upstream-unavailable", kind="status", status=400,
           body="<Error><Code>ExpiredToken</Code></Error>", times=None),
]  # fmt: skip

CLOUD_STORAGE = [
    bucket("an upload is reset and nothing was kept", "upload.put", kind="reset", after_bytes=SOME, keep_bytes=0, times=3),
    bucket("an upload is reset and some was kept", "upload.put", kind="reset", after_bytes=2 * SOME, keep_bytes=SOME,
           times=3),
    bucket("an upload is reset and all that came was kept", "upload.put", kind="reset", after_bytes=SOME, times=3),
    bucket("an upload keeps only a part and says so", "upload.put", kind="keep", keep_bytes=SOME, times=3),
    bucket("an upload stalls", "upload.put", kind="stall", after_bytes=SOME, seconds=50, times=2),
    bucket("the answer to an upload breaks off in its headers", "upload.put", kind="cut_head", times=3),
    bucket("an upload gets 503", "upload.put", kind="status", status=503, times=3),
    bucket("an upload gets 507", "upload.put", kind="status", status=507, times=3),
    bucket("an upload gets 429 with Retry-After", "upload.put", kind="status", status=429, headers={"Retry-After": "1"}),
    bucket("uploads always get 503", "upload.put", "upstream-unavailable", kind="status", status=503, times=None),
    bucket("the status of an upload is unavailable at first", "upload.*", kind="status", status=503, skip=3, times=4),
    bucket("a session is lost with 404", "upload.put", kind="lose_session", status=404, times=2),
    bucket("a session is lost with 410", "upload.put", kind="lose_session", status=410, times=2),
    Situation("a session is lost after a reset", [
        {"where": "upload.put", "kind": "reset", "after_bytes": SOME},
        {"where": "upload.status", "kind": "lose_session", "status": 404},
    ]),
    bucket("an upload is committed and the answer is lost", "upload.put", kind="lose_answer", times=3),
    Situation("an upload is committed, the answer is lost, and then the session", [
        {"where": "upload.put", "kind": "lose_answer"},
        {"where": "upload.status", "kind": "lose_session", "status": 410},
    ]),
    bucket("sessions cannot be started at first", "upload.start", kind="status", status=503, times=3),
    bucket("the answer to the start of a session is lost", "upload.start", kind="lose_answer", times=2),
    bucket("sessions can never be started", "upload.start", "upstream-unavailable", kind="status", status=503, times=None),
    bucket("a listing of the bucket breaks off in its headers", "object.list", kind="cut_head", times=3),
    bucket("listing the bucket fails at first", "object.list", kind="status", status=503, times=3),
    bucket("listing the bucket always fails", "object.list", "upstream-unavailable", kind="status", status=500, times=None),
    bucket("the manifest is refused at first", "object.insert", kind="status", status=503, times=3),
    bucket("the connection breaks at the manifest", "object.insert", kind="reset", times=3),
    bucket("the manifest is written and the answer is lost", "object.insert", kind="lose_answer"),
    bucket("Cloud Storage is down at the manifest", "object.insert", "upstream-unavailable", kind="status", status=503,
           times=None),
    bucket("Cloud Storage refuses the declared checksum", "upload.put", "integrity", kind="status", status=400,
           times=None),
]  # fmt: skip


SHORT = "object.insert"
SHORT_FILES = [
    bucket("a short upload is reset", SHORT, kind="reset", times=3),
    bucket("a short upload's connection is closed early", SHORT, kind="close", times=3),
    bucket("a short upload stalls", SHORT, kind="stall", seconds=50, times=2),
    bucket("a short upload gets 503", SHORT, kind="status", status=503, times=3),
    bucket("a short upload gets 507", SHORT, kind="status", status=507, times=3),
    bucket("a short upload gets 429 with Retry-After", SHORT, kind="status", status=429, headers={"Retry-After": "1"}),
    bucket("short uploads always get 503", SHORT, "upstream-unavailable", kind="status", status=503, times=None),
    bucket("a short upload is committed and the answer is lost", SHORT, kind="lose_answer", times=3),
    bucket("the answer to a short upload breaks off in its headers", SHORT, kind="cut_head", times=3),
    bucket("Cloud Storage refuses the declared checksum of a short file", SHORT, "integrity", kind="status", status=400,
           times=None),
    Situation("a short upload is committed, the answer is lost, and then the stat fails", [
        {"where": SHORT, "kind": "lose_answer"},
        {"where": "object.get", "kind": "status", "status": 503, "times": 2},
    ]),
]  # fmt: skip
"""Faults of single-request uploads; the manifest is written the same way and has rows of its own."""


@dataclass(frozen=True)
class Way:
    """One way to request the period, and the size of its files."""

    size: int
    """Of each file; files larger than 1 MiB are written in a session."""
    body: dict[str, Any]


REFRESHED = SPAN | {"refresh": True}
ALONE, IN_A_SPAN, SHORT_ALONE, SHORT_IN_A_SPAN = (
    Way(3 * SOME, DAY), Way(3 * SOME, REFRESHED), Way(60_000, DAY), Way(60_000, REFRESHED)
)  # fmt: skip
ROWS = [
    *(pytest.param(each, way, id=f"{each.name}{suffix}")
      for way, suffix in ((ALONE, ""), (IN_A_SPAN, ", in a span"))
      for each in SOURCE + CLOUD_STORAGE),
    *(pytest.param(each, way, id=f"{each.name}{suffix}")
      for way, suffix in ((SHORT_ALONE, ", short files"), (SHORT_IN_A_SPAN, ", short files in a span"))
      for each in SHORT_FILES),
    *(pytest.param(each, SHORT_ALONE, id=f"{each.name}, short files") for each in SOURCE),
]  # fmt: skip


def within_the_period(fault: dict[str, Any], way: Way) -> dict[str, Any]:
    """The fault, for the period's files only, and at bytes that short files have too."""
    if "name" not in fault:
        fault = fault | {"name": FOLDER if fault["where"] == SHORT and way.size < SOME else "2022-04-01"}
    offsets = {key: fault[key] * way.size // (3 * SOME) for key in ("after_bytes", "keep_bytes") if key in fault}
    return fault | offsets


@pytest.mark.parametrize(("situation", "way"), ROWS)
def test_the_bucket_is_right_afterwards_when(situation: Situation, way: Way, world: World) -> None:
    """Either the run recovers by itself, or it reports the error and a later run completes the period.

    In a span the periods before and after it are copied in any case.
    """
    world.issue(shards(size=way.size))
    for fault in situation.faults:
        world.stack.faults.add(**within_the_period(fault, way))
    answer = world.call(way.body)
    assert world.stack.faults.fired
    assert answer.seconds < 40
    if way.body is REFRESHED:
        before, _, after = exports(answer)
        assert (before["status"], after["status"]) == ("copied", "copied")
    if situation.slug is None:
        assert (answer.status, answer.json().get("detail")) == (200, None)
    else:
        assert slug(answer) == situation.slug
        assert answer.status == (503 if situation.slug == "upstream-unavailable" else 502)
        assert ("Retry-After" in answer.headers) == (answer.status == 503)
        assert world.manifest() is None
        world.stack.faults.clear()
        assert world.call(way.body).status == 200
    world.check_right()


@pytest.mark.parametrize("situation", SOURCE, ids=lambda situation: situation.name)
def test_a_new_issue_replaces_files_whole_or_not_at_all_when(situation: Situation, world: World) -> None:
    """While no file is replaced, the manifest stays too."""
    world.issue(shards(mark="old"))
    assert world.call().status == 200
    before = world.objects()
    world.issue(shards(mark="new"))
    for fault in situation.faults:
        world.stack.faults.add(**fault)
    answer = world.call()
    if situation.slug is None:
        assert answer.status == 200
        world.check_right()
    else:
        assert answer.status >= 500
        assert world.objects() == before
        world.check_manifest()


def test_a_retry_after_beyond_our_own_limit_is_passed_on(world: World) -> None:
    world.issue(shards(1))
    world.stack.faults.add("link.get", "status", status=429, headers={"Retry-After": "3600"}, times=None)
    assert world.call().headers["Retry-After"] == "3600"


def test_a_service_is_not_called_again_before_its_retry_after(world: World) -> None:
    """A Retry-After from the export service, the source or Cloud Storage."""
    for where, size in {
        "export.list": 1000,
        "link.get": 1000,
        "object.insert": 1000,
        "upload.start": 3 * SOME,
        "upload.put": 3 * SOME,
    }.items():
        world.issue(shards(1, mark=where, size=size))
        world.stack.faults.add(where, "status", status=429, headers={"Retry-After": "1"})
        answer = world.call()
        assert (where, answer.status, 1 <= answer.seconds < 3) == (where, 200, True)


def test_the_listing_is_requested_once_when_all_links_have_expired(world: World) -> None:
    """Four copies find their links expired at the same moment: one requests the listing, all use the new links."""
    world.issue(shards(4, size=600_000))
    world.stack.faults.add("link.get", "delay", seconds=0.5, times=4)
    world.stack.faults.add("link.get", "status", status=400, body="<Code>ExpiredToken</Code>", times=4)
    assert world.call().status == 200
    assert world.stack.faults.fired["link.get status"] == 4
    world.check_right()
    assert world.stack.exports.requests.count("export.list") == 2


def test_links_that_expire_while_files_wait_are_renewed_before_use(world: World) -> None:
    """Four of sixteen files are being copied when every link expires: the twelve that wait cost one more listing."""
    world.issue(shards(16, size=600_000))
    hold = world.stack.faults.add("link.get", "hold", after_bytes=300_000, times=4)
    running = world.call_in_background()
    wait_for(lambda: world.requests("link.get") == 4)
    hold.wait_until_reached()
    world.stack.storage.links.expire_all()
    hold.release()
    assert running.result().status == 200
    world.check_right()
    assert world.stack.exports.requests.count("export.list") == 2


def test_a_source_without_range_costs_no_second_upload(world: World) -> None:
    """The bytes that it sends again are skipped; the upload continues where it was."""
    world.issue(shards(1))
    world.stack.faults.add(**RESET)
    world.stack.faults.add("link.get", "ignore_range", times=None)
    assert world.call().status == 200
    world.check_right()
    assert (world.requests("upload.start"), world.requests("upload.put")) == (1, 1)


def test_a_copy_continues_with_a_renewed_link_where_it_stopped(world: World) -> None:
    """An expired link in the middle of a file costs the rest of the file, not all of it."""
    world.issue(shards(1))
    world.stack.faults.add("link.get", "reset", after_bytes=2 * SOME, call=None)
    world.stack.faults.add("link.get", "status", status=400, body="<Code>ExpiredToken</Code>", skip=1)
    assert world.call().status == 200
    world.check_right()
    assert [each.range.split("=")[0] for each in world.stack.storage.requests.of("link.get")] == ["", "bytes", "bytes"]
    assert world.requests("upload.start") == 1


def test_a_file_that_a_renewed_listing_leaves_out_is_not_copied(world: World) -> None:
    """The export was issued again with fewer files while links expired."""
    world.issue(shards(3))

    def issue_again(_request: object) -> None:
        world.issue(shards(2))
        world.stack.storage.links.expire_all()

    world.stack.faults.add("link.get", "call", name="000000000002", call=issue_again)
    assert world.call().status == 200
    world.check_right(shards(2))


def test_a_file_replaced_between_two_requests_is_started_again(world: World) -> None:
    """The first half of one version is never joined to the second half of another."""
    world.issue(shards(1, mark="first"))
    world.stack.faults.add("link.get", "call", skip=1, call=lambda _request: world.issue(shards(1, mark="later")))
    world.stack.faults.add("link.get", "reset", after_bytes=SOME)
    assert world.call().status == 200
    world.check_right(shards(1, mark="later"))


def test_a_file_that_keeps_changing_fails_and_leaves_no_object(world: World) -> None:
    versions = iter(range(10_000))
    world.stack.faults.add(
        "link.get", "call", times=None, call=lambda _r: world.issue(shards(1, mark=f"v{next(versions)}-"))
    )
    world.stack.faults.add("link.get", "reset", after_bytes=SOME, times=None)
    world.issue(shards(1))
    answer = world.call()
    assert (answer.status, slug(answer)) == (503, "upstream-unavailable")
    assert world.objects() == {}


def test_a_source_that_sends_a_little_each_time_is_copied_completely(world: World) -> None:
    """Progress resets the retries: there may be more interruptions than tries."""
    world.issue(shards(1, size=6 * SOME))
    world.stack.faults.add("link.get", "reset", after_bytes=300_000, times=None)
    assert world.call().status == 200
    world.check_right()
    assert world.stack.faults.fired["link.get reset"] > 15


def test_bytes_before_an_interruption_are_kept_even_if_they_are_less_than_a_block(world: World) -> None:
    """Each connection delivers 200 kB and is reset; each makes progress."""
    world.issue(shards(1, size=2 * SOME))
    world.stack.faults.add("link.get", "reset", after_bytes=200_000, times=None)
    assert world.call().status == 200
    world.check_right()


@pytest.mark.parametrize("content_range", ["bytes 0-0/*", "nonsense"])
def test_a_source_with_a_useless_content_range_is_compared_without_range(content_range: str, world: World) -> None:
    """A comparison requests one byte; where the answer is unusable, it sends a plain GET."""
    world.issue(shards(2, size=1000))
    assert world.call().status == 200
    world.stack.faults.add("link.get", "set_headers", headers={"Content-Range": content_range}, times=None)
    assert only(world.call())["status"] == "unchanged"


def test_one_bad_file_does_not_prevent_copying_the_others(world: World) -> None:
    """Even where one file is copied at a time."""
    world.issue(shards(3, size=1000))
    world.stack.faults.add("link.get", "status", status=503, name="000000000000", times=None)
    answer = world.call(function=world.shared(PARALLEL_TRANSFERS="1"))
    assert (answer.status, slug(answer)) == (503, "upstream-unavailable")
    assert set(world.objects()) == set(shards(3)) - {f"{PREFIX}-000000000000.csv"}


def test_a_gzip_file_is_stored_compressed_as_the_source_has_it(world: World) -> None:
    """The compressed bytes, the encoding and the type are the source's; columns are read from the decompressed text."""
    compressed = gzip.compress(b"settings_id,action,consent\n" + b"x,0,1\n" * 200_000, compresslevel=0)
    world.issue(
        {f"{PREFIX}-000000000000.csv": compressed}, content_encoding="gzip", content_type="text/csv; charset=utf-8"
    )
    world.stack.faults.add("link.get", "reset", after_bytes=SOME)
    assert world.call().status == 200
    world.check_right({f"{PREFIX}-000000000000.csv": compressed})
    [blob] = world.stack.client().list_blobs(world.stack.bucket, prefix="granular/")
    assert (blob.content_encoding, blob.content_type) == ("gzip", "text/csv; charset=utf-8")
    assert world.manifest()["columns"] == ["settings_id", "action", "consent"]


def test_a_file_that_another_writer_changes_during_its_upload_ends_as_the_source_has_it(world: World) -> None:
    """412 at the end of an upload: the run compares the whole period again."""
    world.issue(shards())
    world.whole.add(crc32c(b"a,b\n1,2\n"))
    world.stack.faults.add("upload.finish", "overwrite", body=b"a,b\n1,2\n", times=2)
    answer = world.call()
    assert (answer.status, only(answer)["status"]) == (200, "copied")
    world.check_right()


def test_a_refused_upload_whose_answer_is_lost_ends_as_the_source_has_it(world: World) -> None:
    """412 at the end of an upload, and the answer is lost: the session is gone (499), and a new one gets the 412 again."""
    world.issue(shards(1))
    world.whole.add(crc32c(b"a,b\n1,2\n"))
    world.stack.faults.add("upload.finish", "overwrite", body=b"a,b\n1,2\n")
    world.stack.faults.add("upload.put", "lose_answer")
    assert world.call().status == 200
    world.check_right()


def test_a_file_that_another_writer_changes_before_its_upload_ends_as_the_source_has_it(world: World) -> None:
    """412 at the start of an upload."""
    world.issue(shards())
    world.whole.add(crc32c(b"a,b\n1,2\n"))
    world.stack.faults.add("upload.start", "overwrite", body=b"a,b\n1,2\n", times=2)
    assert world.call().status == 200
    world.check_right()


def test_a_manifest_that_another_run_writes_first_is_left_alone(world: World) -> None:
    """412 at the manifest: the run compares the period again, and a manifest that matches stays."""
    world.issue(shards())
    other = world.shared(instance=2)
    hold = world.stack.faults.add("object.insert", "hold", name=MANIFEST)
    running = world.call_in_background()
    hold.wait_until_reached()
    assert world.call(function=other).status == 200
    written = world.stack.storage.objects(world.stack.bucket)[MANIFEST].generation
    hold.release()
    assert running.result().status == 200
    assert world.stack.storage.objects(world.stack.bucket)[MANIFEST].generation == written
    world.check_right()


def test_a_source_that_is_down_is_not_retried_for_every_file(world: World) -> None:
    """After as many failures in a row as files are copied at once, the circuit opens."""
    world.issue(shards(40, size=1000))
    world.stack.faults.add("link.get", "status", status=503, times=None)
    answer = world.call()
    assert (answer.status, slug(answer)) == (503, "upstream-unavailable")
    assert world.requests("link.get") < 40 * TRIES_WITHOUT_PROGRESS / 2
