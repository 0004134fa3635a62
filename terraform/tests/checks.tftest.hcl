# From which day on an export is watched: the first whole period after the apply that made its entry.
mock_provider "google" {
  override_during = plan

  mock_resource "google_cloudfunctions2_function" {
    defaults = { service_config = { uri = "https://analytics-export-abc-ey.a.run.app" } }
  }
}
mock_provider "archive" {
  override_during = plan
}
mock_provider "time" {
  override_during = plan
}

variables {
  project_id   = "my-project"
  region       = "europe-west3"
  analytics_id = "my-analytics-id"
  exports      = { "granular/daily" = {}, "granular/weekly" = {}, "granular/monthly" = {} }
}

run "applied_on_a_monday_that_is_a_first" {
  command = plan
  override_resource {
    target          = time_static.watched
    override_during = plan
    values          = { rfc3339 = "2026-06-01T00:00:00Z" }
  }
  assert {
    condition     = { for key, check in local.checks : key => check.since } == { "granular/daily" = "2026-06-01", "granular/weekly" = "2026-06-01", "granular/monthly" = "2026-06-01" }
    error_message = "Periods that begin on the day itself are whole."
  }
  assert {
    condition     = google_cloud_scheduler_job.check["granular/weekly"].http_target[0].uri == "https://analytics-export-abc-ey.a.run.app/?aggregation=granular&frequency=weekly&from=2026-06-01&require_complete=true"
    error_message = "The question names the export and the day."
  }
  assert {
    condition = alltrue([
      for job in values(google_cloud_scheduler_job.check) :
      job.http_target[0].oidc_token[0].audience == "https://analytics-export-abc-ey.a.run.app" && job.http_target[0].http_method == "GET"
    ])
    error_message = "The token is for the function's address, without path and query."
  }
}

run "applied_on_a_sunday_before_new_year" {
  command = plan
  override_resource {
    target          = time_static.watched
    override_during = plan
    values          = { rfc3339 = "2028-12-31T23:59:59Z" }
  }
  assert {
    condition     = { for key, check in local.checks : key => check.since } == { "granular/daily" = "2028-12-31", "granular/weekly" = "2029-01-01", "granular/monthly" = "2029-01-01" }
    error_message = "The next day begins a week, a month and a year."
  }
}

run "applied_on_the_31st" {
  command = plan
  override_resource {
    target          = time_static.watched
    override_during = plan
    values          = { rfc3339 = "2028-01-31T08:00:00Z" }
  }
  assert {
    condition     = { for key, check in local.checks : key => check.since } == { "granular/daily" = "2028-01-31", "granular/weekly" = "2028-01-31", "granular/monthly" = "2028-02-01" }
    error_message = "The day after the 31st is the 1st of the next month, whose length does not matter."
  }
}

run "two_exports_added_on_different_days" {
  command = plan
  variables {
    exports = { "granular/weekly" = {}, "interaction/weekly" = {} }
  }
  override_resource {
    target          = time_static.watched["granular/weekly"]
    override_during = plan
    values          = { rfc3339 = "2026-06-02T12:00:00Z" }
  }
  override_resource {
    target          = time_static.watched["interaction/weekly"]
    override_during = plan
    values          = { rfc3339 = "2026-06-06T12:00:00Z" }
  }
  assert {
    condition     = { for key, check in local.checks : key => check.since } == { "granular/weekly" = "2026-06-08", "interaction/weekly" = "2026-06-08" }
    error_message = "The first whole week begins on the Monday after, from a Tuesday as from a Saturday."
  }
}

run "expected_from_a_day_to_another" {
  command = plan
  variables {
    exports = {
      "granular/daily"      = { since = "2024-01-01" }
      "granular/weekly"     = { until = "2999-05-03" }
      "granular/monthly"    = { since = "2024-01-15", until = "2999-05-03" }
      "interaction/daily"   = { until = "2022-04-10" }
      "interaction/monthly" = { until = "2999-01-31" }
    }
  }
  override_resource {
    target          = time_static.watched
    override_during = plan
    values          = { rfc3339 = "2999-01-21T10:00:00Z" }
  }
  assert {
    condition = { for key, job in google_cloud_scheduler_job.check : key => regex("&from=.*$", job.http_target[0].uri) } == {
      "granular/daily"      = "&from=2024-01-01&require_complete=true"
      "granular/weekly"     = "&from=2999-01-21&to=2999-05-03&require_complete=true"
      "granular/monthly"    = "&from=2024-01-15&to=2999-05-03&require_complete=true"
      "interaction/monthly" = "&from=2999-01-31&to=2999-01-31&require_complete=true"
    }
    error_message = "A check asks from since, or from the first whole period, to until; what was given up 40 days ago has none."
  }
  assert {
    condition     = toset(keys(time_static.watched)) == toset(keys(google_cloud_scheduler_job.check)) && toset(keys(google_monitoring_alert_policy.missing)) == toset(keys(google_cloud_scheduler_job.check)) && !strcontains(google_logging_metric.failed_attempts.filter, "interaction-daily")
    error_message = "An export that was given up is not watched either."
  }
}

run "a_daily_export_that_does_not_run_every_day" {
  command = plan
  variables {
    exports = { "granular/daily" = { schedule = "20 8 * * 1-5", catch_up_last = 0 } }
  }
  expect_failures = [google_cloud_scheduler_job.check]
}

run "a_weekly_export_on_tuesdays_without_a_catch_up" {
  command = plan
  variables {
    exports = { "granular/weekly" = { schedule = "20 8 * * 2", catch_up_last = 0 } }
  }
  expect_failures = [google_cloud_scheduler_job.check]
}

run "a_monthly_export_whose_catch_up_comes_on_the_15th" {
  command = plan
  variables {
    exports = { "granular/monthly" = { schedule = "20 8 2 * *", catch_up_schedule = "20 12 15 * *" } }
  }
  expect_failures = [google_cloud_scheduler_job.check]
}
