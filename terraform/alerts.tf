# What every alert has in common: where it is read, and the page that it carries.
locals {
  _channels = concat([for channel in google_monitoring_notification_channel.email : channel.id], sort(var.alerts.channels))

  # Before a key was added, runs fail and periods stay missing without anything being wrong. A day, because what failed
  # without a key is over only when the next night's checks are.
  _waiting_for_key = "(sum(increase(${local._promql.no_key}[24h])) > 0.5)"

  _runbooks = "${path.module}/../docs/runbooks"
  _runbook_words = {
    bucket           = local.bucket
    dataset          = local.dataset_id
    name             = var.name
    project          = var.project_id
    queue            = local.queue_name
    queue_region     = local.queue_region
    region           = var.region
    scheduler_region = local.scheduler_region
    secret           = google_secret_manager_secret.api_key.secret_id
  }
  _pages = merge(
    {
      for alert in ["backfill_stuck", "columns_changed", "gave_up", "key_missing", "key_refused", "silent"] :
      alert => templatefile("${local._runbooks}/${alert}.md", local._runbook_words)
    },
    {
      for key, check in local.checks : "missing ${key}" => templatefile("${local._runbooks}/missing.md", merge(local._runbook_words, {
        aggregation  = check.aggregation
        catch_up_job = check.catch_up_last > 0 ? "${trimsuffix(check.job, "-check")}-catch-up" : trimsuffix(check.job, "-check")
        frequency    = check.frequency
        job          = trimsuffix(check.job, "-check")
        key          = key
        since        = check.since
      }))
    },
  )

  # The page's title is the alert's name. With an address for the rest, the first lines are enough; without, an e-mail
  # carries the whole page.
  runbooks = {
    for alert, page in local._pages : alert => {
      title   = "${var.name}: ${trimprefix(split("\n", page)[0], "# ")}"
      content = trimspace(trimprefix(var.alerts.runbooks_url == null ? page : split("\n## ", page)[0], split("\n", page)[0]))
      links = var.alerts.runbooks_url == null ? [] : [
        { display_name = "Runbook", url = "${trimsuffix(var.alerts.runbooks_url, "/")}/${split(" ", alert)[0]}.md" }
      ]
    }
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
