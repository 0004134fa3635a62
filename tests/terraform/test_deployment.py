"""What the module would create, compared with the function's own code: both must agree."""

import base64
import json
import re
import shlex
import subprocess
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
from google.cloud.storage import Client

import main
from analytics_export import export_request
from analytics_export.bucket.bucket import Bucket
from analytics_export.bucket.cloud_storage import CloudStorage
from analytics_export.bucket.layout import Layout
from analytics_export.config import Settings
from analytics_export.errors import ExportServiceRefused, Misconfigured
from analytics_export.periods import Aggregation, Export, Frequency, Period
from analytics_export.retries import Clock, Deadline
from local.tasks.rules import RetryRules
from tests.terraform.cron import fires
from tests.terraform.terraform_cli import MODULE, ROOT, outputs, resources

RUNS = ("defaults", "everything", "existing_bucket")
YEAR = 2024
CLOUD_TASKS_AGENT = "serviceAccount:service-123456789012@gcp-sa-cloudtasks.iam.gserviceaccount.com"
KINDS = [(aggregation, frequency) for aggregation in Aggregation for frequency in Frequency]


def jobs(run: str) -> dict[str, dict[str, Any]]:
    """The export jobs, by name; test_alerts.py is about the check jobs."""
    every_job = resources(run, "google_cloud_scheduler_job")
    return {job["name"]: job for address, job in every_job.items() if address.startswith("export/")}


def request_of(job: dict[str, Any], now: datetime) -> export_request.ExportRequest:
    """The request, as the function parses it, when Cloud Scheduler posts the job's body at `now`."""
    body = base64.b64decode(job["http_target"][0]["body"])
    return export_request.parse(body=body, query={}, schedule_time=now.isoformat(), clock=lambda: now)


def environment(run: str) -> dict[str, str]:
    (function,) = resources(run, "google_cloudfunctions2_function").values()
    variables: dict[str, str] = function["service_config"][0]["environment_variables"]
    return variables


def bucket(run: str) -> Bucket:
    """The function's own object names, with the settings from the module. It sends no request."""
    settings = Settings.from_env(environment(run))
    return Bucket(
        CloudStorage(Client.create_anonymous_client(), settings.bucket, Deadline(1, Clock())),
        requests.Session(),
        layout=Layout(settings.object_prefix),
        stall_s=1,
    )


class TestTheFunction:
    @pytest.mark.parametrize("run", RUNS)
    def test_accepts_the_settings_from_the_module(self, run: str) -> None:
        settings = Settings.from_env(environment(run))
        assert settings.analytics_id == "my-analytics-id"
        assert settings.api_key_secret_version == "projects/my-project/secrets/analytics-export-api-key/versions/latest"
        assert settings.deadline_s == 1740

    def test_uses_the_queue_that_the_module_creates(self) -> None:
        (queue,) = resources("one_instance", "google_cloud_tasks_queue").values()
        settings = Settings.from_env(environment("one_instance"))
        assert (
            settings.tasks_queue == f"projects/{queue['project']}/locations/{queue['location']}/queues/{queue['name']}"
        )
        assert Settings.from_env(environment("no_queue")).tasks_queue is None

    def test_every_setting_is_set_by_the_module_or_allowed_in_its_variable(self) -> None:
        """The variable is function.settings."""
        known = set(re.findall(r'read\(\s*"([A-Z_]+)"', (ROOT / "analytics_export/config.py").read_text()))
        allowed = set(re.findall(r'"([A-Z][A-Z_]+)"', _validation("function", "function.settings")))
        ours = set(environment("defaults")) - {"LOG_EXECUTION_ID"}  # the platform's
        assert allowed | ours == {name for name in known if not name.endswith("_EMULATOR_HOST")}


