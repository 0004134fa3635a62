"""Failures of the export service from which a run recovers, and a very long listing."""

from typing import Any

import pytest

from tests.support.requests_and_answers import PREFIX, only
from tests.support.source_files import shards
from tests.support.world import World

FAULTS = {
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


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_run_recovers_from_an_export_service_that(fault: dict[str, Any], world: World) -> None:
    world.issue(shards(2, size=1000))
    world.stack.faults.add("export.list", **fault)
    answer = world.call()
    assert answer.status == 200
    assert answer.seconds < 20
    assert world.stack.faults.fired
    world.check_right()


@pytest.mark.slow
def test_a_period_of_thousands_of_files_is_copied(world: World) -> None:
    """2,100 files: listing the bucket takes three pages."""
    files = {f"{PREFIX}-{number:012d}.csv": b"a,b\n%d,1\n" % number for number in range(2100)}
    world.issue(files)
    many = world.shared(PARALLEL_TRANSFERS="16", STALL_SECONDS="20")
    answer = world.call(function=many)
    assert (answer.status, only(answer)["objects"]) == (200, 2100)
    world.check_right()
