# Runs that fail.

locals {
  _attempts = local.retry_count + 1
}

# The catch-up jobs are left out: after the first deployment they ask for periods from before the export
# was activated, which will never be there.
resource "google_monitoring_alert_policy" "gave_up" {
  project               = var.project_id
  display_name          = local.runbooks["gave_up"].title
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local._channels
  user_labels           = var.labels

  conditions {
    display_name = "All ${local._attempts} attempts of an export job failed"
    condition_prometheus_query_language {
      # Half an attempt of slack: PromQL may interpolate at the edges of the window. Eight hours hold the
      # first attempt, the waits and half an hour for each attempt.
      query                     = "(sum by (job_id) (increase(${local._promql.failed_attempts}[8h])) > ${local._attempts - 0.5}) unless on () ${local._waiting_for_key}"
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
    subject   = local.runbooks["gave_up"].title
    content   = local.runbooks["gave_up"].content

    dynamic "links" {
      for_each = local.runbooks["gave_up"].links
      content {
        display_name = links.value.display_name
        url          = links.value.url
      }
    }
  }

  depends_on = [google_project_service.api]
}

# A secret without any version is left to key_missing, which knows whether there ever was a key.
resource "google_monitoring_alert_policy" "key_refused" {
  project               = var.project_id
  display_name          = local.runbooks["key_refused"].title
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local._channels
  user_labels           = var.labels

  conditions {
    display_name = "The export service refused the key, or a setting, the secret's rights or the bucket are wrong"
    condition_matched_log {
      filter           = "${local._function_log} AND jsonPayload.error_type=(\"export-service-refused\" OR \"misconfigured\") AND NOT (${local._no_key_line})"
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
    subject   = local.runbooks["key_refused"].title
    content   = local.runbooks["key_refused"].content

    dynamic "links" {
      for_each = local.runbooks["key_refused"].links
      content {
        display_name = links.value.display_name
        url          = links.value.url
      }
    }
  }

  depends_on = [google_project_service.api]
}

# The two hours between what was complete and the run without a key: right after the first key was added, both are there
# in the other order, and nothing is wrong.
resource "google_monitoring_alert_policy" "key_missing" {
  project               = var.project_id
  display_name          = local.runbooks["key_missing"].title
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local._channels
  user_labels           = var.labels

  conditions {
    display_name = "The secret has no version, though exports were complete hours before"
    condition_prometheus_query_language {
      query                     = "(sum(increase(${local._promql.no_key}[2h])) > 0.5) and (sum(increase(${local._promql.completed}[20h] offset 2h)) > 0.5)"
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
    subject   = local.runbooks["key_missing"].title
    content   = local.runbooks["key_missing"].content

    dynamic "links" {
      for_each = local.runbooks["key_missing"].links
      content {
        display_name = links.value.display_name
        url          = links.value.url
      }
    }
  }

  depends_on = [google_project_service.api]
}