class TestPermissions:
    """Every IAM binding that the module creates, and no other."""

    def test_each_account_has_only_the_roles_that_it_needs(self) -> None:
        bindings = {
            (kind.removeprefix("google_").removesuffix("_iam_member"), binding["role"], binding["member"])
            for kind in (
                "google_artifact_registry_repository_iam_member",
                "google_bigquery_dataset_iam_member",
                "google_cloud_run_v2_service_iam_member",
                "google_cloud_tasks_queue_iam_member",
                "google_project_iam_member",
                "google_secret_manager_secret_iam_member",
                "google_service_account_iam_member",
                "google_storage_bucket_iam_member",
            )
            for binding in resources("defaults", kind).values()
        }
        assert bindings == {
            ("cloud_run_v2_service", "roles/run.invoker", "serviceAccount:invoke@example.com"),
            ("secret_manager_secret", "roles/secretmanager.secretAccessor", "serviceAccount:run@example.com"),
            ("storage_bucket", "roles/storage.objectUser", "serviceAccount:run@example.com"),
            ("storage_bucket", "roles/storage.objectViewer", "serviceAccount:build@example.com"),
            ("artifact_registry_repository", "roles/artifactregistry.writer", "serviceAccount:build@example.com"),
            ("project", "roles/storage.objectViewer", "serviceAccount:build@example.com"),
            ("project", "roles/logging.logWriter", "serviceAccount:build@example.com"),
            ("cloud_tasks_queue", "roles/cloudtasks.enqueuer", "serviceAccount:run@example.com"),
            ("service_account", "roles/iam.serviceAccountUser", CLOUD_TASKS_AGENT),
        }

    def test_no_other_kind_of_binding_is_used(self) -> None:
        kinds = {
            kind for path in MODULE.glob("*.tf") for kind in re.findall(r'resource "(\w*iam\w*)"', path.read_text())
        }
        assert {kind for kind in kinds if not kind.endswith("_iam_member")} == set()

    def test_the_build_account_may_read_only_the_source_bucket(self) -> None:
        assert (
            resources("defaults", "google_storage_bucket_iam_member")["build"]["bucket"]
            == (resources("defaults", "google_storage_bucket")["source"]["name"])
        )


class TestJobs:
    def test_by_default_only_the_daily_exports_have_jobs(self) -> None:
        assert set(jobs("defaults")) == {
            "analytics-export-interaction-daily",
            "analytics-export-interaction-daily-catch-up",
            "analytics-export-interaction-daily-refresh",
            "analytics-export-granular-daily",
            "analytics-export-granular-daily-catch-up",
            "analytics-export-granular-daily-refresh",
        }

    @pytest.mark.parametrize("run", RUNS)
    def test_request_the_exports_in_their_names(self, run: str) -> None:
        for name, job in jobs(run).items():
            request = request_of(job, datetime(2024, 5, 15, 12, tzinfo=UTC))
            kind = name.removeprefix("analytics-export-").removesuffix("-catch-up").removesuffix("-refresh")
            assert {f"{each.aggregation}-{each.period.frequency}" for each in request.exports} == {kind}
            assert request.skip_complete == name.endswith("-catch-up"), "only a catch-up skips complete periods"

    def test_a_catch_up_requests_as_many_periods_as_configured(self) -> None:
        now = datetime(2024, 5, 15, 12, tzinfo=UTC)
        lengths = {name: len(request_of(job, now).exports) for name, job in jobs("everything").items()}
        assert lengths["analytics-export-granular-daily"] == 1
        assert lengths["analytics-export-granular-daily-catch-up"] == 400
        assert lengths["analytics-export-interaction-weekly-catch-up"] == 4
        assert lengths["analytics-export-interaction-monthly-catch-up"] == 2
        assert "analytics-export-granular-monthly-catch-up" not in lengths

    def test_a_refresh_compares_as_many_periods_as_configured_once_a_week(self) -> None:
        """So a period that Usercentrics issues again is copied again; a catch-up would skip it."""
        now = datetime(2024, 5, 15, 16, tzinfo=UTC)
        refreshes = {name: job for name, job in jobs("everything").items() if name.endswith("-refresh")}
        lengths = {name: len(request_of(job, now).exports) for name, job in refreshes.items()}
        assert lengths == {
            "analytics-export-interaction-daily-refresh": 35,
            "analytics-export-interaction-weekly-refresh": 5,
            "analytics-export-interaction-monthly-refresh": 2,
            "analytics-export-granular-daily-refresh": 90,
            "analytics-export-granular-monthly-refresh": 2,
        }
        for name, job in refreshes.items():
            assert json.loads(base64.b64decode(job["http_target"][0]["body"]))["refresh"] is True
            starts = list(fires(job["schedule"], year=YEAR))
            days = 1 if name == "analytics-export-granular-daily-refresh" else 7
            assert {later - earlier for earlier, later in pairwise(starts)} == {timedelta(days=days)}

    @pytest.mark.parametrize("run", RUNS)
    def test_never_request_a_period_before_it_is_available(self, run: str) -> None:
        for job in jobs(run).values():
            for now in fires(job["schedule"], year=YEAR):
                assert request_of(job, now).exports[-1].period.available_at <= now, (job["name"], now)

    @pytest.mark.parametrize("run", RUNS)
    def test_request_every_period_within_two_days_after_it_is_available(self, run: str) -> None:
        for name, job in jobs(run).items():
            if name.endswith(("-catch-up", "-refresh")):
                continue
            requested = [(request_of(job, now).exports[0].period, now) for now in fires(job["schedule"], year=YEAR)]
            for (earlier, _), (later, now) in pairwise(requested):
                assert later.previous == earlier
                assert now - later.available_at < timedelta(days=2)

    @pytest.mark.parametrize("run", RUNS)
    def test_start_at_different_minutes(self, run: str) -> None:
        """Two jobs in the same minute would need two instances."""
        starts = [tuple(job["schedule"].split()[:2]) for job in jobs(run).values()]
        assert len(set(starts)) == len(starts)

    def test_retry_for_three_to_five_hours(self) -> None:
        retries = jobs("defaults")["analytics-export-granular-daily"]["retry_config"][0]
        assert retries["retry_count"] == 5
        wait, longest = (int(retries[name].rstrip("s")) for name in ("min_backoff_duration", "max_backoff_duration"))
        waits = [min(wait * 2 ** min(n, retries["max_doublings"]), longest) for n in range(retries["retry_count"])]
        assert timedelta(hours=3) < timedelta(seconds=sum(waits)) < timedelta(hours=5)


