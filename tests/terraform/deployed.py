"""Simulates the jobs of a plan over weeks, and counts what the metrics of the module would count.

Cloud Scheduler runs each job at its times, and again after a failure; a scenario decides what the function answers.
The function's own code parses the request of an export job, and answers the request of a check.
"""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

from analytics_export import coverage, export_request
from analytics_export.bucket.manifest import Summary
from analytics_export.periods import Export, Period
from tests.terraform.cron import fires
from tests.terraform.promql import Series, parse
from tests.terraform.terraform_cli import resources

APPLIED = datetime(2026, 1, 21, 10, tzinfo=UTC)
"""As in the runs of deployment.tftest.hcl. A Wednesday; the export was activated the day before."""
ANALYTICS_ID = "my-analytics-id"
METRIC = "logging_googleapis_com:user_analytics_export_"
HOUR = timedelta(hours=1)


def never(_moment: datetime) -> bool:
    return False


@dataclass(frozen=True)
class Scenario:
    """What goes wrong and when; by default nothing does, and the key exists from the start."""

    has_key: Callable[[datetime], bool] = lambda _moment: True
    is_paused: Callable[[str, datetime], bool] = lambda _job, _moment: False
    """Whether a job is paused, by its name."""
    has_export: Callable[[str, datetime], bool] = lambda _key, _moment: True
    """Whether Usercentrics has the periods of an export, by its key, such as granular/daily."""
    is_unreachable: Callable[[datetime], bool] = never
    """Whether no call reaches the function."""


def key_of(export: Export) -> str:
    return f"{export.aggregation}/{export.period.frequency}"


def due_and_missing(uri: str, now: datetime, complete: set[Export]) -> list[Period]:
    """Return the periods for which the function answers 503 to a check at its scheduled time `now`.

    The bucket has only the `complete` exports.
    """
    query = parse_qs(urlsplit(uri).query, strict_parsing=True)
    request = coverage.parse(query, schedule_time=now.isoformat(), clock=lambda: now)
    summaries: dict[coverage.Kind, dict[Export, Summary]] = {}
    for export in complete:
        summary = Summary(export, ANALYTICS_ID, completed_at=now, objects=1, size_bytes=1, columns=None)
        summaries.setdefault((export.aggregation, export.period.frequency), {})[export] = summary
    (answer,) = coverage.coverage(request, summaries, analytics_id=ANALYTICS_ID).exports
    return answer.missing if request.require_complete else []


class Deployment:
    """The jobs of a run of deployment.tftest.hcl, from the first apply until `until`."""

    def __init__(self, run: str, scenario: Scenario, *, until: datetime) -> None:
        self._scenario = scenario
        self._until = until
        self._complete: set[Export] = set()
        self.series = Series()
        jobs = {job["name"]: job for job in resources(run, "google_cloud_scheduler_job").values()}
        order = count()
        calls: list[tuple[datetime, int, str, int, datetime]] = []
        for name, job in jobs.items():
            for moment in fires(job["schedule"], year=APPLIED.year):
                if APPLIED < moment <= until:
                    heappush(calls, (moment, next(order), name, 0, moment))
        while calls:
            moment, _, name, attempt, scheduled = heappop(calls)
            if attempt == 0 and scenario.is_paused(name, moment):
                continue
            succeeds = self._succeeds(jobs[name], moment, scheduled)
            self._count_attempt(name, moment, succeeds=succeeds)
            wait = _wait(jobs[name], attempt)
            if not succeeds and wait is not None:
                heappush(calls, (moment + wait, next(order), name, attempt + 1, scheduled))

    def _succeeds(self, job: dict[str, Any], now: datetime, scheduled: datetime) -> bool:
        if self._scenario.is_unreachable(now):
            return False
        target = job["http_target"][0]
        if target["http_method"] == "GET":
            return not due_and_missing(target["uri"], scheduled, self._complete)
        request = export_request.parse(
            body=base64.b64decode(target["body"]), query={}, schedule_time=scheduled.isoformat(), clock=lambda: now
        )
        results = [self._export(export, now, skip_complete=request.skip_complete) for export in request.exports]
        return all(results)

    def _export(self, export: Export, now: datetime, *, skip_complete: bool) -> bool:
        """Run one export. Return whether it is complete then."""
        if not (export in self._complete and skip_complete):
            if not self._scenario.has_key(now):
                self._count("no_key", now, "cloud_run_revision")
                return False
            was_activated = export.period.end >= APPLIED.date() - timedelta(days=1)
            if not (was_activated and self._scenario.has_export(key_of(export), now)):
                return False
            self._complete.add(export)
        self._count("completed", now, "cloud_run_revision")
        return True

    def _count_attempt(self, name: str, now: datetime, *, succeeds: bool) -> None:
        if name.endswith("-check"):
            self._count("passed_checks" if succeeds else "failed_checks", now, "cloud_scheduler_job", job_id=name)
        elif not succeeds and not name.endswith(("-catch-up", "-refresh")):
            self._count("failed_attempts", now, "cloud_scheduler_job", job_id=name)

    def _count(self, metric: str, now: datetime, resource: str, **labels: str) -> None:
        self.series.count(METRIC + metric, now.timestamp(), monitored_resource=resource, **labels)


def _wait(job: dict[str, Any], attempt: int) -> timedelta | None:
    """Return how long Cloud Scheduler waits after a failed attempt; None if it was the last."""
    if not job["retry_config"]:
        return None
    retries = job["retry_config"][0]
    if attempt >= retries["retry_count"]:
        return None
    shortest, longest = (int(retries[f"{which}_backoff_duration"].rstrip("s")) for which in ("min", "max"))
    return timedelta(seconds=min(shortest * 2 ** min(attempt, retries["max_doublings"]), longest))


def hours(first: datetime, last: datetime) -> Iterator[datetime]:
    """Return the time ten minutes before each full hour: no job starts in these ten minutes."""
    moment = first.replace(minute=50, second=0)
    while moment <= last:
        yield moment
        moment += HOUR


def fired(run: str, series: Series, *, until: datetime, since: datetime = APPLIED) -> dict[str, list[datetime]]:
    """Return the hours at which each alert on a metric is open, by its policy; without those that never open.

    A policy with several conditions has an entry for each condition, POLICY: CONDITION.
    """
    found: dict[str, list[datetime]] = {}
    for name, policy in resources(run, "google_monitoring_alert_policy").items():
        for condition in policy["conditions"]:
            for promql in condition["condition_prometheus_query_language"]:
                alert = name if len(policy["conditions"]) == 1 else f"{name}: {condition['display_name']}"
                expression = parse(promql["query"])
                needed = timedelta(seconds=int(promql["duration"].rstrip("s")))
                true_since: datetime | None = None
                for moment in hours(since, until):
                    if not expression(series, moment.timestamp()):
                        true_since = None
                        continue
                    true_since = true_since or moment
                    if moment - true_since >= needed:
                        found.setdefault(alert, []).append(moment)
    return found
