"""A backfill through the queue: tasks come twice, late and at once, services fail, instances die. It ends complete."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from analytics_export import export_request, tasks
from analytics_export.app import App
from analytics_export.logs import Log
from analytics_export.report import Status
from analytics_export.retries import Clock
from local.faults import Kind
from local.function import FunctionProcess
from tests.support.backfill import Backfill, days
from tests.support.requests_and_answers import exports
from tests.support.world import World

pytestmark = pytest.mark.ours_only


@pytest.fixture
def instances(world: World) -> list[FunctionProcess]:
    """Two instances of the function, one request at a time each, as the queue sends them."""
    return [world.shared(instance=1), world.shared(instance=2)]


@pytest.fixture
def backfill(world: World, instances: list[FunctionProcess]) -> Backfill:
    """Twelve days, none of them in the bucket."""
    return Backfill(world.stack, instances, random.Random(1), days(12))


EVERY_TASK: dict[str, dict[str, Any]] = {
    "comes once": {},
    "comes twice, at once": {"where": "task.deliver", "kind": Kind.TWICE},
    "comes again after it was done": {"where": "task.deliver", "kind": Kind.AGAIN},
    "is done, and its answer is lost": {"where": "task.deliver", "kind": Kind.LOSE_ANSWER},
    "is created twice because the answer was lost": {"where": "task.create", "kind": Kind.LOSE_ANSWER},
    "is refused by a busy instance": {"where": "task.deliver", "kind": Kind.STATUS, "status": 429},
}


@pytest.mark.parametrize("fault", EVERY_TASK.values(), ids=EVERY_TASK)
def test_a_backfill_completes_when_every_task(backfill: Backfill, fault: dict[str, Any]) -> None:
    if fault:
        for day in backfill.days:
            backfill.stack.faults.add(**fault, name=day)
    backfill.run()
    assert (backfill.wrong, backfill.rounds) == ([], 2), "the second round finds everything complete"
    assert backfill.stack.tasks.queue.gave_up == []
    assert not fault or sum(backfill.stack.faults.fired.values()) == 12


def test_the_comparison_after_a_backfill_detects_every_defect(backfill: Backfill) -> None:
    backfill.run()
    stack, (name, info) = (
        backfill.stack,
        next(iter(backfill.stack.storage.objects(backfill.stack.bucket, "granular/").items())),
    )
    stack.storage.put(stack.bucket, name, info.read_bytes())
    backfill.compare()
    assert backfill.wrong == [f"{name} was written 2 times"]
    stack.storage.put(stack.bucket, name, b"half")
    stack.storage.delete(stack.bucket, f"manifests/granular/daily/start_date={backfill.days[3]}.json")
    backfill.wrong.clear()
    backfill.compare()
    assert [each for each in backfill.wrong if "written" not in each] == [
        "the bucket does not hold what the export service has",
        f"the manifest of {backfill.days[0]} is not right",
        f"the manifest of {backfill.days[3]} is not right",
    ]


def test_a_backfill_completes_with_tasks_in_any_order(backfill: Backfill) -> None:
    for day in backfill.days[:6]:
        backfill.stack.faults.add("task.deliver", Kind.DELAY, name=day, seconds=0.5)
    backfill.run()
    assert backfill.wrong == []
    delivered = [each.name[-10:] for each in backfill.stack.tasks.requests.of("task.deliver")]
    assert set(delivered[:6]) == set(backfill.days[6:]), "the older half came last"


def test_two_fan_outs_of_the_same_days_copy_each_file_once(backfill: Backfill) -> None:
    span = {"aggregation": "granular", "frequency": "daily", "from": backfill.days[0], "to": backfill.days[-1]}
    backfill.stack.tasks.queue.pause()
    assert [each.post({**span, "enqueue": True}).status for each in backfill.functions] == [202, 202]
    assert len(backfill.stack.tasks.queue.tasks()) == 24
    backfill.stack.tasks.queue.resume()
    backfill.run()
    assert backfill.wrong == []


def test_a_backfill_completes_while_cloud_scheduler_runs_the_same_periods(backfill: Backfill) -> None:
    fields = [{"aggregation": "granular", "frequency": "daily", "date": day} for day in backfill.days]
    with ThreadPoolExecutor(2) as scheduler:
        answers = scheduler.map(backfill.functions[1].post, fields)
        backfill.run()
        assert {answer.status for answer in answers} == {200}
    assert backfill.wrong == []


def test_a_period_that_is_not_available_delays_no_other(backfill: Backfill) -> None:
    """Its task ends at once; the next round, or the catch-up, copies it when it is available."""
    gap = backfill.days[4]
    missing = backfill.stack.faults.add("export.list", Kind.STATUS, name=gap, status=404, times=1)
    backfill.run()
    assert (backfill.wrong, backfill.rounds, missing.fired) == ([], 3, 1)
    queue = backfill.stack.tasks.queue
    assert (queue.pace.slow_downs, queue.gave_up) == (0, [])


def test_a_period_that_outlasts_one_call_is_continued_by_the_next(world: World, backfill: Backfill) -> None:
    """Each try copies what it can; `deadline` is 409 for a task, so the queue does not slow down for other periods."""
    slow = world.shared(DEADLINE_SECONDS="0.5", PARALLEL_TRANSFERS="1")
    day = backfill.days[0]
    files = {f"granular-{day}-{number:012d}.csv": b"a\n" * (number + 1) for number in range(4)}
    world.stack.exports.put(f"granular-{day}", files)
    world.stack.faults.add("link.get", Kind.DELAY, name=day, seconds=0.4, times=None)
    world.stack.tasks.queue.targets = [slow.url]
    span = {"aggregation": "granular", "frequency": "daily", "from": day, "to": backfill.days[3], "enqueue": True}
    assert slow.post(span).status == 202
    world.stack.tasks.queue.wait_until_empty(60)
    statuses = [each.status for each in world.stack.tasks.requests.of("task.deliver") if each.name.endswith(day)]
    assert set(statuses[:-1]) == {409}
    assert statuses[-1] == 200
    assert world.stack.tasks.queue.pace.slow_downs == 0
    assert {export["status"] for export in exports(slow.post(span))} == {"complete"}


def test_a_fan_out_that_cloud_tasks_interrupts_is_completed_by_the_next_call(
    world: World, backfill: Backfill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer says which periods are queued; the same call again queues the rest."""
    monkeypatch.setattr(tasks, "BUDGET_S", 0.5)
    for name, value in world.stack.function_env().items():
        monkeypatch.setenv(name, value)
    app = App.from_env()
    span = f'{{"aggregation":"granular","frequency":"daily","from":"{backfill.days[0]}","to":"{backfill.days[-1]}","enqueue":true}}'
    request = export_request.parse(body=span.encode(), query={}, schedule_time=None, clock=Clock().now)
    world.stack.tasks.queue.pause()
    world.stack.faults.add("task.create", Kind.STATUS, status="UNAVAILABLE", skip=5, times=None)
    results = app.export(request, Log())
    queued = {str(result.export.period.start) for result in results if result.status is Status.QUEUED}
    assert {task.name[-10:] for task in world.stack.tasks.queue.tasks()} == queued
    assert len(queued) == 5
    assert {result.error.type for result in results if result.error} == {"upstream-unavailable"}
    world.stack.faults.clear()
    world.stack.tasks.queue.resume()
    backfill.run()
    assert backfill.wrong == []


@pytest.mark.parametrize("size", [1, 2], ids=["the only instance", "one of two instances"])
def test_a_backfill_completes_after_the_death_of(world: World, instances: list[FunctionProcess], size: int) -> None:
    backfill = Backfill(world.stack, instances[:size], random.Random(size), days(40))
    world.stack.faults.add("export.list", Kind.DELAY, seconds=0.05, times=None)
    backfill.run(kills=3)
    assert (backfill.wrong, backfill.kills) == ([], 3)


@pytest.mark.parametrize("share", [0.01, 0.1], ids=["faults in 1 % of the periods", "in 10 %"])
def test_a_backfill_ends_complete_and_no_file_is_written_twice(
    world: World, instances: list[FunctionProcess], share: float
) -> None:
    backfill = Backfill(world.stack, instances, random.Random(7), days(100))
    backfill.add_faults(share)
    backfill.run(kills=1)
    assert backfill.wrong == []
    assert len(backfill.faulty_days) == round(100 * share)
