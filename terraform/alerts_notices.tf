# A notice, not an alarm: nothing is lost, a new column only is not in the tables yet.
resource "google_monitoring_alert_policy" "columns_changed" {
  count = var.alerts.columns_changed ? 1 : 0

  project               = var.project_id
  display_name          = local.runbooks["columns_changed"].title
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local._channels
  user_labels           = var.labels

  conditions {
    display_name = "An export's columns differ from those of the period before"
    condition_matched_log {
      filter = "${local._function_log} AND jsonPayload.message=\"columns_changed\""
      label_extractors = {
        aggregation = "EXTRACT(jsonPayload.aggregation)"
        frequency   = "EXTRACT(jsonPayload.frequency)"
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "86400s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = local.runbooks["columns_changed"].title
    content   = local.runbooks["columns_changed"].content

    dynamic "links" {
      for_each = local.runbooks["columns_changed"].links
      content {
        display_name = links.value.display_name
        url          = links.value.url
      }
    }
  }

  depends_on = [google_project_service.api]
}
