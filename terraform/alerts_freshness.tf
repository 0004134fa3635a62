# Is everything there? See checks.tf for who asks.

# An alert for each export, so that none hides behind another. It opens with the second of the night's checks, stays for ten
# hours or until a check passes, and comes again the next night while the period is missing: a message a day. Longer windows
# would still see the night before a key was added.
resource "google_monitoring_alert_policy" "missing" {
  for_each = local.checks

  project               = var.project_id
  display_name          = local.runbooks["missing ${each.key}"].title
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local._channels
  user_labels           = var.labels

  conditions {
    display_name = "Both checks of the night failed, and none has passed since"
    condition_prometheus_query_language {
      query                     = "((sum(increase(${local._promql_of_check[each.key].failed}[14h])) > 1.5) unless (sum(increase(${local._promql_of_check[each.key].passed}[14h])) > 0.5)) unless ${local._waiting_for_key}"
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
    subject   = local.runbooks["missing ${each.key}"].title
    content   = local.runbooks["missing ${each.key}"].content

    dynamic "links" {
      for_each = local.runbooks["missing ${each.key}"].links
      content {
        display_name = links.value.display_name
        url          = links.value.url
      }
    }
  }

  depends_on = [google_project_service.api]
}

# Who watches the checks: they come at most 20 hours apart, the first of them less than 20 hours after the first apply. A
# condition for each, because a sum would not miss one of them; six is all that a policy may have, and all there are.
resource "google_monitoring_alert_policy" "silent" {
  project               = var.project_id
  display_name          = local.runbooks["silent"].title
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local._channels
  user_labels           = var.labels

  dynamic "conditions" {
    for_each = local.checks
    content {
      display_name = "${conditions.key} was not checked for 22 hours"
      condition_prometheus_query_language {
        query                     = "((sum(increase(${local._promql_of_check[conditions.key].passed}[1h])) or vector(0)) + (sum(increase(${local._promql_of_check[conditions.key].failed}[1h])) or vector(0))) < 0.5"
        duration                  = "75600s" # 21 hours; together with the window less than the 25 that Cloud Monitoring allows
        evaluation_interval       = "300s"
        disable_metric_validation = true
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  documentation {
    mime_type = "text/markdown"
    subject   = local.runbooks["silent"].title
    content   = local.runbooks["silent"].content

    dynamic "links" {
      for_each = local.runbooks["silent"].links
      content {
        display_name = links.value.display_name
        url          = links.value.url
      }
    }
  }

  depends_on = [google_project_service.api]
}
