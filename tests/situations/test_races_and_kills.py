"""Two runs at once, killed instances, deadlines: whatever happens in between, the bucket ends right."""

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
    "before it has looked for manifests": {"where": "object.list", "name": "manifests/"},
    "before it has seen the bucket": {"where": "object.list", "name": FOLDER},
    "before it has asked for the listing": {"where": "export.list", "name": "2022-04-01"},
    "before it has opened a link": {"where": "link.get", "name": f"{PREFIX}-000000000001"},
    "in the middle of reading a file": {
        "where": "link.get",
        "name": f"{PREFIX}-000000000001",
        "after_bytes": 1_000_000,
    },
    "before it has begun an upload": {"where": "upload.start", "name": f"{PREFIX}-000000000001"},
    "in the middle of an upload": {"where": "upload.put", "name": f"{PREFIX}-000000000001", "after_bytes": 1_000_000},
    "just before an upload becomes visible": {"where": "upload.finish", "name": f"{PREFIX}-000000000001"},
    "before it has checked the bucket again": {"where": "object.list", "name": FOLDER, "skip": 1},
    "before it has written the manifest": {"where": "object.insert", "name": MANIFEST},
}
MEETINGS = {
    "two of the day": (DAY, DAY),
    "two spans": (SPAN, SPAN),
    "a span and then the day": (SPAN, DAY),
    "the day and then a span": (DAY, SPAN),
}
"""What the first and the second of two runs are asked for."""


@pytest.fixture
def other(world: World) -> ScannedFunction:
    """A second instance of the function, which knows nothing of the first."""
    return world.shared(instance=2)


@pytest.mark.parametrize("size", [3 * MB, 60_000], ids=["long files", "short files"])
@pytest.mark.parametrize("meeting", MEETINGS)
@pytest.mark.parametrize("stage", STAGES)
def test_two_runs_of_equal_content_meet(
    stage: str, meeting: str, size: int, world: World, other: ScannedFunction
) -> None:
    """One run is stopped at a stage while another runs from start to end; then the first continues."""
    world.issue(shards(size=size))
    hold = world.stack.faults.add(kind="hold", **STAGES[stage] | in_one_request(stage, size))
    asked_first, asked_second = MEETINGS[meeting]
    first = world.call_in_background(body=asked_first)
    hold.wait_until_reached()
    second = world.call_in_background(other, asked_second)
    wait_for(lambda: second.done() or len(world.objects()) >= 2, timeout_s=10)
    hold.release()
    assert (first.result().status, second.result().status) == (200, 200)
    world.check_right()


def in_one_request(stage: str, size: int) -> dict[str, Any]:
    """What a stage is for files that are written in one request."""
    if size >= MB or ("after_bytes" not in STAGES[stage] and "upload" not in stage):
        return {}
    if "reading" in stage:
        return {"after_bytes": 20_000}
    return {"where": "object.insert", "name": FOLDER + ".*000000000001", "after_bytes": None}


@pytest.mark.parametrize("asked", [DAY, SPAN | {"refresh": True}], ids=["a day", "a span"])
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("change", ["other bytes", "fewer files", "more files"])
def test_a_new_issue_is_copied_by_another_run_meanwhile(
    stage: str, change: str, asked: dict[str, object], world: World, other: ScannedFunction
) -> None:
    """The first run began with the old issue; both end, and the bucket is the new one, whole."""
    world.manifests_may_lag = True
    world.issue(shards(3, mark="old"))
    hold = world.stack.faults.add(kind="hold", **STAGES[stage])
    first = world.call_in_background(body=asked)
    hold.wait_until_reached()
    world.issue(shards({"other bytes": 3, "fewer files": 2, "more files": 5}[change], mark="new"))
    second = world.call_in_background(other, asked).result()
    hold.release()
    assert [answer.json().get("detail") for answer in (first.result(), second)] == [None, None]
    world.check_right()


def test_a_file_that_was_stale_and_is_listed_again_is_not_removed(world: World, other: ScannedFunction) -> None:
    """While one run is about to remove it, a new issue names it again and another run brings it."""
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
def test_two_runs_start_together(attempt: int, world: World, other: ScannedFunction) -> None:
    """From the start, at full speed, again and again."""
    world.issue(shards(6, mark=f"try{attempt}", size=400_000))
    first, second = world.call_in_background(), world.call_in_background(other)
    assert (first.result().status, second.result().status) == (200, 200)
    world.check_right()


