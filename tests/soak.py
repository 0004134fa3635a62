"""Plays random situations and compares the bucket with the source after each: `make soak`.

    python -m tests.soak [--runs 200] [--seconds 300] [--backfill 400] [--seed N]

Each run asks for a day, or for a span around it, with or without `refresh`. It may issue new content, set faults at
random places, start a second run beside the first, or kill the function in the middle; then the faults end, and calls
for the whole span follow until one answers 200. At the end `--backfill` days go through the queue, again with random
faults and kills. Prints a table; exits 1 if anything was wrong. The same seed draws the same situations (their course
depends on timing).
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import requests

from tests.support.backfill import Backfill, days
from tests.support.requests_and_answers import DAY, FOLDER, PREFIX, SPAN
from tests.support.source_files import crc32c, csv
from tests.support.world import World, open_world

FOREIGN_BYTES = b"a,b\n1,2\n"
"""What another writer puts into the bucket."""
MIDDLE = {"after_bytes": 300_000}
FAULTS: list[dict[str, Any]] = [
    *({"where": "link.get", "kind": kind} | MIDDLE for kind in ("reset", "close", "wrong_bytes")),
    {"where": "link.get", "kind": "stall", "seconds": 3} | MIDDLE,
    *({"where": "link.get", "kind": kind} for kind in ("ignore_range", "wrong_start", "wrong_hash", "wrong_length")),
    *({"where": "link.get", "kind": "status", "status": status} for status in (403, 429, 500, 503)),
    {"where": "link.get", "kind": "status", "status": 400, "body": "<Code>ExpiredToken</Code>"},
    {"where": "link.get", "kind": "drop_headers", "headers": {"x-goog-hash": ""}},
    {"where": "upload.put", "kind": "reset", "keep_bytes": 0} | MIDDLE,
    {"where": "upload.put", "kind": "reset"} | MIDDLE,
    {"where": "upload.put", "kind": "keep", "keep_bytes": 270_000},
    *({"where": "upload.put", "kind": kind} for kind in ("lose_answer", "lose_session")),
    *({"where": where, "kind": "status", "status": 503} for where in ("upload.*", "object.*", "export.list")),
    *({"where": where, "kind": "lose_answer"} for where in ("upload.start", "object.insert", "object.delete")),
    *({"where": where, "kind": "cut_head"} for where in ("link.get", "upload.*", "object.*", "export.list")),
    *({"where": where, "kind": "throttle", "bytes_per_s": 20_000} for where in ("export.list", "object.list")),
    *({"where": where, "kind": "overwrite", "body": FOREIGN_BYTES} for where in ("upload.finish", "object.insert")),
    {"where": "export.list", "kind": "reset", "after_bytes": 30},
    {"where": "export.list", "kind": "status", "status": 401},
]


EVERY_PERIOD = SPAN | {"refresh": True}
BODIES: list[Mapping[str, object]] = [DAY, SPAN, EVERY_PERIOD]


class Soak:
    """Counts what happened."""

    def __init__(self, world: World, draw: random.Random) -> None:
        self.world = world
        self.draw = draw
        self.runs = self.calls = self.compared = self.bytes = self.kills = self.pairs = self.wrong = 0
        self.requested: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()

    def run(self) -> None:
        """Play one situation, from issuing the export to the comparison."""
        self.runs += 1
        draw, world = self.draw, self.world
        if self.runs == 1 or draw.random() < 0.7:
            count = draw.randint(1, 8)
            world.issue(
                {
                    f"{PREFIX}-{number:012d}.csv": csv(
                        f"{draw.randint(0, 3)}", draw.choice([0, 1, 9_000, 700_000, 1_100_000, 2_000_000])
                    )
                    for number in range(count)
                }
            )
        for _ in range(draw.randint(0, 4)):
            world.whole.add(crc32c(FOREIGN_BYTES))
            world.stack.faults.add(**draw.choice(FAULTS), skip=draw.randint(0, 3), times=draw.randint(1, 3))
        first = world.pool.submit(self._call, draw.choice(BODIES))
        if draw.random() < 0.3:
            self.pairs += 1
            second = world.pool.submit(self._call, draw.choice(BODIES))
            second.result()
        elif draw.random() < 0.2:
            self.kills += 1
            time.sleep(draw.uniform(0, 0.4))
            world.function.kill()
            world.function.stop()
            first.result()
            world.function = world.start()
        first.result()
        world.stack.faults.clear()
        self._finish_and_compare()

    def _call(self, body: Mapping[str, object]) -> int:
        with suppress(requests.RequestException):
            answer = self.world.call(body)
            self.calls += 1
            self.requested["a day" if body is DAY else "a span"] += 1
            self.answers[str(answer.json().get("type", "200"))] += 1
            return answer.status
        self.answers["killed"] += 1
        return 0

    def _finish_and_compare(self) -> None:
        world = self.world
        for _ in range(5):
            if self._call(EVERY_PERIOD) == 200:
                break
        else:
            self._note("five calls without a fault did not end with 200")
        try:
            world.check_right()
            for day in ("2022-03-31", "2022-04-02"):
                assert world.objects(FOLDER.replace("2022-04-01", day)) == world.source(f"granular-{day}"), day
        except AssertionError as error:
            self._note(f"the bucket differs: {error}"[:500])
        everything = world.objects("granular/")
        self.compared += len(everything)
        self.bytes += sum(map(len, everything.values()))
        for violation in world.violations:
            self._note(violation)
        world.violations.clear()

    def _note(self, what: str) -> None:
        self.wrong += 1
        print(f"run {self.runs}: {what}")

    def table(self) -> str:
        """The totals."""
        fired = sorted(self.world.stack.faults.fired.items())
        rows = [
            ("runs", self.runs),
            ("calls", self.calls),
            *((f"calls for {what}", count) for what, count in sorted(self.requested.items())),
            ("two runs at once", self.pairs),
            ("killed", self.kills),
            *((f"answer {kind}", count) for kind, count in sorted(self.answers.items())),
            *((f"fault {kind}", count) for kind, count in fired),
            ("faults injected", sum(count for _, count in fired)),
            ("bytes compared", self.bytes),
            ("objects compared", self.compared),
            ("wrong", self.wrong),
        ]
        return _lines(rows)


def backfill(world: World, draw: random.Random, periods: int) -> int:
    """Copy so many days through the queue, with faults; print the result and return how much was wrong."""
    world.reset()
    backfill = Backfill(world.stack, [world.start(), world.start()], draw, days(periods))
    backfill.add_faults(draw.uniform(0.05, 0.5))
    began = time.monotonic()
    backfill.run(kills=draw.randint(0, 3))
    queue = world.stack.tasks.queue
    rows = [
        ("backfill: periods", periods),
        ("backfill: periods with faults", len(backfill.faulty_days)),
        ("backfill: rounds", backfill.rounds),
        ("backfill: tasks delivered", world.stack.tasks.requests.count("task.deliver")),
        ("backfill: queue slowed down", queue.pace.slow_downs),
        ("backfill: tasks given up", len(queue.gave_up)),
        ("backfill: killed", backfill.kills),
        *((f"backfill: fault {kind}", count) for kind, count in sorted(world.stack.faults.fired.items())),
        ("backfill: objects written", backfill.writes.total()),
        ("backfill: seconds", round(time.monotonic() - began)),
        ("backfill: wrong", len(backfill.wrong)),
    ]
    print(_lines(rows))
    for each in backfill.wrong:
        print(each)
    return len(backfill.wrong)


def _lines(rows: list[tuple[str, int]]) -> str:
    return "\n".join(f"{name:40} {count:>14,}" for name, count in rows)


def main() -> int:
    """Play situations until `--runs` or `--seconds` is used up."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=200)
    arguments.add_argument("--seconds", type=float, default=300)
    arguments.add_argument(
        "--backfill", type=int, default=400, help="periods sent through the queue at the end; 0: none"
    )
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = arguments.parse_args()
    print(f"seed {given.seed}", flush=True)
    until = time.monotonic() + given.seconds
    with open_world() as world:
        soak = Soak(world, random.Random(given.seed))
        while soak.runs < given.runs and time.monotonic() < until:
            soak.run()
        print(soak.table())
        wrong = soak.wrong
        if given.backfill:
            wrong += backfill(world, random.Random(given.seed), given.backfill)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
