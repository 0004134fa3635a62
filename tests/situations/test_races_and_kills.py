"""Two runs at once, killed instances, deadlines: the bucket ends as the source has it."""

import json
import os
import signal
import time
from typing import Any

import pytest

from local.stack import Stack
from tests.support.functions import ScannedFunction
from tests.support.requests_and_answers import DAY, FOLDER, MANIFEST, PREFIX, SPAN, exports, only, slug
from tests.support.source_files import MB, shards
from tests.support.world import World, wait_for

pytestmark = pytest.mark.ours_only

STAGES: dict[str, dict[str, Any]] = {
    "before it has listed the manifests": {"where": "object.list", "name": "manifests/"},
    "before it has listed the bucket": {"where": "object.list", "name": FOLDER},
    "before it has requested the listing": {"where": "export.list", "name": "2022-04-01"},
    "before it has opened a link": {"where": "link.get", "name": f"{PREFIX}-000000000001"},
    "in the middle of reading a file": {
        "where": "link.get",
        "name": f"{PREFIX}-000000000001",
        "after_bytes": 1_000_000,
    },
    "before it has begun an upload": {"where": "upload.start", "name": f"{PREFIX}-000000000001"},
    "in the middle of an upload": {"where": "upload.put", "name": f"{PREFIX}-000000000001", "after_bytes": 1_000_000},
    "just before an upload becomes visible": {"where": "upload.finish", "name": f"{PREFIX}-000000000001"},
    "before it has listed the bucket again": {"where": "object.list", "name": FOLDER, "skip": 1},
    "before it has written the manifest": {"where": "object.insert", "name": MANIFEST},
}
OVERLAPS = {
    "the day twice": (DAY, DAY),
    "the span twice": (SPAN, SPAN),
    "a span and then the day": (SPAN, DAY),
    "the day and then a span": (DAY, SPAN),
}
"""The requests of the first and of the second run."""


@pytest.fixture
def other(world: World) -> ScannedFunction:
    """A second instance of the function, which knows nothing of the first."""
    return world.shared(instance=2)


@pytest.mark.parametrize("size", [3 * MB, 60_000], ids=["long files", "short files"])
@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("stage", STAGES)
def test_two_overlapping_runs_of_equal_content_both_succeed(
    stage: str, overlap: str, size: int, world: World, other: ScannedFunction
) -> None:
    """One run is held at a stage while another runs from start to end; then the first continues."""
    world.issue(shards(size=size))
    hold = world.stack.faults.add(kind="hold", **STAGES[stage] | in_one_request(stage, size))
    first_body, second_body = OVERLAPS[overlap]
    first = world.call_in_background(body=first_body)
    hold.wait_until_reached()
    second = world.call_in_background(other, second_body)
    wait_for(lambda: second.done() or len(world.objects()) >= 2, timeout_s=10)
    hold.release()
    assert (first.result().status, second.result().status) == (200, 200)
    world.check_right()


def in_one_request(stage: str, size: int) -> dict[str, Any]:
    """How the fault of a stage differs for files that are written in one request."""
    if size >= MB or ("after_bytes" not in STAGES[stage] and "upload" not in stage):
        return {}
    if "reading" in stage:
        return {"after_bytes": 20_000}
    return {"where": "object.insert", "name": FOLDER + ".*000000000001", "after_bytes": None}


@pytest.mark.parametrize("body", [DAY, SPAN | {"refresh": True}], ids=["a day", "a span"])
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("change", ["other bytes", "fewer files", "more files"])
def test_a_run_that_began_before_a_new_issue_ends_with_the_new_files(
    stage: str, change: str, body: dict[str, object], world: World, other: ScannedFunction
) -> None:
    """Another run copies the new issue meanwhile; both succeed."""
    world.manifests_may_lag = True
    world.issue(shards(3, mark="old"))
    hold = world.stack.faults.add(kind="hold", **STAGES[stage])
    first = world.call_in_background(body=body)
    hold.wait_until_reached()
    world.issue(shards({"other bytes": 3, "fewer files": 2, "more files": 5}[change], mark="new"))
    second = world.call_in_background(other, body).result()
    hold.release()
    assert [answer.json().get("detail") for answer in (first.result(), second)] == [None, None]
    world.check_right()


def test_a_file_that_was_stale_and_is_listed_again_is_not_removed(world: World, other: ScannedFunction) -> None:
    """While one run is about to remove it, a new issue lists it again and another run copies it."""
    world.issue(shards(3, mark="old"))
    assert world.call().status == 200
    world.issue(shards(2, mark="old"))
    hold = world.stack.faults.add("object.delete", "hold", name="000000000002")
    first = world.call_in_background()
    hold.wait_until_reached()
    world.issue(shards(3, mark="new"))
    assert world.call(function=other).status == 200
    hold.release()
    assert first.result().status == 200
    world.check_right()


