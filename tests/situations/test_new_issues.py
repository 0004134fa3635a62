"""A period that is issued again, and foreign objects in its folder: the bucket ends as the export service lists it."""

import json

import pytest

from tests.support.requests_and_answers import FOLDER, MANIFEST, file, only
from tests.support.source_files import csv, shards
from tests.support.world import World

FIRST = file(0)
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
def test_the_bucket_follows_a_new_issue_that_has(issue: dict[str, dict[str, bytes]], world: World) -> None:
    """Stale files go, the manifest matches, unchanged files are not copied again, and another run writes nothing."""
    world.issue(issue["before"])
    assert world.call().status == 200
    before = world.generations(FOLDER)
    world.issue(issue["after"])
    answer = world.call()
    assert (answer.status, only(answer)["status"]) == (200, "copied")
    world.check_right(issue["after"])
    same = [name for name, data in issue["after"].items() if issue["before"].get(name) == data]
    after = world.generations()
    assert all(after[FOLDER + name] == before[FOLDER + name] for name in same)
    assert only(world.call())["status"] == "unchanged"
    assert world.generations() == after


def test_a_changed_header_is_reported(world: World) -> None:
    """A difference between files of one period; nothing is reported when all agree again."""
    world.issue(shards(2, size=1000) | {FIRST: csv("a", 1000, header="settings_id,action,consent,country")})
    assert only(world.call())["columns_changed"] is True
    [warning] = [line for line in world.function.logs() if line["message"] == "columns_changed"][-1:]
    assert warning["severity"] == "WARNING"
    assert ["country"] in (warning["columns_added"], warning["columns_removed"])
    world.issue(shards(2, size=1000))
    assert only(world.call())["columns_changed"] is False


def test_foreign_objects_outside_the_periods_folder_are_kept(world: World) -> None:
    """The function removes stale objects directly in the period's folder, not in deeper folders or beside it."""
    world.issue(shards(1, size=1000))
    others = [FOLDER + "notes/readme.txt", "granular/daily/readme.txt", "elsewhere/x.csv", FOLDER]
    for name in others:
        world.put(name, b"not ours")
    world.put(FOLDER + "left-over.csv", b"of a run that was killed")
    assert world.call().status == 200
    assert set(world.generations()) == {*others, FOLDER + FIRST, MANIFEST}


def test_a_foreign_object_with_a_files_name_is_replaced(world: World) -> None:
    """It is compared with the source, and differs."""
    world.issue(shards(2, size=1000))
    world.put(FOLDER + FIRST, b"in the way")
    assert world.call().status == 200
    world.check_right()


def test_an_invalid_manifest_is_replaced(world: World) -> None:
    """Also one that is nearly right."""
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
        assert world.call().status == 200
        world.check_right()
