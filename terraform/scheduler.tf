locals {
  # Waits 15, 30, 60, 60 and 60 minutes: an export that is late by hours is still fetched the same day.
  retry_count = 5

  _jobs = merge(
    {
      for export in values(local.scheduled_exports) : export.job => {
        description = "Exports the last finished ${export.frequency} ${export.aggregation} period"
        schedule    = export.schedule
        retry_count = local.retry_count
        body        = { aggregation = export.aggregation, frequency = export.frequency }
      }
    },
    {
      for export in values(local.scheduled_exports) : "${export.job}-catch-up" => {
        description = "Exports what is missing of the last ${export.catch_up_last} ${export.frequency} ${export.aggregation} periods"
        schedule    = export.catch_up_schedule
        retry_count = 2 # the next catch-up is never far
        body        = { aggregation = export.aggregation, frequency = export.frequency, last = export.catch_up_last }
      } if export.catch_up_last > 0
    },
    {
      for export in values(local.scheduled_exports) : "${export.job}-refresh" => {
        description = "Compares the last ${export.refresh_last} ${export.frequency} ${export.aggregation} periods with Usercentrics and copies what was issued again"
        schedule    = export.refresh_schedule
        retry_count = 2
        body        = { aggregation = export.aggregation, frequency = export.frequency, last = export.refresh_last, refresh = true }
      } if export.refresh_last > 0
    },
  )
}

# The only binding on the service: no other account may call it. It is created again with the function,
# because a replaced function loses it.
resource "google_cloud_run_v2_service_iam_member" "invoke" {
  project  = var.project_id
  location = google_cloudfunctions2_function.export.location
  name     = google_cloudfunctions2_function.export.name
  role     = "roles/run.invoker"
  member   = google_service_account.invoke.member

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.export.id]
  }
}

resource "google_cloud_scheduler_job" "export" {
  for_each = local._jobs

  project          = var.project_id
  region           = local.scheduler_region
  name             = each.key
  description      = each.value.description
  schedule         = each.value.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "${local.timeout_seconds}s"

  retry_config {
    retry_count          = each.value.retry_count
    min_backoff_duration = "900s"
    max_backoff_duration = "3600s"
    max_doublings        = 2
    max_retry_duration   = "0s" # no limit but retry_count
  }

  http_target {
    http_method = "POST"
    uri         = google_cloudfunctions2_function.export.service_config[0].uri
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode(jsonencode(each.value.body))

    oidc_token {
      service_account_email = google_service_account.invoke.email
      audience              = google_cloudfunctions2_function.export.service_config[0].uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.invoke]
}