class TestTables:
    DAYS = (date(2024, 2, 29), date(2024, 12, 31), date(2022, 4, 1))

    def objects(self, kind: tuple[Aggregation, Frequency]) -> dict[Period, tuple[str, str]]:
        """The URIs of a file and of the manifest, as the function writes them, by period."""
        aggregation, frequency = kind
        names = bucket("everything")
        periods = [Period.holding(frequency, day) for day in self.DAYS]
        return {
            export.period: (
                names.uri(names.layout.object_name(export, f"{export.file_prefix}-000000000000.csv")),
                names.uri(names.layout.manifest(export)),
            )
            for export in (Export(aggregation, period) for period in periods)
        }

    @pytest.mark.parametrize("kind", KINDS, ids="-".join)
    def test_read_the_files_that_the_function_writes_and_their_start_date(
        self, kind: tuple[Aggregation, Frequency]
    ) -> None:
        tables = resources("everything", "google_bigquery_table")
        source = tables[f"files/{'/'.join(kind)}"]["external_data_configuration"][0]
        (uri,) = source["source_uris"]
        partitioning = source["hive_partitioning_options"][0]
        assert partitioning["mode"] == "CUSTOM"
        prefix, key = re.fullmatch(r"(.*/)\{(\w+):DATE\}", partitioning["source_uri_prefix"]).groups()  # type: ignore[union-attr] # fails the test as it should
        for period, (file, manifest) in self.objects(kind).items():
            assert _matches(uri, file)
            assert not _matches(uri, manifest)
            assert file.removeprefix(prefix).split("/")[0] == f"{key}={period.start}"

    @pytest.mark.parametrize("kind", KINDS, ids="-".join)
    def test_read_no_file_of_another_export(self, kind: tuple[Aggregation, Frequency]) -> None:
        tables = resources("everything", "google_bigquery_table")
        (uri,) = tables[f"files/{'/'.join(kind)}"]["external_data_configuration"][0]["source_uris"]
        others = [file for other in KINDS if other != kind for file, _ in self.objects(other).values()]
        assert not [file for file in others if _matches(uri, file)]

    def test_the_exports_table_reads_every_manifest_and_nothing_else(self) -> None:
        source = resources("everything", "google_bigquery_table")["exports/0"]["external_data_configuration"][0]
        (uri,) = source["source_uris"]
        assert source["source_format"] == "NEWLINE_DELIMITED_JSON"
        for kind in KINDS:
            for file, manifest in self.objects(kind).values():
                assert _matches(uri, manifest)
                assert not _matches(uri, file)

    def test_match_configured_columns_by_name_or_detect_the_columns(self) -> None:
        tables = resources("everything", "google_bigquery_table")
        configured = tables["files/granular/daily"]["external_data_configuration"][0]
        assert [column["name"] for column in json.loads(configured["schema"])] == ["settingsId", "consent", "action"]
        assert (configured["autodetect"], configured["csv_options"][0]["source_column_match"]) == (False, "NAME")
        assert configured["csv_options"][0]["allow_quoted_newlines"]
        assert configured["csv_options"][0]["skip_leading_rows"] == 1
        assert configured["hive_partitioning_options"][0]["require_partition_filter"]
        detected = tables["files/interaction/daily"]["external_data_configuration"][0]
        assert (detected["autodetect"], detected.get("schema")) == (True, None)

    def test_a_schema_is_set_only_where_the_partition_column_is_kept(self) -> None:
        files = {name: table for name, table in resources("everything", "google_bigquery_table").items() if "/" in name}
        assert [name for name, table in files.items() if table.get("schema")] == []

    def test_views_are_written_in_googlesql(self) -> None:
        """Without `use_legacy_sql = false` the API treats a view's query as legacy SQL."""
        views = [
            table["view"][0] for table in resources("everything", "google_bigquery_table").values() if table["view"]
        ]
        assert {view["use_legacy_sql"] for view in views} == {False}
        assert not [view for view in views if "${" in view["query"]]


