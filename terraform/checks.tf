# Is everything there that should be? Every night a job for each export asks the function, which reads the bucket, and the job
# fails (503 `periods-missing`) while a due period is missing. Daily, weekly and monthly exports go the same way: an absence
# window of Cloud Monitoring ends at 24 hours, counts log lines instead of what is there, and cannot tell a paused export
# from one that has nothing to do.
locals {
  # Periods are due from 08:00 UTC on. Before that hour every scheduled run, retry and catch-up of the day before has had
  # its turn, whatever hours they are set to. Two checks, so that one hiccup is no alert, and so that never more than
  # 20 hours pass without one.
  _check_hours = "3,7"

  checks = {
    for key, export in local.scheduled_exports : key => merge(export, {
      job   = "${export.job}-check"
      since = local._asked_since[key]
      runs_when_due = anytrue([
        for cron in concat([export.schedule], export.catch_up_last > 0 ? [export.catch_up_schedule] : []) :
        can(regex(local._days_when_due[export.frequency], join(" ", slice(split(" ", cron), 2, 5))))
      ])
    })
  }

  # Day of the month, month and day of the week of a cron schedule that fires on the day on which periods become due.
  _days_when_due = {
    daily   = "^\\* \\* \\*$"
    weekly  = "^\\* \\* (\\*|(1|(?i:mon))([,-].*)?)$"
    monthly = "^(\\*|1([,-].*)?) \\* \\*$"
  }

  # An export that was given up before it was watched is asked for its last period: `from` after `to` would be refused.
  _asked_since = {
    for key, export in local.scheduled_exports : key => coalesce(
      export.since, sort(compact([local._watched_since[key][export.frequency], export.until]))[0]
    )
  }

  _watched_since = {
    for key, moment in time_static.watched : key => {
      daily = formatdate("YYYY-MM-DD", moment.rfc3339)
      weekly = formatdate("YYYY-MM-DD", timeadd(moment.rfc3339, "${24 * index(
        ["Mon", "Sun", "Sat", "Fri", "Thu", "Wed", "Tue"], formatdate("EEE", moment.rfc3339)
      )}h"))
      monthly = (
        formatdate("DD", moment.rfc3339) == "01" ? formatdate("YYYY-MM-DD", moment.rfc3339) :
        formatdate("YYYY-MM-'01'", timeadd(formatdate("YYYY-MM-'01T00:00:00Z'", moment.rfc3339), "768h")) # 32 days on
      )
    }
  }
}

# The day from which an export without `since` is watched: that of the apply which made its entry. The first period that
# begins on it or later is the first one that has to be there.
resource "time_static" "watched" {
  for_each = local.scheduled_exports
}

resource "google_cloud_scheduler_job" "check" {
  for_each = local.checks

  project          = var.project_id
  region           = local.scheduler_region
  name             = each.value.job
  description      = "Fails while a ${each.value.frequency} ${each.value.aggregation} period that is due is missing"
  schedule         = "${local._minutes[each.key]} ${local._check_hours} * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "180s"

  http_target {
    http_method = "GET"
    uri         = "${google_cloudfunctions2_function.export.service_config[0].uri}/?aggregation=${each.value.aggregation}&frequency=${each.value.frequency}&from=${each.value.since}${each.value.until == null ? "" : "&to=${each.value.until}"}&require_complete=true"

    oidc_token {
      service_account_email = google_service_account.invoke.email
      audience              = google_cloudfunctions2_function.export.service_config[0].uri
    }
  }

  lifecycle {
    precondition {
      condition     = each.value.runs_when_due
      error_message = "exports.\"${each.key}\": neither its schedule nor its catch-up runs on the day its periods appear (daily: every day; weekly: Monday; monthly: the 1st), so the alert on missing periods would fire before the export. Let one of the two run on that day."
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.invoke]
}
