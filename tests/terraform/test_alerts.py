"""When each alert fires and when it does not, hour by hour, on the series that the jobs of the plan would produce."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from analytics_export.periods import Aggregation, Frequency, Period
from tests.terraform.deployed import APPLIED, HOUR, METRIC, Deployment, Scenario, fired
from tests.terraform.promql import UNITS_S, Series
from tests.terraform.terraform_cli import resources

KEYS = [f"{aggregation}/{frequency}" for aggregation in Aggregation for frequency in Frequency]
UNTIL = datetime(2026, 3, 4, 12, tzinfo=UTC)
"""The first whole month after the first apply is due on 1 March."""
BROKEN = datetime(2026, 2, 3, 10, tzinfo=UTC)
"""A Tuesday, after some healthy days."""


def opened(scenario: Scenario, *, run: str = "everything", until: datetime = UNTIL) -> dict[str, list[datetime]]:
    return fired(run, Deployment(run, scenario, until=until).series, until=until)


def pausing(*jobs: str, since: datetime = APPLIED, until: datetime = UNTIL) -> Scenario:
    """A scenario with jobs that are paused by hand for a while."""
    return Scenario(is_paused=lambda job, moment: job in jobs and since <= moment < until)


def jobs_of(key: str) -> list[str]:
    job = f"analytics-export-{key.replace('/', '-')}"
    return [job, f"{job}-catch-up", f"{job}-refresh"]


def first_due(key: str, since: datetime) -> datetime:
    """When the first watched period of an export after `since` becomes due."""
    frequency = Frequency(key.split("/")[1])
    period = Period.holding(frequency, APPLIED.date())
    while period.start < APPLIED.date() or period.available_at <= since:
        period = Period.holding(frequency, period.end + timedelta(days=1))
    return period.available_at


class TestMissing:
    @pytest.mark.parametrize("run", ["defaults", "everything"])
    def test_no_alert_opens_while_nothing_fails(self, run: str) -> None:
        assert opened(Scenario(), run=run) == {}

    @pytest.mark.parametrize("since", [APPLIED, BROKEN], ids=["never run", "stopped"])
    @pytest.mark.parametrize("key", KEYS)
    def test_an_export_that_does_not_run_opens_exactly_its_alert_within_a_day(self, key: str, since: datetime) -> None:
        opened_at = opened(pausing(*jobs_of(key), since=since))
        assert set(opened_at) == {f"missing/{key}"}
        delay = opened_at[f"missing/{key}"][0] - first_due(key, since)
        assert timedelta(hours=20) < delay < timedelta(hours=24)

    def test_it_opens_again_every_night_while_the_period_is_missing(self) -> None:
        key = "granular/daily"
        hours = opened(pausing(*jobs_of(key), since=BROKEN), until=BROKEN + timedelta(days=7))[f"missing/{key}"]
        nights = {moment.date() for moment in hours if moment.hour == 7}
        assert len(nights) == 6
        assert [moment for moment in hours if moment.hour < 7] == [], "before the checks it is closed"

    def test_it_closes_with_the_next_check_after_the_export_is_complete(self) -> None:
        resumed = BROKEN + timedelta(days=4)
        hours = opened(pausing(*jobs_of("granular/daily"), since=BROKEN, until=resumed))["missing/granular/daily"]
        assert resumed < hours[-1] < resumed + timedelta(days=1)

    def test_it_closes_at_once_when_a_manual_check_passes(self) -> None:
        until = BROKEN + timedelta(days=3)
        series = Deployment("defaults", pausing(*jobs_of("granular/daily"), since=BROKEN), until=until).series
        assert fired("defaults", series, until=until, since=until - 2 * HOUR)
        job = {"monitored_resource": "cloud_scheduler_job", "job_id": "analytics-export-granular-daily-check"}
        series.count(METRIC + "passed_checks", (until - 2 * HOUR).timestamp(), **job)
        assert fired("defaults", series, until=until, since=until - 2 * HOUR) == {}

    def test_one_failed_check_opens_no_alert(self) -> None:
        night = BROKEN.replace(hour=3, minute=0) + timedelta(days=1)
        assert opened(Scenario(is_unreachable=lambda moment: night <= moment < night + HOUR)) == {}

    def test_an_export_that_becomes_available_in_the_evening_opens_no_missing_alert(self) -> None:
        """The scheduled job gives up, which is an alert of its own; the last catch-up of the day copies the export."""
        late = Scenario(has_export=lambda key, moment: key != "granular/daily" or moment.hour >= 19)
        assert set(opened(late, run="defaults", until=BROKEN)) == {"gave_up"}

    def test_every_export_is_named_while_no_call_reaches_the_function(self) -> None:
        opened_at = opened(Scenario(is_unreachable=lambda moment: moment >= BROKEN), until=BROKEN + timedelta(days=3))
        assert set(opened_at) == {"gave_up", *(f"missing/{key}" for key in KEYS)}


class TestAfterTheFirstApply:
    """There are no false alarms: neither before the key is added nor before the first period is due."""

    def test_no_alert_opens_as_long_as_there_is_no_key(self) -> None:
        assert opened(Scenario(has_key=lambda _moment: False)) == {}

    @pytest.mark.parametrize("hours", range(0, 72, 3))
    def test_no_alert_opens_whenever_the_key_is_added(self, hours: int) -> None:
        added = APPLIED + timedelta(hours=hours, minutes=30)
        scenario = Scenario(has_key=lambda moment: moment >= added)
        assert opened(scenario, run="defaults", until=added + timedelta(days=4)) == {}

    def test_an_export_that_never_runs_opens_its_alert_once_the_key_is_added(self) -> None:
        """At the latest on the second day after the key."""
        added = APPLIED + timedelta(days=5)
        scenario = Scenario(
            has_key=lambda moment: moment >= added,
            is_paused=lambda job, _moment: job in jobs_of("granular/daily"),
        )
        opened_at = opened(scenario, until=added + timedelta(days=4))
        assert set(opened_at) == {"missing/granular/daily"}
        assert opened_at["missing/granular/daily"][0] < added + timedelta(days=2)

    def test_no_log_line_of_a_run_without_a_key_opens_key_refused(self) -> None:
        """The alert on log lines excludes exactly what the metric no_key counts; test_watching.py has the real line."""
        (condition,) = resources("defaults", "google_monitoring_alert_policy")["key_refused"]["conditions"]
        excluded = re.search(r"AND NOT \((.*)\)$", condition["condition_matched_log"][0]["filter"])
        assert excluded
        assert resources("defaults", "google_logging_metric")["no_key"]["filter"].endswith(f" AND {excluded[1]}")


class TestSilent:
    def test_a_paused_check_opens_its_condition_and_no_other(self) -> None:
        job = "analytics-export-granular-weekly-check"
        opened_at = opened(pausing(job, since=BROKEN), until=BROKEN + timedelta(days=4))
        assert set(opened_at) == {"silent: granular/weekly was not checked for 22 hours"}
        (hours,) = opened_at.values()
        last_check = BROKEN.replace(hour=7, minute=35)
        assert timedelta(hours=21) < hours[0] - last_check < timedelta(hours=24)
        assert hours[-1] > BROKEN + timedelta(days=3), "it stays open"

    def test_it_closes_when_the_check_runs_again(self) -> None:
        resumed = BROKEN + timedelta(days=3)
        job = "analytics-export-granular-weekly-check"
        (hours,) = opened(pausing(job, since=BROKEN, until=resumed), until=resumed + timedelta(days=2)).values()
        assert hours[-1] < resumed + timedelta(days=1)

    def test_a_failed_check_is_not_silence(self) -> None:
        opened_at = opened(Scenario(is_unreachable=lambda moment: moment >= BROKEN), until=BROKEN + timedelta(days=3))
        assert not [alert for alert in opened_at if alert.startswith("silent")]

    @pytest.mark.parametrize("run", ["defaults", "everything"])
    def test_has_a_condition_for_each_check_and_at_most_six(self, run: str) -> None:
        conditions = resources(run, "google_monitoring_alert_policy")["silent"]["conditions"]
        checks = [name for name in resources(run, "google_cloud_scheduler_job") if name.startswith("check/")]
        assert len(conditions) == len(checks) <= 6
        for condition, check in zip(conditions, checks, strict=True):
            assert condition["display_name"].startswith(check.removeprefix("check/"))


class TestGaveUp:
    @staticmethod
    def failing_for(hours: float) -> Scenario:
        begin = BROKEN.replace(hour=8) + timedelta(days=1)
        return Scenario(
            has_export=lambda key, moment: key != "granular/daily" or not begin <= moment < begin + hours * HOUR
        )

    def test_opens_if_every_retry_fails_and_closes_after_eight_hours(self) -> None:
        opened_at = opened(self.failing_for(4.25), run="defaults", until=BROKEN + timedelta(days=3))
        assert set(opened_at) == {"gave_up"}
        hours = opened_at["gave_up"]
        assert (hours[0].hour, hours[-1].hour) == (12, 15)

    def test_does_not_open_if_the_last_retry_succeeds(self) -> None:
        assert opened(self.failing_for(4), run="defaults", until=BROKEN + timedelta(days=3)) == {}


class TestKeyMissing:
    def test_opens_with_the_first_run_without_a_key_and_closes_within_three_hours_with_one(self) -> None:
        restored = BROKEN + timedelta(days=1)
        scenario = Scenario(has_key=lambda moment: not BROKEN <= moment < restored)
        hours = opened(scenario, run="defaults", until=BROKEN + timedelta(days=4))["key_missing"]
        assert BROKEN < hours[0] < BROKEN + timedelta(days=1)
        assert hours[-1] < restored + 3 * HOUR

    def test_is_the_only_alert_for_an_empty_secret(self) -> None:
        opened_at = opened(Scenario(has_key=lambda moment: moment < BROKEN), until=BROKEN + timedelta(days=5))
        assert set(opened_at) == {"key_missing"}
        assert {moment.date() for moment in opened_at["key_missing"]} >= {
            BROKEN.date() + timedelta(days=days) for days in range(5)
        }, "every day"


class TestBackfillStuck:
    DEPTH = "cloudtasks_googleapis_com:queue_depth"
    ATTEMPTS = "cloudtasks_googleapis_com:queue_task_attempt_count"
    QUEUE: ClassVar = {"monitored_resource": "cloud_tasks_queue", "queue_id": "analytics-export"}

    def opened_with(
        self, depth: Callable[[int], int], attempts_at_h: list[float], *, response: str = "ok"
    ) -> dict[str, Any]:
        series, until = Series(), APPLIED + 12 * HOUR
        for minute in range(12 * 60):
            series.measure(self.DEPTH, (APPLIED + timedelta(minutes=minute)).timestamp(), depth(minute), **self.QUEUE)
        for hour in attempts_at_h:
            series.count(self.ATTEMPTS, (APPLIED + hour * HOUR).timestamp(), response_code=response, **self.QUEUE)
        opened_at = fired("defaults", series, until=until)
        return {alert: hours for alert, hours in opened_at.items() if alert.startswith("backfill")}

    def test_opens_after_four_hours_without_a_successful_task(self) -> None:
        hours = self.opened_with(lambda _minute: 5, [0.5])["backfill_stuck/0"]
        assert 4 * HOUR < hours[0] - APPLIED < 6 * HOUR

    def test_failed_attempts_do_not_count_as_success(self) -> None:
        assert self.opened_with(lambda _minute: 5, [0.5, 2, 4, 6, 8, 10], response="unavailable")

    def test_does_not_open_while_tasks_succeed(self) -> None:
        assert self.opened_with(lambda _minute: 5, [0.5, 2, 4, 6, 8, 10]) == {}

    def test_does_not_open_while_the_queue_is_empty(self) -> None:
        assert self.opened_with(lambda _minute: 0, []) == {}


class TestLimitsOfCloudMonitoring:
    """Source: Google Cloud, "PromQL in Cloud Monitoring alerting policies", "Limitations"."""

    @pytest.mark.parametrize("run", ["defaults", "everything"])
    def test_windows_and_durations_are_at_most_a_day_and_their_sum_at_most_25_hours(self, run: str) -> None:
        for policy in resources(run, "google_monitoring_alert_policy").values():
            for condition in policy["conditions"]:
                for promql in condition["condition_prometheus_query_language"]:
                    windows = [
                        sum(int(number) * UNITS_S[unit] for number, unit in re.findall(r"(\d+)([smhd])", window))
                        for window in re.findall(r"\[\w+\](?: offset \w+)?", promql["query"])
                    ]
                    duration = int(promql["duration"].rstrip("s"))
                    assert windows
                    assert max(*windows, duration) <= 24 * 3600
                    assert max(windows) + duration <= 25 * 3600


class TestNotification:
    def test_every_alert_goes_to_the_email_address_and_to_the_channel(self) -> None:
        for policy in resources("everything", "google_monitoring_alert_policy").values():
            email, channel = policy["notification_channels"]
            assert channel == "projects/my-project/notificationChannels/1234567890"
            assert email != channel

    def test_each_alert_has_the_severity_of_the_runbooks(self) -> None:
        severities = {
            name.split("/")[0]: policy["severity"]
            for name, policy in resources("everything", "google_monitoring_alert_policy").items()
        }
        assert severities == {
            "backfill_stuck": "WARNING",
            "columns_changed": "WARNING",
            "gave_up": "ERROR",
            "key_missing": "CRITICAL",
            "key_refused": "CRITICAL",
            "missing": "ERROR",
            "silent": "ERROR",
        }

    def test_the_alert_on_changed_columns_is_off_by_default(self) -> None:
        assert "columns_changed/0" not in resources("defaults", "google_monitoring_alert_policy")
        (condition,) = resources("everything", "google_monitoring_alert_policy")["columns_changed/0"]["conditions"]
        assert condition["condition_matched_log"][0]["filter"].endswith('jsonPayload.message="columns_changed"')
