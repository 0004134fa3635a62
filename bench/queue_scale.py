"""A backfill through the queue with 1, 2 and 4 instances of the function: how it scales until the cores are used up.

The stand-ins of local/ delay each answer of source and bucket, as a network does. The queue sends each instance
one task at a time, as Cloud Run does with concurrency 1.
"""

import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta

from local.faults import Kind
from local.function import FunctionProcess
from local.processes import cpu_s
from local.stack import Stack

INSTANCES = (1, 2, 4)
FIRST_DAY = date(2022, 1, 1)
PERIODS = 100


@dataclass(frozen=True)
class Scale:
    """One row: the result with `instances` instances."""

    instances: int
    periods: int
    seconds: float
    """From the call with `enqueue` to the end of the last task."""
    function_cpu_s: float
    stand_ins_cpu_s: float
    """Of source, bucket and queue, which run on the same cores."""

    @property
    def periods_per_s(self) -> float:
        """Of all instances together."""
        return self.periods / self.seconds


def measure(*, periods: int = PERIODS, delay_s: float) -> list[Scale]:
    """Run the same backfill with each number of instances; a period has one file of some 100 bytes."""
    with Stack(rows=2, shards=1) as stack:
        return [_scale(stack, instances, periods, delay_s) for instances in INSTANCES]


def section(rows: list[Scale], *, delay_s: float) -> str:
    """Return the table for results.md."""
    first = rows[0]
    lines = [
        f"## {first.periods} days through the queue, {delay_s * 1000:.0f} ms a request",
        "",
        "One call with `enqueue`, then a task a day, one short file a day. An instance works on one task at a time.",
        f"All share {os.cpu_count()} cores with the stand-ins of local/ (no TLS): source, bucket and queue.",
        "",
        "| instances | seconds | periods/s | times one instance | CPU-s, function | CPU-s, stand-ins | cores used |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {row.instances} | {row.seconds:.1f} | {row.periods_per_s:.1f} | {first.seconds / row.seconds:.2f} "
            f"| {row.function_cpu_s:.1f} | {row.stand_ins_cpu_s:.1f} "
            f"| {(row.function_cpu_s + row.stand_ins_cpu_s) / row.seconds:.2f} |"
            for row in rows
        ),
        "",
    ]
    return "\n".join(lines)


def _scale(stack: Stack, instances: int, periods: int, delay_s: float) -> Scale:
    stack.reset()
    last = FIRST_DAY + timedelta(days=periods - 1)
    span = {"aggregation": "granular", "frequency": "daily", "from": str(FIRST_DAY), "to": str(last)}
    with ExitStack() as exits:
        functions = [exits.enter_context(FunctionProcess(stack.function_env())) for _ in range(instances)]
        for function in functions:  # warm: settings read, clients open
            function.post({**span, "dry_run": True})
        for where in ("export.*", "link.*", "object.*", "upload.*"):
            stack.faults.add(where, Kind.DELAY, seconds=delay_s, times=None)
        queue = stack.tasks.queue
        queue.max_concurrent_dispatches = instances
        queue.targets = [function.url for function in functions]
        before_s = sum(cpu_s(function.pid) for function in functions), time.process_time()
        began = time.monotonic()
        answer = functions[0].post({**span, "enqueue": True})
        queue.wait_until_empty(300)
        seconds = time.monotonic() - began
        after_s = sum(cpu_s(function.pid) for function in functions), time.process_time()
        check = functions[0].post({**span, "dry_run": True})
        statuses = [answer.text.count('"queued"'), check.text.count('"status": "complete"')]
        if statuses != [periods, periods] or queue.gave_up:
            raise RuntimeError(f"not all {periods} periods were copied: {statuses}, given up {queue.gave_up}")
    return Scale(instances, periods, seconds, after_s[0] - before_s[0], after_s[1] - before_s[1])


if __name__ == "__main__":
    sys.stdout.write(section(measure(delay_s=0.03), delay_s=0.03))
