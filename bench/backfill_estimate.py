"""How long a backfill takes and what it costs, computed from stated assumptions: the tables of docs/backfill-scale.md.

`.venv/bin/python -m bench.backfill_estimate` writes the tables again; a test compares the document with this code.
"""

import re
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "backfill-scale.md"
BETWEEN_MARKERS = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- /\2 -->)", re.DOTALL)

MB, GB = 10**6, 10**9
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
SPANS = {"1 year": 365, "5 years": 1826, "5,000 periods": 5000}
SIZES = {"1 MB": MB, "1 GB": GB, "50 GB": 50 * GB}
FLEETS = (2, 9)
"""Instances that work on a backfill; the queue leaves one free, of 3 (the default) and of 10 (the maximum)."""


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """The input. USD are list prices without free tiers; replace them by your own."""

    bytes_per_s: float = 0.5 * 1024**3 / 1.15
    """Of one instance with one vCPU: half of what 1.15 CPU-s per GiB (bench/results.md, one file of 1 GiB) allow."""
    overhead_s: float = 0.5
    """Of a period, without its bytes: some ten requests of 30 ms, and the way through the queue."""
    vcpu_s_usd: float = 0.000024
    gib_s_usd: float = 0.0000025
    gib: float = 0.5
    """Memory of an instance."""
    task_operation_usd: float = 0.40 / 10**6
    task_operations: int = 2
    """Of a period: create and deliver the task."""
    write_usd: float = 0.01 / 1000
    writes: int = 4
    """Class A operations of a period with one file: a listing, the upload's start and end, the manifest."""
    storage_gb_month_usd: float = 0.026


@dataclass(frozen=True)
class Estimate:
    """The result."""

    seconds: float
    copying_usd: float
    storage_usd_a_month: float
    """As long as the copies are kept."""


def estimate(periods: int, bytes_a_period: float, instances: int, assumed: Assumptions) -> Estimate:
    """Compute the estimate; an instance works on one period at a time."""
    busy_s = periods * (assumed.overhead_s + bytes_a_period / assumed.bytes_per_s)
    instance_usd = busy_s * (assumed.vcpu_s_usd + assumed.gib * assumed.gib_s_usd)
    calls_usd = periods * (assumed.task_operations * assumed.task_operation_usd + assumed.writes * assumed.write_usd)
    storage_usd = periods * bytes_a_period / GB * assumed.storage_gb_month_usd
    return Estimate(busy_s / instances, instance_usd + calls_usd, storage_usd)


def table(assumed: Assumptions) -> str:
    """Return the table of the estimates."""
    fleets = " | ".join(f"{count} instances" for count in FLEETS)
    lines = [
        f"| span | a period | bytes | {fleets} | copying, USD | storage, USD a month |",
        "| --- | ---: | ---: |" + " ---: |" * len(FLEETS) + " ---: | ---: |",
    ]
    for span, periods in SPANS.items():
        for size, bytes_a_period in SIZES.items():
            estimates = [estimate(periods, bytes_a_period, instances, assumed) for instances in FLEETS]
            times = " | ".join(_time(each.seconds) for each in estimates)
            lines.append(
                f"| {span} | {size} | {_bytes(periods * bytes_a_period)} | {times} | {_usd(estimates[0].copying_usd)} "
                f"| {_usd(estimates[0].storage_usd_a_month)} |"
            )
    return "\n".join(lines) + "\n"


def assumptions(assumed: Assumptions) -> str:
    """Return the table of the assumptions."""
    prices = f"{assumed.vcpu_s_usd:.6f} USD a vCPU-second, {assumed.gib_s_usd:.7f} USD a GiB-second"
    tasks = f"{assumed.task_operation_usd * 10**6:.2f} USD a million"
    writes = f"{assumed.write_usd * 1000:.2f} USD a thousand"
    rows = {
        "bytes a second of an instance: half of what one vCPU can do at the measured 1.15 CPU-s a GiB": (
            f"{assumed.bytes_per_s / MB:.0f} MB/s"
        ),
        "a period without its bytes: some ten requests of 30 ms, and the way through the queue": (
            f"{assumed.overhead_s} s"
        ),
        f"an instance: 1 vCPU and {assumed.gib} GiB": prices,
        f"Cloud Tasks: {assumed.task_operations} operations a period": tasks,
        f"Cloud Storage: {assumed.writes} class A operations a period of one file": writes,
        "storage": f"{assumed.storage_gb_month_usd} USD a GB and month",
    }
    lines = ["| assumption | figure |", "| --- | --- |", *(f"| {name} | {figure} |" for name, figure in rows.items())]
    return "\n".join(lines) + "\n"


def renewed(text: str) -> str:
    """Return the document with new tables."""
    new = {"assumptions": assumptions(Assumptions()), "estimates": table(Assumptions())}
    return BETWEEN_MARKERS.sub(lambda match: match[1] + new[match[2]] + match[3], text)


def _time(seconds: float) -> str:
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR_S:
        return f"{seconds / MINUTE_S:.0f} min"
    return f"{seconds / HOUR_S:.1f} h" if seconds < 2 * DAY_S else f"{seconds / DAY_S:.1f} days"


def _bytes(count: float) -> str:
    unit, size = next((unit, size) for unit, size in (("TB", 1000 * GB), ("GB", GB), ("MB", MB)) if count >= size)
    return f"{count / size:.3g} {unit}" if count / size < 1000 else f"{count / size:,.0f} {unit}"  # noqa: PLR2004 - three digits


def _usd(amount: float) -> str:
    return f"{amount:,.2f}" if amount < 10 else f"{amount:,.0f}"  # noqa: PLR2004 - cents matter only in small amounts


if __name__ == "__main__":
    DOCUMENT.write_text(renewed(DOCUMENT.read_text()))
