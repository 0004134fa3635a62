# Which views come with which tables, with mocked providers. tests/terraform/ in the repository takes the views'
# queries out of these plans, gives them to Google's analyzer and runs them.
mock_provider "google" {
  override_during = plan

  mock_resource "google_cloudfunctions2_function" {
    defaults = { service_config = { uri = "https://analytics-export-abc-ey.a.run.app" } }
  }
  mock_resource "google_storage_bucket" {
    defaults = { project_number = 123456789012 }
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
}

run "known_columns" {
  command = plan

  variables {
    bucket = { name = "my-bucket", object_prefix = "some/" }
    tables = {
      "granular/daily"      = { columns = [{ name = "day" }, { name = "settings_id" }, { name = "dps_id" }, { name = "consent" }, { name = "action" }, { name = "total" }, { name = "country" }, { name = "os" }, { name = "browser" }] }
      "granular/weekly"     = { columns = [{ name = "day", type = "DATE" }, { name = "settings_id" }, { name = "dps_id", type = "INTEGER" }, { name = "consent", type = "INTEGER" }, { name = "action", type = "INT64" }, { name = "total", type = "INTEGER" }, { name = "country" }, { name = "os" }, { name = "browser" }] }
      "granular/monthly"    = { columns = [{ name = "files" }, { name = "complete" }, { name = "exports" }, { name = "object" }, { name = "browser" }, { name = "os" }, { name = "country" }, { name = "total", type = "FLOAT" }, { name = "action", type = "NUMERIC" }, { name = "Consent", type = "BOOL" }, { name = "dps_id" }, { name = "settings_id" }, { name = "day", type = "TIMESTAMP" }], column_match = "POSITION" }
      "interaction/daily"   = { columns = [{ name = "day" }, { name = "event_type" }, { name = "settings_id" }, { name = "host" }, { name = "country" }, { name = "browser" }, { name = "device_type" }, { name = "os" }, { name = "number" }] }
      "interaction/weekly"  = { columns = [{ name = "day", type = "DATETIME" }, { name = "event_type", type = "INTEGER" }, { name = "settings_id" }, { name = "host" }, { name = "country" }, { name = "browser" }, { name = "device_type" }, { name = "os" }, { name = "number", type = "INTEGER" }], field_delimiter = ";", encoding = "ISO-8859-1", compression = "GZIP" }
      "interaction/monthly" = { columns = [{ name = "events" }, { name = "counts" }, { name = "complete" }, { name = "displays" }, { name = "accepts" }, { name = "number", type = "NUMERIC" }, { name = "os" }, { name = "device_type" }, { name = "browser", type = "BOOL" }, { name = "country" }, { name = "host" }, { name = "settings_id" }, { name = "event_type", type = "FLOAT64" }, { name = "day", type = "DATE" }], require_partition_filter = true }
    }
  }

  assert {
    condition     = length(google_bigquery_table.decoded) == 6 && length(google_bigquery_table.rates) == 6
    error_message = "Where the known columns are there, so is every view, whatever their types, their order and their case."
  }
  assert {
    condition = alltrue([
      for table in values(google_bigquery_table.files) : table.external_data_configuration[0].csv_options[0].allow_jagged_rows
    ])
    error_message = "A row that is shorter than the table is read: files from before a column was added have such."
  }
  assert {
    condition = (
      google_bigquery_table.files["interaction/weekly"].external_data_configuration[0].csv_options[0].field_delimiter == ";" &&
      google_bigquery_table.files["interaction/weekly"].external_data_configuration[0].csv_options[0].encoding == "ISO-8859-1" &&
      google_bigquery_table.files["interaction/weekly"].external_data_configuration[0].compression == "GZIP" &&
      google_bigquery_table.files["granular/daily"].external_data_configuration[0].csv_options[0].field_delimiter == "," &&
      google_bigquery_table.files["granular/daily"].external_data_configuration[0].csv_options[0].encoding == "UTF-8" &&
      google_bigquery_table.files["granular/daily"].external_data_configuration[0].compression == "NONE"
    )
    error_message = "The files are read as `tables` says that they are written."
  }
  assert {
    condition = alltrue([
      for key, table in google_bigquery_table.rates : strcontains(table.description, startswith(key, "interaction/") ? "Bots (browser = 'bot') are left out" : "Bots and sessions without a choice are counted")
    ])
    error_message = "Each view of rates says what it does with bots."
  }
}

run "other_columns" {
  command = plan

  variables {
    tables = {
      "granular/daily"      = { columns = [{ name = "settingsId" }, { name = "consent", type = "INTEGER" }, { name = "action" }, { name = "note" }] }
      "granular/weekly"     = { columns = [{ name = "day" }, { name = "settings_id" }, { name = "dps_id" }, { name = "consent" }, { name = "action" }, { name = "total" }, { name = "country" }, { name = "os" }, { name = "browser" }, { name = "Consent_Name" }] }
      "granular/monthly"    = {}
      "interaction/daily"   = { columns = [{ name = "event_type" }, { name = "count" }] }
      "interaction/weekly"  = { columns = [{ name = "day" }, { name = "event_type" }, { name = "settings_id" }, { name = "host" }, { name = "country" }, { name = "browser" }, { name = "device_type" }, { name = "os" }, { name = "number" }, { name = "event_name" }] }
      "interaction/monthly" = { columns = [{ name = "day", type = "TIME" }, { name = "event_type", type = "JSON" }, { name = "settings_id" }, { name = "host" }, { name = "country" }, { name = "browser" }, { name = "device_type" }, { name = "os" }, { name = "number" }] }
    }
  }

  assert {
    condition     = length(google_bigquery_table.complete) == 6
    error_message = "Complete periods can be read whatever the columns are."
  }
  assert {
    condition     = toset(keys(google_bigquery_table.decoded)) == toset(["granular/daily", "interaction/daily"])
    error_message = "Codes are decoded where they are given and readable, and no column of a view's own is there already."
  }
  assert {
    condition     = toset(keys(google_bigquery_table.rates)) == toset(["granular/weekly", "interaction/weekly"])
    error_message = "Rates come with all that they need, and only then."
  }
}

run "deletion" {
  command = plan

  variables {
    bucket = { delete_after_days = 30 }
    tables = { "granular/daily" = { columns = [{ name = "day" }, { name = "settings_id" }, { name = "dps_id" }, { name = "consent" }, { name = "action" }, { name = "total" }, { name = "country" }, { name = "os" }, { name = "browser" }] } }
  }
}

run "deletion_elsewhere" {
  command = plan

  variables {
    bucket   = { create = false, name = "example-data-lake" }
    bigquery = { files_deleted_after_days = 60 }
    tables   = { "granular/daily" = {} }
  }

  assert {
    condition     = strcontains(google_bigquery_table.complete["granular/daily"].view[0].query, "INTERVAL 60 DAY")
    error_message = "What deletes files elsewhere is known to the views here."
  }
}

run "expectations" {
  command = plan

  variables {
    bucket = { name = "my-bucket", object_prefix = "some/" }
    exports = {
      "granular/daily"      = { since = "2022-04-02", until = "2022-04-10" }
      "granular/weekly"     = { since = "2022-03-16" }
      "granular/monthly"    = { until = "9999-12-31" }
      "interaction/daily"   = {}
      "interaction/monthly" = { since = "2022-02-15" }
    }
    tables = { "granular/daily" = {}, "interaction/daily" = {} }
  }

  assert {
    condition = (
      length([for job in keys(google_cloud_scheduler_job.export) : job if startswith(job, "analytics-export-granular-daily")]) == 0 &&
      length(google_cloud_scheduler_job.export) == 12 &&
      !contains(keys(output.run_now_commands), "granular/daily")
    )
    error_message = "An export that was given up has no jobs, and one that will be has them still."
  }
}
