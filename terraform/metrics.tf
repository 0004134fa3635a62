# What the alerts and the dashboard count. Everything is counted in log lines: of the function, and of Cloud Scheduler, so
# that a call which never reached the function counts too.
locals {
  _function_log = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=\"${var.name}\"",
    "resource.labels.location=\"${var.region}\"",
  ])
  _export_jobs = [for export in values(local.scheduled_exports) : export.job]
  _check_jobs  = [for check in values(local.checks) : check.job]

  _attempt_finished = "jsonPayload.\"@type\"=\"type.googleapis.com/google.cloud.scheduler.logging.AttemptFinished\""
  _check_attempts = join(" AND ", [
    "resource.type=\"cloud_scheduler_job\"",
    "resource.labels.job_id=(${join(" OR ", [for job in local._check_jobs : "\"${job}\""])})",
    local._attempt_finished,
  ])

  # Of a secret without any version. A version that was disabled or destroyed is another line: there was a key once.
  _no_key_line = "jsonPayload.error_type=\"misconfigured\" AND jsonPayload.detail:\"API_KEY_SECRET\" AND jsonPayload.detail:\"does not exist\""

  # PromQL writes a metric's first / as : and wants the resource named. Conditions in PromQL because
  # others are refused until a new metric has had its first point, up to ten minutes after it was made.
  _promql = {
    bytes           = "logging_googleapis_com:user_${google_logging_metric.bytes.name}_sum{monitored_resource=\"cloud_run_revision\"}"
    completed       = "logging_googleapis_com:user_${google_logging_metric.completed.name}{monitored_resource=\"cloud_run_revision\"}"
    failed_attempts = "logging_googleapis_com:user_${google_logging_metric.failed_attempts.name}{monitored_resource=\"cloud_scheduler_job\"}"
    failed_checks   = "logging_googleapis_com:user_${google_logging_metric.failed_checks.name}{monitored_resource=\"cloud_scheduler_job\"}"
    no_key          = "logging_googleapis_com:user_${google_logging_metric.no_key.name}{monitored_resource=\"cloud_run_revision\"}"
    problems        = "logging_googleapis_com:user_${google_logging_metric.problems.name}{monitored_resource=\"cloud_run_revision\"}"
  }
  _promql_of_check = {
    for key, check in local.checks : key => {
      failed = "logging_googleapis_com:user_${google_logging_metric.failed_checks.name}{monitored_resource=\"cloud_scheduler_job\",job_id=\"${check.job}\"}"
      passed = "logging_googleapis_com:user_${google_logging_metric.passed_checks.name}{monitored_resource=\"cloud_scheduler_job\",job_id=\"${check.job}\"}"
    }
  }
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

resource "google_logging_metric" "failed_attempts" {
  project     = var.project_id
  name        = "${local.underscored_name}_failed_attempts"
  description = "Attempts of the export jobs that were answered with an error or not at all"
  filter = join(" AND ", [
    "resource.type=\"cloud_scheduler_job\"",
    "resource.labels.job_id=(${join(" OR ", [for job in local._export_jobs : "\"${job}\""])})",
    local._attempt_finished,
    "severity>=ERROR",
  ])

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.api]
}

resource "google_logging_metric" "failed_checks" {
  project     = var.project_id
  name        = "${local.underscored_name}_failed_checks"
  description = "Checks that found a due period missing, or got no answer"
  filter      = "${local._check_attempts} AND severity>=ERROR"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.api]
}

resource "google_logging_metric" "passed_checks" {
  project     = var.project_id
  name        = "${local.underscored_name}_passed_checks"
  description = "Checks that found every due period complete"
  filter      = "${local._check_attempts} AND severity<ERROR"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.api]
}

# Between the first apply and the day the key is added every run says this, and nothing is wrong. Later it is.
resource "google_logging_metric" "no_key" {
  project     = var.project_id
  name        = "${local.underscored_name}_no_key"
  description = "Periods that a run could not complete because the secret has no version"
  filter      = "${local._function_log} AND ${local._no_key_line}"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.api]
}

resource "google_logging_metric" "bytes" {
  project         = var.project_id
  name            = "${local.underscored_name}_bytes"
  description     = "Bytes that a run copied for a period"
  filter          = "${local._function_log} AND jsonPayload.message=\"export_complete\""
  value_extractor = "EXTRACT(jsonPayload.bytes_copied)"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "By"
    labels {
      key        = "aggregation"
      value_type = "STRING"
    }
    labels {
      key        = "frequency"
      value_type = "STRING"
    }
  }
  label_extractors = {
    aggregation = "EXTRACT(jsonPayload.aggregation)"
    frequency   = "EXTRACT(jsonPayload.frequency)"
  }
  bucket_options {
    exponential_buckets {
      num_finite_buckets = 20
      growth_factor      = 4
      scale              = 1024 # 1 KiB, 4 KiB, ... beyond any export
    }
  }

  depends_on = [google_project_service.api]
}
