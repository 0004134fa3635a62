locals {
  _function_log = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=\"${var.name}\"",
    "resource.labels.location=\"${var.region}\"",
  ])
  _export_jobs = [for export in values(local.scheduled_exports) : export.job]
  _attempts    = local.retry_count + 1
  _channels    = [for channel in google_monitoring_notification_channel.email : channel.id]

  _read_log = "gcloud logging read 'resource.labels.service_name=\"${var.name}\" AND severity>=WARNING' --project ${var.project_id} --freshness 1d --format 'value(timestamp, jsonPayload.message, jsonPayload.file_prefix, jsonPayload.error_type, jsonPayload.detail)'"

  # PromQL writes a metric's first / as : and wants the resource named. Conditions in PromQL because
  # others are refused until a new metric has had its first point, up to ten minutes after it was made.
  _promql = {
    completed       = "logging_googleapis_com:user_${google_logging_metric.completed.name}{monitored_resource=\"cloud_run_revision\"}"
    failed_attempts = "logging_googleapis_com:user_${google_logging_metric.failed_attempts.name}{monitored_resource=\"cloud_scheduler_job\"}"
    problems        = "logging_googleapis_com:user_${google_logging_metric.problems.name}{monitored_resource=\"cloud_run_revision\"}"
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alerts.emails

  project      = var.project_id
  type         = "email"
  display_name = "${var.name}: ${each.key}"
  labels       = { email_address = each.key }
  user_labels  = var.labels
  depends_on   = [google_project_service.api]
}

resource "google_logging_metric" "completed" {
  project     = var.project_id
  name        = "${local.underscored_name}_completed"
  description = "Periods that a run found or made complete"
  filter      = "${local._function_log} AND jsonPayload.message=\"export_complete\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    labels {
      key        = "aggregation"
      value_type = "STRING"
    }
    labels {
      key        = "frequency"
      value_type = "STRING"
    }
    labels {
      key        = "status"
      value_type = "STRING"
    }
  }
  label_extractors = {
    aggregation = "EXTRACT(jsonPayload.aggregation)"
    frequency   = "EXTRACT(jsonPayload.frequency)"
    status      = "EXTRACT(jsonPayload.status)"
  }

  depends_on = [google_project_service.api]
}

resource "google_logging_metric" "problems" {
  project     = var.project_id
  name        = "${local.underscored_name}_problems"
  description = "Periods that a run could not complete"
  filter      = "${local._function_log} AND jsonPayload.message=(\"export_failed\" OR \"export_not_available\" OR \"export_incomplete\")"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    labels {
      key        = "aggregation"
      value_type = "STRING"
    }
    labels {
      key        = "error_type"
      value_type = "STRING"
    }
    labels {
      key        = "frequency"
      value_type = "STRING"
    }
  }
  label_extractors = {
    aggregation = "EXTRACT(jsonPayload.aggregation)"
    error_type  = "EXTRACT(jsonPayload.error_type)"
    frequency   = "EXTRACT(jsonPayload.frequency)"
  }

  depends_on = [google_project_service.api]
}

# Counted where Scheduler says it, so that a call which never reached the function counts too.
resource "google_logging_metric" "failed_attempts" {
  project     = var.project_id
  name        = "${local.underscored_name}_failed_attempts"
  description = "Attempts of the export jobs that were answered with an error or not at all"
  filter = join(" AND ", [
    "resource.type=\"cloud_scheduler_job\"",
    "resource.labels.job_id=(${join(" OR ", [for job in local._export_jobs : "\"${job}\""])})",
    "jsonPayload.\"@type\"=\"type.googleapis.com/google.cloud.scheduler.logging.AttemptFinished\"",
    "severity>=ERROR",
  ])

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.api]
}