@pytest.mark.parametrize("attempt", range(6))
def test_two_runs_that_start_together_both_succeed(attempt: int, world: World, other: ScannedFunction) -> None:
    """Neither is held; repeated, as the timing varies."""
    world.issue(shards(6, mark=f"try{attempt}", size=400_000))
    first, second = world.call_in_background(), world.call_in_background(other)
    assert (first.result().status, second.result().status) == (200, 200)
    world.check_right()


def test_two_runs_of_different_content_leave_the_content_of_one(world: World) -> None:
    """Two instances always get different files for one period: the bucket has the files of one, never a mixture."""
    world.manifests_may_lag = True
    world.issue(shards(4, mark="ours", size=300_000))
    with Stack() as elsewhere:
        theirs = shards(3, mark="theirs", size=300_000)
        elsewhere.exports.put("granular-2022-04-01", theirs)
        world.whole |= {info.crc32c for info in elsewhere.exports.files("granular-2022-04-01").values()}
        env = {name: elsewhere.function_env()[name] for name in ("EXPORT_SERVICE_URL", "DOWNLOAD_ORIGINS")}
        rival = world.start(**env)
        for _ in range(3):
            first, second = world.call_in_background(), world.call_in_background(rival)
            statuses = sorted([first.result().status, second.result().status])
            assert statuses[0] == 200
            assert world.objects() in (theirs, world.source())
            world.check_manifest()
        rival.stop()


