"""main.py for functions-framework, with short waits between tries: giving up takes half a second instead of ten.

Nothing else differs. It is for tests that do not measure how long the function waits; test_real_waits.py does, and
runs main.py itself.
"""

from functools import partial

from analytics_export import app, period_sync, retries
from analytics_export.source.api_key import BUDGET_S, ApiKey
from main import export_analytics

__all__ = ["export_analytics"]

retries.FIRST_WAIT_S /= 20
retries.LONGEST_WAIT_S /= 20
period_sync.PAUSES_S = tuple(pause_s / 20 for pause_s in period_sync.PAUSES_S)  # type: ignore[assignment] # as many
app.ApiKey = partial(ApiKey, budget_s=BUDGET_S / 4)  # type: ignore[assignment, attr-defined] # for these tests alone