class TestWatching:
    def test_alerts_on_a_refused_key_name_the_errors_that_the_function_logs(self) -> None:
        (condition,) = resources("defaults", "google_monitoring_alert_policy")["key_refused"]["conditions"]
        log_filter = condition["condition_matched_log"][0]["filter"]
        assert re.findall(r'error_type=\("([a-z-]+)" OR "([a-z-]+)"\)', log_filter) == [
            (ExportServiceRefused.type, Misconfigured.type)
        ]

    def test_alerts_on_a_log_line_limit_their_notifications(self) -> None:
        """The API requires a limit."""
        (strategy,) = resources("defaults", "google_monitoring_alert_policy")["key_refused"]["alert_strategy"]
        assert strategy["notification_rate_limit"][0]["period"] == "21600s"

    def test_queries_use_exactly_the_metrics_that_the_module_creates(self) -> None:
        created = {metric["name"] for metric in resources("defaults", "google_logging_metric").values()}
        dashboard = resources("defaults", "google_monitoring_dashboard")["exports"]["dashboard_json"]
        policies = json.dumps(resources("defaults", "google_monitoring_alert_policy"))
        named = re.findall(r"logging_googleapis_com:user_(\w+?)(?:_sum)?\{", dashboard + policies)
        assert set(named) == created

    def test_queries_are_valid_before_a_metrics_first_point(self) -> None:
        policies = resources("defaults", "google_monitoring_alert_policy").values()
        conditions = [condition for policy in policies for condition in policy["conditions"]]
        assert {
            kind for condition in conditions for kind, value in condition.items() if value and "condition_" in kind
        } == {
            "condition_matched_log",
            "condition_prometheus_query_language",
        }
        for condition in conditions:
            for promql in condition["condition_prometheus_query_language"]:
                assert promql["disable_metric_validation"]

    def test_only_the_last_failed_attempt_opens_an_alert(self) -> None:
        (condition,) = resources("defaults", "google_monitoring_alert_policy")["gave_up"]["conditions"]
        query = condition["condition_prometheus_query_language"][0]["query"]
        retries = jobs("defaults")["analytics-export-granular-daily"]["retry_config"][0]
        assert f"[8h])) > {retries['retry_count'] + 0.5})" in query

    def test_failed_attempts_are_those_of_the_scheduled_exports(self) -> None:
        log_filter = resources("defaults", "google_logging_metric")["failed_attempts"]["filter"]
        named = set(re.findall(r'"(analytics-export-[a-z-]+)"', log_filter))
        assert named == {name for name in jobs("defaults") if not name.endswith(("-catch-up", "-refresh"))}

    @pytest.mark.parametrize("run", RUNS)
    def test_the_dashboard_is_a_grid_without_overlaps(self, run: str) -> None:
        dashboard = json.loads(resources(run, "google_monitoring_dashboard")["exports"]["dashboard_json"])
        tiles = dashboard["mosaicLayout"]["tiles"]
        assert len({(tile["xPos"], tile["yPos"]) for tile in tiles}) == len(tiles)
        assert all(tile["xPos"] + tile["width"] <= dashboard["mosaicLayout"]["columns"] for tile in tiles)
        assert all({"xyChart", "logsPanel"} & set(tile["widget"]) for tile in tiles)

    def test_the_dashboard_shows_each_exports_newest_periods_and_the_queue(self) -> None:
        dashboard = json.loads(resources("everything", "google_monitoring_dashboard")["exports"]["dashboard_json"])
        widgets = {tile["widget"]["title"]: tile["widget"] for tile in dashboard["mosaicLayout"]["tiles"]}
        panels = {title: widget["logsPanel"]["filter"] for title, widget in widgets.items() if "logsPanel" in widget}
        assert set(panels) == {f"{'/'.join(kind)}: newest complete periods" for kind in KINDS}
        for aggregation, frequency in KINDS:
            log_filter = panels[f"{aggregation}/{frequency}: newest complete periods"]
            assert f'jsonPayload.aggregation="{aggregation}" AND jsonPayload.frequency="{frequency}"' in log_filter
        queries = {
            title: widget["xyChart"]["dataSets"][0]["timeSeriesQuery"]["prometheusQuery"]
            for title, widget in widgets.items()
            if "xyChart" in widget
        }
        assert "_bytes_sum{" in queries["Bytes copied a day"]
        assert "error_type" in queries["Periods not completed a day, by reason"]
        assert "failed_checks" in queries["Checks a day that found a period missing"]
        assert "queue_depth" in queries["Tasks in the queue"]
        without = resources("no_queue", "google_monitoring_dashboard")["exports"]["dashboard_json"]
        assert "queue_depth" not in without


