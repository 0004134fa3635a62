"""Which periods are due: the view `missing_periods` is tested with the same table."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics_export.periods import Frequency, Period

CASES = json.loads((Path(__file__).parents[1] / "due_periods.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['frequency']}: {case['why']}")
def test_a_period_is_due_once_it_is_available(case: dict[str, Any]) -> None:
    now = datetime.fromisoformat(case["now"]).replace(tzinfo=UTC)
    last = min(date.fromisoformat(case["until"] or "9999-12-01"), now.date())
    due = []
    period = Period.holding(Frequency(case["frequency"]), date.fromisoformat(case["first"]))
    while period.start <= last:
        if period.available_at <= now:
            due.append(str(period.start))
        period = Period.holding(period.frequency, period.end + timedelta(days=1))
    assert due == case["due"]
