# The way of a large backfill: a call with "enqueue" puts a task for each missing period into this queue, and the queue
# calls the function with each of them, on several instances, again where one failed.
locals {
  queue_name   = coalesce(var.queue.name, var.name)
  queue_region = coalesce(var.queue.region, var.region)
  queue_id     = "projects/${var.project_id}/locations/${local.queue_region}/queues/${local.queue_name}"

  # An instance serves one request at a time, and a request that finds none free is answered 429, which slows the whole
  # queue down. So one instance stays free for Cloud Scheduler and for other callers.
  queue_concurrency = max(1, var.function.max_instances - 1)

  _queue_place  = "--project ${var.project_id} --location ${local.queue_region}"
  _queue_watch  = "gcloud tasks list --queue ${local.queue_name} ${local._queue_place} --format 'value(name)' | wc -l"
  _queue_pause  = "gcloud tasks queues pause ${local.queue_name} ${local._queue_place}"
  _queue_resume = "gcloud tasks queues resume ${local.queue_name} ${local._queue_place}"
  _queue_purge  = "gcloud tasks queues purge ${local.queue_name} ${local._queue_place}"

  _queue_promql = "monitored_resource=\"cloud_tasks_queue\",queue_id=\"${local.queue_name}\""
}

resource "google_project_service" "cloud_tasks" {
  count = var.queue.enabled ? 1 : 0

  project            = var.project_id
  service            = "cloudtasks.googleapis.com"
  disable_on_destroy = false # others in the project may use it
}

resource "google_cloud_tasks_queue" "backfill" {
  count = var.queue.enabled ? 1 : 0

  project  = var.project_id
  location = local.queue_region
  name     = local.queue_name

  # The target is named here and not in each task: the function needs to know neither its own address nor an account whose
  # token it may ask for, only the queue's name. ALWAYS puts this host in place of the one in a task.
  http_target {
    http_method = "POST"

    uri_override {
      scheme                    = "HTTPS"
      host                      = trimprefix(google_cloudfunctions2_function.export.service_config[0].uri, "https://")
      uri_override_enforce_mode = "ALWAYS"
    }

    oidc_token {
      service_account_email = google_service_account.invoke.email
      audience              = google_cloudfunctions2_function.export.service_config[0].uri
    }
  }

  rate_limits {
    max_concurrent_dispatches = local.queue_concurrency
    max_dispatches_per_second = 10 * local.queue_concurrency # more than an instance can do of the shortest periods
  }

  # Waits 1, 2, 4, 8, 16, 32 and 48 minutes: an outage of an hour costs no period. What is still missing then, the
  # catch-up or the next backfill finds.
  retry_config {
    max_attempts       = 8
    max_retry_duration = "0s" # no limit but max_attempts
    min_backoff        = "60s"
    max_backoff        = "3600s"
    max_doublings      = 4
  }

  stackdriver_logging_config {
    sampling_ratio = 1 # every attempt and its answer; off by default
  }

  depends_on = [google_cloud_run_v2_service_iam_member.invoke, google_project_service.cloud_tasks]
}

resource "google_cloud_tasks_queue_iam_member" "run" {
  count = var.queue.enabled ? 1 : 0

  project  = var.project_id
  location = google_cloud_tasks_queue.backfill[0].location
  name     = google_cloud_tasks_queue.backfill[0].name
  role     = "roles/cloudtasks.enqueuer"
  member   = google_service_account.run.member
}

# Cloud Tasks' own agent makes the tokens of the account that calls the function. It is there once the API is on.
resource "google_service_account_iam_member" "cloud_tasks_acts_as_invoke" {
  count = var.queue.enabled ? 1 : 0

  service_account_id = google_service_account.invoke.name
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:service-${google_storage_bucket.source.project_number}@gcp-sa-cloudtasks.iam.gserviceaccount.com"

  depends_on = [google_cloud_tasks_queue.backfill]
}

# A single period may take half an hour a try and several tries; two hours without one that is done are too long, and
# they have to last two hours more, so that the first periods of a backfill have their time.
resource "google_monitoring_alert_policy" "backfill_stuck" {
  count = var.queue.enabled ? 1 : 0

  project               = var.project_id
  display_name          = local.runbooks["backfill_stuck"].title
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local._channels
  user_labels           = var.labels

  conditions {
    display_name = "The queue holds tasks, and none was done for two hours"
    condition_prometheus_query_language {
      query                     = "(max(cloudtasks_googleapis_com:queue_depth{${local._queue_promql}}) > 0) unless (sum(increase(cloudtasks_googleapis_com:queue_task_attempt_count{${local._queue_promql},response_code=\"ok\"}[2h])) > 0)"
      duration                  = "7200s"
      evaluation_interval       = "300s"
      disable_metric_validation = true
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  documentation {
    mime_type = "text/markdown"
    subject   = local.runbooks["backfill_stuck"].title
    content   = local.runbooks["backfill_stuck"].content

    dynamic "links" {
      for_each = local.runbooks["backfill_stuck"].links
      content {
        display_name = links.value.display_name
        url          = links.value.url
      }
    }
  }

  depends_on = [google_project_service.api, google_project_service.cloud_tasks]
}