class TestTheQueue:
    def test_cloud_tasks_may_create_tokens_only_of_the_account_that_calls_the_function(self) -> None:
        (binding,) = resources("defaults", "google_service_account_iam_member").values()
        assert re.search(
            r'"cloud_tasks_acts_as_invoke" \{[^}]*service_account_id = google_service_account.invoke.name',
            (MODULE / "queue.tf").read_text(),
        )
        assert binding["member"] == CLOUD_TASKS_AGENT

    def test_retries_a_task_as_often_as_its_alert_says(self) -> None:
        """With the waits by Google's rule, as the stand-in computes them, an outage of an hour loses no period."""
        (queue,) = resources("defaults", "google_cloud_tasks_queue").values()
        retries = queue["retry_config"][0]
        rules = RetryRules(
            max_attempts=retries["max_attempts"],
            min_backoff_s=float(retries["min_backoff"].rstrip("s")),
            max_backoff_s=float(retries["max_backoff"].rstrip("s")),
            max_doublings=retries["max_doublings"],
        )
        waits_min = [rules.backoff_s(failures) / 60 for failures in range(1, rules.max_attempts)]
        assert waits_min == [1, 2, 4, 8, 16, 32, 48]
        assert rules == RetryRules(), "the stand-in has the same defaults"
        alert = resources("defaults", "google_monitoring_alert_policy")["backfill_stuck/0"]
        assert "tries each task 8 times in some two hours" in alert["documentation"][0]["content"]

    def test_is_as_fast_as_the_instances_allow(self) -> None:
        limits = {
            run: resources(run, "google_cloud_tasks_queue")["backfill/0"]["rate_limits"][0]
            for run in ("defaults", "one_instance")
        }
        assert [limit["max_concurrent_dispatches"] for limit in limits.values()] == [2, 1]
        assert [limit["max_dispatches_per_second"] for limit in limits.values()] == [20, 10]

    def test_its_alert_is_about_this_queue_and_opens_after_two_hours(self) -> None:
        alert = resources("one_instance", "google_monitoring_alert_policy")["backfill_stuck/0"]
        (condition,) = alert["conditions"][0]["condition_prometheus_query_language"]
        labels = 'monitored_resource="cloud_tasks_queue",queue_id="analytics-export-2"'
        assert condition["query"] == (
            f"(max(cloudtasks_googleapis_com:queue_depth{{{labels}}}) > 0) unless "
            f'(sum(increase(cloudtasks_googleapis_com:queue_task_attempt_count{{{labels},response_code="ok"}}[2h])) > 0)'
        )
        assert condition["duration"] == "7200s"
        for command in ("resume", "purge"):
            assert outputs("one_instance")[f"{command}_backfill_command"] in alert["documentation"][0]["content"]


