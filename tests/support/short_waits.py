"""The function with short waits: main.py, for functions-framework, where a test does not measure how long it waits.

Each wait between tries is a twentieth of the real one, so that giving up takes half a second and not ten. Everything
else is as in the cloud. `test_real_waits.py` runs the function without this.
"""

from functools import partial

from analytics_export import app, period_sync, retries, trial
from analytics_export.source.api_key import BUDGET_S, ApiKey
from main import export_analytics

__all__ = ["export_analytics"]

retries.FIRST_WAIT_S /= 20
retries.LONGEST_WAIT_S /= 20
period_sync.PAUSES_S = tuple(pause_s / 20 for pause_s in period_sync.PAUSES_S)  # type: ignore[assignment] # as many
trial.CHECK_S /= 4
app.ApiKey = partial(ApiKey, budget_s=BUDGET_S / 20)  # type: ignore[assignment, attr-defined] # for these tests alone