# The catch-up jobs are left out: after the first deployment they ask for periods from before the export
# was activated, which will never be there.
resource "google_monitoring_alert_policy" "gave_up" {
  project               = var.project_id
  display_name          = "${var.name}: an export failed and its retries too"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local._channels
  user_labels           = var.labels

  conditions {
    display_name = "All ${local._attempts} attempts of an export job failed"
    condition_prometheus_query_language {
      # Half an attempt of slack: PromQL may interpolate at the edges of the window. Eight hours hold the
      # first attempt, the waits and half an hour for each attempt.
      query                     = "sum by (job_id) (increase(${local._promql.failed_attempts}[8h])) > ${local._attempts - 0.5}"
      duration                  = "0s"
      evaluation_interval       = "300s"
      disable_metric_validation = true
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "${var.name}: an export is not in the bucket"
    content   = <<-EOT
      An export job of ${var.name} was tried ${local._attempts} times and got no export. Nothing is lost: the next catch-up tries again.

      1. See why: `${local._read_log}`
      2. `not-available-yet`: Usercentrics had no export; if it stays so, ask them. `upstream-unavailable`, `deadline`: wait for the catch-up, or run the job again. Others: the detail says what to do.
      3. No line at all: the call did not get through. Look at the job: `gcloud scheduler jobs list --project ${var.project_id} --location ${local.scheduler_region}`
      4. Run it again: `gcloud scheduler jobs run JOB --project ${var.project_id} --location ${local.scheduler_region}`
    EOT
  }
}

resource "google_monitoring_alert_policy" "key_refused" {
  project               = var.project_id
  display_name          = "${var.name}: the API key or the set-up is refused"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local._channels
  user_labels           = var.labels

  conditions {
    display_name = "The export service refused the key, or a setting, the secret or the bucket is missing"
    condition_matched_log {
      filter           = "${local._function_log} AND jsonPayload.error_type=(\"export-service-refused\" OR \"misconfigured\")"
      label_extractors = { error_type = "EXTRACT(jsonPayload.error_type)" }
    }
  }

  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "21600s" # the retries of one day are one message
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "${var.name}: the API key or the set-up is refused"
    content   = <<-EOT
      No retry mends this; someone has to. First see which it is: `${local._read_log}`

      - `export-service-refused`: Usercentrics no longer takes the key. Ask them for a new one and add it: `${local.add_key_command}` The next run uses it; nothing needs to be deployed.
      - `misconfigured`: the detail names the setting, the secret or the bucket. If someone changed it by hand, `terraform apply` puts it back.

      Then catch up: `gcloud scheduler jobs run JOB-catch-up --project ${var.project_id} --location ${local.scheduler_region}`
    EOT
  }

  depends_on = [google_project_service.api]
}

# Healthy runs are not far apart: the exports in the morning, the catch-ups at noon and in the evening, which
# also say export_complete of what is there already. So a window of less than a day is wide enough, and stays
# within what every project may alert on. It fires too when a new deployment has exported
# nothing within its first hour: then the deployment is not finished.
resource "google_monitoring_alert_policy" "silent" {
  project               = var.project_id
  display_name          = "${var.name}: no complete export for ${var.alerts.silent_hours} hours"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local._channels
  user_labels           = var.labels

  conditions {
    display_name = "No run said export_complete for ${var.alerts.silent_hours} hours"
    condition_prometheus_query_language {
      query                     = "(sum(increase(${local._promql.completed}[${var.alerts.silent_hours}h])) or vector(0)) < 0.5"
      duration                  = "3600s"
      evaluation_interval       = "300s"
      disable_metric_validation = true
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "${var.name}: no complete export for ${var.alerts.silent_hours} hours"
    content   = <<-EOT
      Either nothing runs or nothing succeeds.

      1. Newly deployed? Add the API key and run an export: `${local.add_key_command}`
      2. Do the jobs run? `gcloud scheduler jobs list --project ${var.project_id} --location ${local.scheduler_region}` shows paused jobs and the last attempt's status. PERMISSION_DENIED: `terraform apply` puts the invoker's right back.
      3. Do the runs fail? `${local._read_log}`
      4. Which periods are missing: the view `missing_periods` in the dataset ${local.dataset_id}.
    EOT
  }

  lifecycle {
    precondition {
      condition     = local.longest_pause_hours + 2 <= var.alerts.silent_hours
      error_message = "alerts.silent_hours is ${var.alerts.silent_hours}, but nothing runs for up to ${local.longest_pause_hours} h a day. Expected at least 2 h more than that: give an entry of exports a catch-up at another hour, or raise silent_hours."
    }
  }
}

resource "google_monitoring_dashboard" "exports" {
  project = var.project_id
  dashboard_json = jsonencode({
    displayName = var.name
    mosaicLayout = {
      columns = 48
      tiles = [
        for position, tile in [
          { title = "Complete periods a day, by status", query = "sum by (aggregation, frequency, status) (increase(${local._promql.completed}[1d]))" },
          { title = "Periods not completed a day, by reason", query = "sum by (aggregation, frequency, error_type) (increase(${local._promql.problems}[1d]))" },
          { title = "Failed attempts of the export jobs a day", query = "sum by (job_id) (increase(${local._promql.failed_attempts}[1d]))" },
          { title = "Bytes in the bucket", query = "sum by (bucket_name) (storage_googleapis_com:storage_v2_total_bytes{monitored_resource=\"gcs_bucket\",bucket_name=\"${local.bucket_name}\"})" },
          { title = "Seconds a run, 95th percentile", query = "histogram_quantile(0.95, sum by (le) (increase(run_googleapis_com:request_latencies_bucket{monitored_resource=\"cloud_run_revision\",service_name=\"${var.name}\"}[1d]))) / 1000" },
          { title = "Memory in use, 99th percentile", query = "histogram_quantile(0.99, sum by (le) (increase(run_googleapis_com:container_memory_utilizations_bucket{monitored_resource=\"cloud_run_revision\",service_name=\"${var.name}\"}[1h])))" },
          ] : {
          xPos   = (position % 2) * 24
          yPos   = floor(position / 2) * 16
          width  = 24
          height = 16
          widget = {
            title = tile.title
            xyChart = {
              dataSets = [{ plotType = "LINE", timeSeriesQuery = { prometheusQuery = tile.query } }]
            }
          }
        }
      ]
    }
  })

  depends_on = [google_project_service.api]
}