class TestOutputs:
    def test_the_function_accepts_the_backfill_command(self) -> None:
        command = outputs("defaults")["backfill_command"]
        body = re.search(r"-d '(.*)'", command)
        assert body
        filled_in = body[1].replace("YYYY-MM-DD", "2022-04-01", 1).replace("YYYY-MM-DD", "2022-04-30")
        now = datetime(2024, 5, 15, tzinfo=UTC)
        request = export_request.parse(body=filled_in.encode(), query={}, schedule_time=None, clock=lambda: now)
        assert len(request.exports) == 30
        assert request.purpose is export_request.Purpose.ENQUEUE

    def test_a_backfill_uses_the_queue_if_there_is_one(self) -> None:
        with_queue, without = (
            json.loads(re.search(r"-d '(.*)'", outputs(run)["backfill_command"])[1])  # type: ignore[index] # fails the test as it should
            for run in ("defaults", "no_queue")
        )
        assert with_queue == {**without, "enqueue": True}

    def test_the_queues_commands_name_the_queue_its_location_and_project(self) -> None:
        for name in ("watch", "pause", "resume", "purge"):
            words = shlex.split(outputs("one_instance")[f"{name}_backfill_command"])
            assert words[:2] == ["gcloud", "tasks"]
            assert "analytics-export-2" in words
            assert words[words.index("--location") + 1] == "europe-west1"
            assert words[words.index("--project") + 1] == "my-project"

    def test_the_check_command_calls_a_route_of_the_function_with_a_token(self) -> None:
        words = shlex.split(outputs("defaults")["check_command"])
        uri = resources("defaults", "google_cloudfunctions2_function")["export"]["service_config"][0]["uri"]
        assert words[2].startswith(uri)
        assert "GET" in main.ROUTES[words[2].removeprefix(uri)]
        assert words[3:] == ["-H", "Authorization: Bearer $(gcloud auth print-identity-token)"]

    def test_run_now_commands_name_jobs_that_exist(self) -> None:
        commands = outputs("everything")["run_now_commands"]
        assert len(commands) == 6
        for command in commands.values():
            assert command.split()[4] in jobs("everything")

    def test_a_typed_key_reaches_the_secret_that_the_function_reads(self, tmp_path: Path) -> None:
        """Run as in the README, with a `gcloud` that only records its arguments and its input."""
        gcloud = tmp_path / "gcloud"
        gcloud.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/input\n')
        gcloud.chmod(0o755)
        subprocess.run(
            ["bash", "-c", f"eval {shlex.quote(outputs('defaults')['add_key_command'])}"],
            input=r"a \key $with 'quotes'" + "\n",
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            text=True,
            check=True,
        )
        (secret,) = resources("defaults", "google_secret_manager_secret").values()
        assert (tmp_path / "input").read_text() == r"a \key $with 'quotes'"
        assert (tmp_path / "arguments").read_text().split()[:4] == ["secrets", "versions", "add", secret["secret_id"]]


def _matches(uri: str, name: str) -> bool:
    """Whether BigQuery's URI pattern matches; its only wildcard `*` matches any characters."""
    return re.fullmatch(re.escape(uri).replace(r"\*", ".*"), name) is not None


def _validation(variable: str, message: str) -> str:
    """The text of a variable's validation, found by the start of its error message."""
    block = (MODULE / "variables.tf").read_text().split(f'variable "{variable}" {{')[1].split("\nvariable ")[0]
    (found,) = [part for part in block.split("validation {") if f'error_message = "{message}' in part]
    return found
