"""docs/backfill-scale.md shows what the code computes, and the code computes it correctly."""

from dataclasses import replace

import pytest

from bench.backfill_estimate import DOCUMENT, GB, Assumptions, estimate, renewed

ROUND = Assumptions(bytes_per_s=100_000_000, overhead_s=1.0, vcpu_s_usd=0.5, gib_s_usd=1.0, gib=0.5, write_usd=0.0)


def test_the_backfill_document_shows_the_computed_estimates() -> None:
    """If not, run .venv/bin/python -m bench.backfill_estimate."""
    text = DOCUMENT.read_text()
    assert text.count("<!-- estimates -->") == text.count("<!-- assumptions -->") == 1
    assert renewed(text) == text


def test_a_period_costs_its_bytes_and_a_fixed_overhead() -> None:
    made = estimate(10, 900_000_000, 2, ROUND)
    assert made.seconds == pytest.approx(10 * (1 + 9) / 2)
    assert made.copying_usd == pytest.approx(10 * (1 + 9) * (0.5 + 0.5 * 1.0), rel=1e-4)
    assert made.storage_usd_a_month == pytest.approx(9 * 0.026)


def test_more_instances_make_a_backfill_faster_and_no_dearer() -> None:
    slow, fast = (estimate(5000, GB, instances, Assumptions()) for instances in (1, 9))
    assert slow.seconds == pytest.approx(9 * fast.seconds)
    assert slow.copying_usd == fast.copying_usd


def test_every_period_costs_its_operations() -> None:
    free = replace(ROUND, vcpu_s_usd=0.0, gib_s_usd=0.0)
    paid = replace(free, task_operations=2, task_operation_usd=0.001, writes=4, write_usd=0.01)
    assert estimate(100, GB, 1, paid).copying_usd == pytest.approx(100 * (2 * 0.001 + 4 * 0.01))


def test_the_backfill_document_is_renewed_from_the_assumptions() -> None:
    assert renewed("<!-- estimates -->\nold\n<!-- /estimates -->").splitlines()[1].startswith("| span | a period |")
    assert "old" not in renewed("<!-- assumptions -->\nold\n<!-- /assumptions -->")
