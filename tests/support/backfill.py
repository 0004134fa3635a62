"""A backfill through the local queue with random faults, and what must be true at its end."""

import json
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from local.function import FunctionProcess
from local.stack import Stack
from local.storage.objects import Change

FIRST_DAY = date(2020, 1, 1)
ROUNDS = 4
"""A round is one `enqueue` call and its tasks. After these all periods are complete: a day has up to three 404s."""
ROUND_S = 100.0

FAULTS: list[dict[str, Any]] = [
    {"where": "task.deliver", "kind": "twice"},
    {"where": "task.deliver", "kind": "again"},
    {"where": "task.deliver", "kind": "lose_answer"},
    {"where": "task.deliver", "kind": "delay", "seconds": 0.3},
    {"where": "task.deliver", "kind": "status", "status": 429},
    {"where": "task.deliver", "kind": "status", "status": 500},
    {"where": "task.create", "kind": "status", "status": "UNAVAILABLE"},
    {"where": "task.create", "kind": "lose_answer"},
    {"where": "export.list", "kind": "status", "status": 503, "headers": {"Retry-After": "600"}},
    {"where": "export.list", "kind": "status", "status": 404},
    {"where": "link.get", "kind": "reset", "after_bytes": 10},
    {"where": "link.get", "kind": "status", "status": 403},
    {"where": "object.insert", "kind": "lose_answer"},
    {"where": "object.insert", "kind": "status", "status": 503},
]
"""Each is set for one period. A 404 ends its task for good: the next round finds the gap."""


def days(count: int) -> list[str]:
    """`count` days in a row."""
    return [str(FIRST_DAY + timedelta(days=number)) for number in range(count)]


@dataclass
class Backfill:
    """Days of `granular`, each with one or two files, copied by one or more instances of the function.

    It counts the writes to the bucket from its creation on. Use it on a stack that has just been reset.
    """

    stack: Stack
    functions: list[FunctionProcess]
    draw: random.Random
    days: list[str]
    faulty_days: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    writes: Counter[str] = field(default_factory=Counter)
    """How often each object became visible. Once is right: no fault changes the source."""
    rounds: int = 0
    kills: int = 0

    def __post_init__(self) -> None:
        self._files = {day: self._issue(day) for day in self.days}
        self.stack.storage.on_change(self._watch)
        queue = self.stack.tasks.queue
        queue.wait_scale = 0.001
        queue.max_concurrent_dispatches = 4
        queue.targets = [function.url for function in self.functions]

    def add_faults(self, share: float) -> None:
        """Set one or two faults for each day of this share."""
        self.faulty_days = self.draw.sample(self.days, round(len(self.days) * share))
        for day in self.faulty_days:
            for fault in self.draw.sample(FAULTS, self.draw.randint(1, 2)):
                self.stack.faults.add(**fault, name=day, times=self.draw.randint(1, 3))

    def run(self, *, kills: int = 0) -> None:
        """Enqueue and wait for the tasks until nothing is left to enqueue; `wrong` lists every defect."""
        killer = threading.Thread(target=self._kill, args=(kills,))
        killer.start()
        for self.rounds in range(1, ROUNDS + 2):
            if self._enqueue() == 200:
                break
            self.stack.tasks.queue.wait_until_empty(ROUND_S)
            killer.join()
        else:
            self.wrong.append(f"after {ROUNDS} rounds something was still left to enqueue")
        self.compare()

    def _issue(self, day: str) -> dict[str, bytes]:
        count, size = self.draw.randint(1, 2), self.draw.choice([0, 20, 5_000, 100_000])
        files = {f"granular-{day}-{number:012d}.csv": b"a,b\n" + b"1,2\n" * (size // 4) for number in range(count)}
        self.stack.exports.put(f"granular-{day}", files)
        return files

    def _watch(self, change: Change) -> None:
        if change.bucket == self.stack.bucket and change.after is not None:
            self.writes[change.name] += 1

    def _enqueue(self) -> int:
        """Call until the whole span is queued; a failed call is repeated, as its answer asks."""
        span = {"aggregation": "granular", "frequency": "daily", "from": self.days[0], "to": self.days[-1]}
        answered = 0
        while answered < 5:
            try:
                answer = self.functions[0].post({**span, "enqueue": True})
            except OSError:  # killed meanwhile, or not running again yet
                threading.Event().wait(0.1)
                continue
            answered += 1
            if answer.status < 300:
                return answer.status
        self.wrong.append("five calls did not enqueue the span")
        return 500

    def _kill(self, times: int) -> None:
        """Kill one instance after the other while they work. Cloud Run sends no request to a dead instance."""
        queue = self.stack.tasks.queue
        for _ in range(times):
            self._wait_for_work()
            victim = self.draw.choice(self.functions)
            queue.targets = [function.url for function in self.functions if function is not victim]
            victim.kill()
            victim.start()
            queue.targets = [function.url for function in self.functions]
            self.kills += 1

    def _wait_for_work(self) -> None:
        """Wait until some more tasks have been delivered, so that a kill interrupts work."""
        begun = self.stack.tasks.requests.count("task.deliver")
        more = self.draw.randint(1, max(2, len(self.days) // 8))
        for _ in range(1000):
            if self.stack.tasks.requests.count("task.deliver") >= begun + more:
                return
            threading.Event().wait(0.005)

    def compare(self) -> None:
        """Add to `wrong` how the bucket differs from the export service, and which objects were written twice."""
        found = self.stack.storage.objects(self.stack.bucket, "granular/")
        expected = {
            f"granular/daily/start_date={day}/{name}": data
            for day, files in self._files.items()
            for name, data in files.items()
        }
        if {name: info.read_bytes() for name, info in found.items()} != expected:
            self.wrong.append("the bucket does not hold what the export service has")
        for day in self.days:
            self._compare_manifest(day, [info.crc32c for name, info in found.items() if f"={day}/" in name])
        self.wrong += [f"{name} was written {times} times" for name, times in self.writes.items() if times != 1]

    def _compare_manifest(self, day: str, checksums: list[str]) -> None:
        manifest = self.stack.storage.objects(self.stack.bucket, f"manifests/granular/daily/start_date={day}.json")
        named = [each["crc32c"] for info in manifest.values() for each in json.loads(info.read_bytes())["objects"]]
        if not manifest or sorted(named) != sorted(checksums):
            self.wrong.append(f"the manifest of {day} is not right")