@pytest.mark.parametrize("body", [DAY, SPAN], ids=["a day", "a span"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_is_finished_by_the_next(stage: str, body: dict[str, object], world: World) -> None:
    """After SIGKILL the next run completes the period, and does not copy again what is stored."""
    world.issue(shards())
    victim = world.start()
    hold = world.stack.faults.add(kind="hold", **STAGES[stage])
    running = world.pool.submit(_ignoring_errors, world, victim, body)
    hold.wait_until_reached()
    wait_for(lambda: _is_stable(world))
    victim.kill()
    hold.release()
    running.result()
    wait_for(lambda: _is_stable(world))  # bytes that have arrived may still become visible
    done = set(world.objects())
    world.forget_requests()
    assert world.call(body).status == 200
    world.check_right()
    again = {request.name.removeprefix(FOLDER) for request in world.stack.storage.requests.of("upload.put")}
    assert again == set(shards()) - done


def test_a_run_finishes_after_sigterm(world: World) -> None:
    """After SIGTERM (the platform allows ten seconds) the run in progress completes, and a later run copies nothing."""
    world.issue(shards())
    victim = world.start()
    hold = world.stack.faults.add("upload.put", "hold", after_bytes=1_000_000)
    running = world.call_in_background(victim)
    hold.wait_until_reached()
    os.kill(victim.pid, signal.SIGTERM)
    hold.release()
    assert running.result(timeout=10).status == 200
    world.check_right()
    assert only(world.call())["status"] == "unchanged"


def _ignoring_errors(world: World, victim: ScannedFunction, body: dict[str, object]) -> None:
    try:
        world.call(body, victim)
    except OSError:
        return


def _is_stable(world: World) -> bool:
    """No file has been added for 0.15 s: the run waits for the one that a fault holds."""
    before = set(world.objects())
    time.sleep(0.15)
    return before == set(world.objects())


def test_calls_in_a_row_with_a_short_deadline_complete_the_period(world: World) -> None:
    """Each answers 503 `deadline` and makes progress; no file is copied twice."""
    files = shards(28, size=400_000)
    world.issue(files)
    world.stack.faults.add("link.get", "throttle", bytes_per_s=800_000, times=None)
    hurried = world.shared(DEADLINE_SECONDS="1", PARALLEL_TRANSFERS="4")
    counts = [0]
    while (answer := world.call(function=hurried)).status != 200:
        assert (answer.status, slug(answer)) == (503, "deadline")
        assert int(answer.headers["Retry-After"]) > 0
        export = only(answer, 503)
        assert (export["status"], export["error"]["type"]) == ("incomplete", "deadline")
        assert world.manifest() is None
        counts.append(len(world.objects()))
        assert counts[-1] > counts[-2]
    world.check_right()
    assert len(counts) > 2
    assert sorted(world.full_reads()) == sorted(f"local-analytics-id/{name}" for name in files)


def test_after_the_deadline_no_further_period_is_started(world: World) -> None:
    """Periods that were not reached are reported as incomplete; the first one always makes progress."""
    hurried = world.shared(DEADLINE_SECONDS="0.001")
    span = {"aggregation": "granular", "frequency": "daily", "from": "2022-05-01", "to": "2022-05-03"}
    files = 0
    for _ in range(3):
        answer = world.call(span, hurried)
        assert (answer.status, slug(answer)) == (503, "deadline")
        assert [export["status"] for export in exports(answer)][1:] == ["incomplete"] * 2
        files, before = len(world.objects("granular/daily/")), files
        assert files > before
    assert world.stack.exports.requests.count("export.list") == 3


def test_stored_files_may_be_compared_after_the_deadline(world: World) -> None:
    """A period whose files are all stored completes, however slow the comparison is."""
    world.issue(shards(12, size=1000))
    assert world.call().status == 200
    world.delete(MANIFEST)
    world.stack.faults.add("link.get", "delay", seconds=0.5, times=None)
    answer = world.call(function=world.shared(DEADLINE_SECONDS="1", PARALLEL_TRANSFERS="2"))
    assert answer.status == 200
    world.check_right()


def test_every_call_of_a_span_makes_progress_however_little_time_it_has(world: World) -> None:
    """Skipping complete periods is no progress: each call continues with the first incomplete one."""
    world.issue(shards(3, size=1000))
    hurried = world.shared(DEADLINE_SECONDS="0.001")
    seen = 0
    for _ in range(20):
        answer = world.call(SPAN, hurried)
        if answer.status == 200:
            break
        files = len(world.objects("granular/daily/"))
        assert files > seen
        seen = files
    assert [export["status"] for export in exports(answer)][:2] == ["complete", "complete"]
    assert answer.status == 200


def test_a_late_delete_of_a_manifest_does_not_remove_a_newer_one(world: World) -> None:
    """The bucket delays the DELETE beyond STALL_SECONDS; the run sends it again and writes its manifest meanwhile."""
    world.issue(shards(1, mark="old", size=1000))
    assert world.call().status == 200
    world.issue(shards(1, mark="new", size=1000))
    late = world.stack.faults.add("object.delete", "hold", name=MANIFEST)
    assert world.call().status == 200
    late.release()
    time.sleep(0.3)
    world.check_right()


def test_every_call_makes_progress_though_the_listing_outlasts_the_deadline(world: World) -> None:
    """At least one file per call."""
    world.issue(shards(3, size=1000))
    world.stack.faults.add("export.list", "delay", seconds=0.5, times=None)
    hurried = world.shared(DEADLINE_SECONDS="0.3")
    assert [world.call(function=hurried).status for _ in range(3)] == [503, 503, 200]
    world.check_right()


def test_the_manifest_of_a_slower_run_does_not_outlive_the_files_it_names(world: World, other: ScannedFunction) -> None:
    """One run has compared for the last time and is about to write its manifest; another has replaced the files."""
    world.manifests_may_lag = True
    world.issue(shards(2, mark="old"))
    assert world.call().status == 200
    world.delete(MANIFEST)
    manifest = world.stack.faults.add("object.insert", "hold", name=MANIFEST)
    slower = world.call_in_background()
    manifest.wait_until_reached()
    world.issue(shards(2, mark="new"))
    faster = world.call_in_background(other)
    wait_for(lambda: world.objects() == shards(2, mark="new"))
    manifest.release()
    assert (slower.result().status, faster.result().status) == (200, 200)
    world.check_right()


def test_a_manifest_is_not_restored_while_an_abandoned_upload_may_still_finish(world: World) -> None:
    """Cloud Storage finishes the abandoned upload later; a restored manifest would then be wrong."""
    world.issue(shards(1, mark="old"))
    assert world.call().status == 200
    world.issue(shards(1, mark="new"))
    late = world.stack.faults.add("upload.finish", "hold")
    world.stack.faults.add("upload.status", "status", status=503, times=None)
    world.stack.faults.add("upload.cancel", "status", status=503, times=None)
    assert slug(world.call()) == "upstream-unavailable"
    assert world.manifest() is None
    late.release()
    world.stack.faults.clear()
    wait_for(
        lambda: (
            world.call(
                {"aggregation": "granular", "frequency": "daily", "from": "2022-04-01", "to": "2022-04-01"}
            ).status
            == 200
        )
    )
    world.check_right()


def test_a_withdrawn_manifest_is_restored_when_the_change_fails(world: World) -> None:
    """A manifest is withdrawn before the first change; if that change fails, the period is as complete as before."""
    world.issue(shards(2, mark="old"))
    assert world.call().status == 200
    before = json.dumps(world.manifest()["objects"])
    world.issue(shards(2, mark="new"))
    world.stack.faults.add("link.get", "wrong_bytes", after_bytes=500_000, times=None)
    assert slug(world.call()) == "integrity"
    assert json.dumps(world.manifest()["objects"]) == before