def test_two_runs_that_never_agree_end_as_one_whole(world: World) -> None:
    """Two instances always get different contents for one period: the bucket ends as one of the two, never as a mixture."""
    world.manifests_may_lag = True
    world.issue(shards(4, mark="ours", size=300_000))
    with Stack() as elsewhere:
        theirs = shards(3, mark="theirs", size=300_000)
        elsewhere.exports.put("granular-2022-04-01", theirs)
        world.whole |= {info.crc32c for info in elsewhere.exports.files("granular-2022-04-01").values()}
        env = {name: elsewhere.function_env()[name] for name in ("EXPORT_SERVICE_URL", "DOWNLOAD_ORIGINS")}
        foe = world.start(**env)
        for _ in range(3):
            first, second = world.call_in_background(), world.call_in_background(foe)
            statuses = sorted([first.result().status, second.result().status])
            assert statuses[0] == 200
            assert world.objects() in (theirs, world.source())
            world.check_manifest()
        foe.stop()


@pytest.mark.parametrize("asked", [DAY, SPAN], ids=["a day", "a span"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_is_finished_by_the_next(stage: str, asked: dict[str, object], world: World) -> None:
    """SIGKILL: the next run ends right and does not copy again what was done."""
    world.issue(shards())
    victim = world.start()
    hold = world.stack.faults.add(kind="hold", **STAGES[stage])
    running = world.pool.submit(_ignoring_errors, world, victim, asked)
    hold.wait_until_reached()
    wait_for(lambda: _is_settled(world))
    victim.kill()
    hold.release()
    running.result()
    wait_for(lambda: _is_settled(world))  # what has arrived may still become visible
    done = set(world.objects())
    world.forget_requests()
    assert world.call(asked).status == 200
    world.check_right()
    again = {request.name.removeprefix(FOLDER) for request in world.stack.storage.requests.of("upload.put")}
    assert again == set(shards()) - done


def test_a_run_finishes_after_sigterm(world: World) -> None:
    """SIGTERM: what is under way ends well within the platform's ten seconds, and a later run finds it right."""
    world.issue(shards())
    victim = world.start()
    hold = world.stack.faults.add("upload.put", "hold", after_bytes=1_000_000)
    running = world.call_in_background(victim)
    hold.wait_until_reached()
    os.kill(victim.pid, signal.SIGTERM)
    hold.release()
    assert running.result().status == 200
    world.check_right()
    assert only(world.call())["status"] == "unchanged"


def _ignoring_errors(world: World, victim: ScannedFunction, asked: dict[str, object]) -> None:
    try:
        world.call(asked, victim)
    except OSError:
        return


def _is_settled(world: World) -> bool:
    """Everything but the file that a fault delays has landed, or nothing can."""
    before = set(world.objects())
    time.sleep(0.15)
    return before == set(world.objects())


def test_calls_in_a_row_with_a_short_deadline_complete_the_period(world: World) -> None:
    """Each says 503 `deadline` and moves on; no file is copied twice."""
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
    """Periods that were not reached are reported as incomplete; the first one makes progress whatever the time."""
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


def test_what_is_there_may_be_compared_after_the_deadline(world: World) -> None:
    """A period whose files have all landed ends, however slow the comparison is."""
    world.issue(shards(12, size=1000))
    assert world.call().status == 200
    world.delete(MANIFEST)
    world.stack.faults.add("link.get", "delay", seconds=0.5, times=None)
    answer = world.call(function=world.shared(DEADLINE_SECONDS="1", PARALLEL_TRANSFERS="2"))
    assert answer.status == 200
    world.check_right()


def test_every_call_of_a_span_makes_progress_however_little_time_it_has(world: World) -> None:
    """Complete periods are no progress: the first that is not complete goes on."""
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
    """The bucket delays it for longer than a stall; it is sent again, and the run writes its manifest meanwhile."""
    world.issue(shards(1, mark="old", size=1000))
    assert world.call().status == 200
    world.issue(shards(1, mark="new", size=1000))
    late = world.stack.faults.add("object.delete", "hold", name=MANIFEST)
    assert world.call().status == 200
    late.release()
    time.sleep(0.3)
    world.check_right()


def test_every_call_makes_progress_though_the_listing_outlasts_the_deadline(world: World) -> None:
    """One file a call, at the least."""
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


def test_a_manifest_is_not_put_back_while_an_upload_may_still_end(world: World) -> None:
    """An upload that was given up on is finished later by Cloud Storage: the old manifest must not cover that."""
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


def test_a_manifest_is_put_back_when_nothing_came_of_the_change(world: World) -> None:
    """A manifest is taken away before the first change; if that change fails, the period is as complete as before."""
    world.issue(shards(2, mark="old"))
    assert world.call().status == 200
    before = json.dumps(world.manifest()["objects"])
    world.issue(shards(2, mark="new"))
    world.stack.faults.add("link.get", "wrong_bytes", after_bytes=500_000, times=None)
    assert slug(world.call()) == "integrity"
    assert json.dumps(world.manifest()["objects"]) == before
