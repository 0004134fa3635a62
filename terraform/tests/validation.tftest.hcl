# Every value that a limit of a variable forbids, refused before anything is made. These runs need the variables alone:
# tests/terraform/ in the repository leaves the resources out, which is a hundred times faster.
mock_provider "google" {}
mock_provider "archive" {}
mock_provider "time" {}

variables {
  project_id   = "my-project"
  region       = "europe-west3"
  analytics_id = "my-analytics-id"
}

run "an_alert_to_no_address" {
  command = plan
  variables {
    alerts = { emails = ["nobody"] }
  }
  expect_failures = [var.alerts]
}

run "an_analytics_id_that_is_a_path" {
  command = plan
  variables {
    analytics_id = "acme/other"
  }
  expect_failures = [var.analytics_id]
}

run "a_dataset_with_a_dash" {
  command = plan
  variables {
    bigquery = { dataset_id = "analytics-export" }
  }
  expect_failures = [var.bigquery]
}

run "files_deleted_after_no_days" {
  command = plan
  variables {
    bucket   = { create = false, name = "example-data-lake" }
    bigquery = { files_deleted_after_days = 0 }
  }
  expect_failures = [var.bigquery]
}

run "files_deleted_elsewhere_in_a_bucket_of_this_module" {
  command = plan
  variables {
    bigquery = { files_deleted_after_days = 400 }
  }
  expect_failures = [var.bigquery]
}

run "readers_that_are_everyone" {
  command = plan
  variables {
    bigquery = { readers = ["allUsers"] }
  }
  expect_failures = [var.bigquery]
}

run "a_bucket_name_in_capitals" {
  command = plan
  variables {
    bucket = { name = "Exports" }
  }
  expect_failures = [var.bucket]
}

run "an_existing_bucket_without_its_name" {
  command = plan
  variables {
    bucket = { create = false }
  }
  expect_failures = [var.bucket]
}

run "a_lifecycle_on_a_bucket_managed_elsewhere" {
  command = plan
  variables {
    bucket = { create = false, name = "example-data-lake", delete_after_days = 400 }
  }
  expect_failures = [var.bucket]
}

run "deletion_after_no_days" {
  command = plan
  variables {
    bucket = { delete_after_days = 0 }
  }
  expect_failures = [var.bucket]
}

run "a_kms_key_by_its_short_name" {
  command = plan
  variables {
    bucket = { kms_key = "key" }
  }
  expect_failures = [var.bucket]
}

run "a_prefix_that_is_no_folder" {
  command = plan
  variables {
    bucket = { object_prefix = "usercentrics" }
  }
  expect_failures = [var.bucket]
}

run "soft_delete_for_less_than_the_least" {
  command = plan
  variables {
    bucket = { soft_delete_days = 3 }
  }
  expect_failures = [var.bucket]
}

run "no_exports" {
  command = plan
  variables {
    exports = {}
  }
  expect_failures = [var.exports]
}

run "an_unknown_aggregation" {
  command = plan
  variables {
    exports = { "clicks/daily" = {} }
  }
  expect_failures = [var.exports]
}

run "an_unknown_frequency" {
  command = plan
  variables {
    exports = { "granular/hourly" = {} }
  }
  expect_failures = [var.exports]
}

run "a_schedule_before_the_exports_are_there" {
  command = plan
  variables {
    exports = { "granular/daily" = { schedule = "30 7 * * *" } }
  }
  expect_failures = [var.exports]
}

run "an_empty_schedule" {
  command = plan
  variables {
    exports = { "granular/daily" = { schedule = "" } }
  }
  expect_failures = [var.exports]
}

run "a_catch_up_at_night" {
  command = plan
  variables {
    exports = { "granular/daily" = { catch_up_schedule = "0 12,4 * * *" } }
  }
  expect_failures = [var.exports]
}

run "a_catch_up_over_more_than_a_request_may_ask_for" {
  command = plan
  variables {
    exports = { "granular/daily" = { catch_up_last = 401 } }
  }
  expect_failures = [var.exports]
}

run "a_refresh_at_night" {
  command = plan
  variables {
    exports = { "granular/daily" = { refresh_schedule = "0 4 * * 3" } }
  }
  expect_failures = [var.exports]
}

run "a_refresh_of_more_than_a_request_may_ask_for" {
  command = plan
  variables {
    exports = { "granular/daily" = { refresh_last = 401 } }
  }
  expect_failures = [var.exports]
}

run "a_refresh_of_half_a_period" {
  command = plan
  variables {
    exports = { "granular/daily" = { refresh_last = 1.5 } }
  }
  expect_failures = [var.exports]
}

run "a_first_day_that_is_no_day" {
  command = plan
  variables {
    exports = { "granular/daily" = { since = "2022-02-30" } }
  }
  expect_failures = [var.exports]
}

run "a_first_day_in_another_form" {
  command = plan
  variables {
    exports = { "granular/daily" = { since = "2022-4-1" } }
  }
  expect_failures = [var.exports]
}

run "a_last_day_that_is_text" {
  command = plan
  variables {
    exports = { "granular/daily" = { until = "today" } }
  }
  expect_failures = [var.exports]
}

run "a_last_day_before_the_first" {
  command = plan
  variables {
    exports = { "granular/daily" = { since = "2022-04-02", until = "2022-04-01" } }
  }
  expect_failures = [var.exports]
}

run "a_deadline_that_scheduler_does_not_wait_for" {
  command = plan
  variables {
    function = { deadline_seconds = 1800 }
  }
  expect_failures = [var.function]
}

run "an_unknown_ingress" {
  command = plan
  variables {
    function = { ingress = "ALLOW_SOME" }
  }
  expect_failures = [var.function]
}

run "more_instances_than_one_customer_needs" {
  command = plan
  variables {
    function = { max_instances = 100 }
  }
  expect_failures = [var.function]
}

run "an_odd_memory_size" {
  command = plan
  variables {
    function = { memory_mib = 300 }
  }
  expect_failures = [var.function]
}

run "a_setting_that_the_module_sets_itself" {
  command = plan
  variables {
    function = { settings = { BUCKET = "other" } }
  }
  expect_failures = [var.function]
}

run "a_label_in_capitals" {
  command = plan
  variables {
    labels = { Team = "data" }
  }
  expect_failures = [var.labels]
}

run "a_location_that_bigquery_does_not_know" {
  command = plan
  variables {
    location = "EUR4"
  }
  expect_failures = [var.location]
}

run "a_name_with_an_underscore" {
  command = plan
  variables {
    name = "analytics_export"
  }
  expect_failures = [var.name]
}

run "a_name_too_long_for_a_service_account" {
  command = plan
  variables {
    name = "analytics-export-for-the-shop"
  }
  expect_failures = [var.name]
}

run "a_project_number" {
  command = plan
  variables {
    project_id = "123456789012"
  }
  expect_failures = [var.project_id]
}

run "a_queue_with_an_underscore" {
  command = plan
  variables {
    queue = { name = "analytics_export" }
  }
  expect_failures = [var.queue]
}

run "a_queue_without_letters" {
  command = plan
  variables {
    queue = { name = "" }
  }
  expect_failures = [var.queue]
}

run "a_queue_in_a_multi_region" {
  command = plan
  variables {
    queue = { region = "EU" }
  }
  expect_failures = [var.queue]
}

run "a_zone_for_a_region" {
  command = plan
  variables {
    region = "europe-west3-a"
  }
  expect_failures = [var.region]
}

run "a_region_across_the_ocean" {
  command = plan
  variables {
    region = "us-east1"
  }
  expect_failures = [var.region]
}

run "an_empty_scheduler_region" {
  command = plan
  variables {
    scheduler_region = ""
  }
  expect_failures = [var.scheduler_region]
}

run "a_table_of_an_unknown_export" {
  command = plan
  variables {
    tables = { "granular/hourly" = {} }
  }
  expect_failures = [var.tables]
}

run "a_column_name_that_bigquery_refuses" {
  command = plan
  variables {
    tables = { "granular/daily" = { columns = [{ name = "setting id" }] } }
  }
  expect_failures = [var.tables]
}

run "a_column_that_is_the_partition" {
  command = plan
  variables {
    tables = { "granular/daily" = { columns = [{ name = "start_date" }] } }
  }
  expect_failures = [var.tables]
}

run "a_column_that_begins_with_table" {
  command = plan
  variables {
    tables = { "granular/daily" = { columns = [{ name = "_TABLE_x" }] } }
  }
  expect_failures = [var.tables]
}

run "a_column_that_begins_with_file_name" {
  command = plan
  variables {
    tables = { "granular/daily" = { columns = [{ name = "_file_name" }] } }
  }
  expect_failures = [var.tables]
}

run "a_column_that_begins_with_partitiontime" {
  command = plan
  variables {
    tables = { "granular/daily" = { columns = [{ name = "_PARTITIONTIME" }] } }
  }
  expect_failures = [var.tables]
}

run "a_column_that_begins_with_row_timestamp" {
  command = plan
  variables {
    tables = { "granular/daily" = { columns = [{ name = "_ROW_TIMESTAMP" }] } }
  }
  expect_failures = [var.tables]
}

run "a_column_that_begins_with_root" {
  command = plan
  variables {
    tables = { "granular/daily" = { columns = [{ name = "__root__x" }] } }
  }
  expect_failures = [var.tables]
}

run "a_column_that_begins_with_colidentifier" {
  command = plan
  variables {
    tables = { "granular/daily" = { columns = [{ name = "_COLIDENTIFIER" }] } }
  }
  expect_failures = [var.tables]
}

run "a_column_that_begins_with_change_type" {
  command = plan
  variables {
    tables = { "granular/daily" = { columns = [{ name = "_CHANGE_TYPE" }] } }
  }
  expect_failures = [var.tables]
}

run "a_delimiter_of_two_characters" {
  command = plan
  variables {
    tables = { "granular/daily" = { field_delimiter = ", " } }
  }
  expect_failures = [var.tables]
}

run "a_quote_as_delimiter" {
  command = plan
  variables {
    tables = { "granular/daily" = { field_delimiter = "\"" } }
  }
  expect_failures = [var.tables]
}

run "an_encoding_that_the_provider_refuses" {
  command = plan
  variables {
    tables = { "granular/daily" = { encoding = "UTF-16LE" } }
  }
  expect_failures = [var.tables]
}

run "an_unknown_compression" {
  command = plan
  variables {
    tables = { "granular/daily" = { compression = "ZIP" } }
  }
  expect_failures = [var.tables]
}

run "two_columns_that_differ_in_case_only" {
  command = plan
  variables {
    tables = { "granular/daily" = { columns = [{ name = "action" }, { name = "Action" }] } }
  }
  expect_failures = [var.tables]
}

run "no_columns" {
  command = plan
  variables {
    tables = { "granular/daily" = { columns = [] } }
  }
  expect_failures = [var.tables]
}

run "an_unknown_type" {
  command = plan
  variables {
    tables = { "granular/daily" = { columns = [{ name = "action", type = "NUMBER" }] } }
  }
  expect_failures = [var.tables]
}

run "an_unknown_match" {
  command = plan
  variables {
    tables = { "granular/daily" = { column_match = "ORDER" } }
  }
  expect_failures = [var.tables]
}

run "a_key_without_its_version" {
  command = plan
  variables {
    api_key = "key"
  }
  expect_failures = [var.api_key]
}

run "a_version_without_its_key" {
  command = plan
  variables {
    api_key_version = "1"
  }
  expect_failures = [var.api_key]
}

run "a_key_with_a_line_end" {
  command = plan
  variables {
    api_key         = "key\n"
    api_key_version = "1"
  }
  expect_failures = [var.api_key]
}

run "a_version_that_is_no_number" {
  command = plan
  variables {
    api_key         = "key"
    api_key_version = "v1"
  }
  expect_failures = [var.api_key_version]
}

run "a_location_that_leaves_the_region_behind" {
  command = plan
  variables {
    location = "US"
  }
  expect_failures = [var.region]
}

run "a_channel_by_its_display_name" {
  command = plan
  variables {
    alerts = { channels = ["#data-alerts"] }
  }
  expect_failures = [var.alerts]
}

run "runbooks_without_https" {
  command = plan
  variables {
    alerts = { runbooks_url = "docs/runbooks" }
  }
  expect_failures = [var.alerts]
}

run "more_places_than_a_policy_takes" {
  command = plan
  variables {
    alerts = { emails = [for number in range(17) : "team-${number}@example.com"] }
  }
  expect_failures = [var.alerts]
}

run "a_99th_day" {
  command = plan
  variables {
    exports = { "granular/daily" = { schedule = "20 8 99 * *" } }
  }
  expect_failures = [var.exports]
}

run "a_day_zero" {
  command = plan
  variables {
    exports = { "granular/daily" = { schedule = "20 8 0 * *" } }
  }
  expect_failures = [var.exports]
}

run "a_13th_month" {
  command = plan
  variables {
    exports = { "granular/daily" = { schedule = "20 8 * 13 *" } }
  }
  expect_failures = [var.exports]
}

run "a_9th_day_of_the_week" {
  command = plan
  variables {
    exports = { "granular/daily" = { schedule = "20 8 * * 9" } }
  }
  expect_failures = [var.exports]
}

run "a_step_of_zero" {
  command = plan
  variables {
    exports = { "granular/daily" = { schedule = "20 8 */0 * *" } }
  }
  expect_failures = [var.exports]
}

run "a_step_of_zero_in_weeks" {
  command = plan
  variables {
    exports = { "granular/daily" = { schedule = "20 8 * * */0" } }
  }
  expect_failures = [var.exports]
}

run "a_range_that_goes_down" {
  command = plan
  variables {
    exports = { "granular/daily" = { schedule = "20 8 * * 5-1" } }
  }
  expect_failures = [var.exports]
}

run "an_unknown_month" {
  command = plan
  variables {
    exports = { "granular/daily" = { schedule = "20 8 * foo *" } }
  }
  expect_failures = [var.exports]
}

run "an_empty_item_of_a_list" {
  command = plan
  variables {
    exports = { "granular/daily" = { schedule = "20 8 1,,2 * *" } }
  }
  expect_failures = [var.exports]
}

run "a_sixth_field" {
  command = plan
  variables {
    exports = { "granular/daily" = { schedule = "20 8 * * * *" } }
  }
  expect_failures = [var.exports]
}

run "a_catch_up_on_a_99th_day" {
  command = plan
  variables {
    exports = { "granular/daily" = { catch_up_schedule = "20 12 99 * *" } }
  }
  expect_failures = [var.exports]
}

run "a_label_that_is_reserved" {
  command = plan
  variables {
    labels = { goog-team = "data" }
  }
  expect_failures = [var.labels]
}

run "more_labels_than_google_takes" {
  command = plan
  variables {
    labels = { for number in range(61) : "label-${number}" => "x" }
  }
  expect_failures = [var.labels]
}

run "a_label_that_is_too_long" {
  command = plan
  variables {
    labels = { team = join("", [for number in range(64) : "x"]) }
  }
  expect_failures = [var.labels]
}

run "a_kms_key_in_another_location_than_the_bucket" {
  command = plan
  variables {
    bucket = { kms_key = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k" }
  }
  expect_failures = [var.bucket]
}

run "a_kms_key_in_another_location_than_the_dataset" {
  command = plan
  variables {
    bigquery = { kms_key = "projects/p/locations/us/keyRings/r/cryptoKeys/k" }
  }
  expect_failures = [var.bigquery]
}

run "a_kms_key_in_another_region_than_the_function" {
  command = plan
  variables {
    kms_key = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"
  }
  expect_failures = [var.kms_key]
}

run "a_kms_key_for_the_function_alone" {
  command = plan
  variables {
    kms_key = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k"
  }
  expect_failures = [var.kms_key]
}

run "a_bucket_called_after_google" {
  command = plan
  variables {
    bucket = { name = "my-google-exports" }
  }
  expect_failures = [var.bucket]
}

run "a_bucket_that_looks_like_an_address" {
  command = plan
  variables {
    bucket = { name = "192.168.5.4" }
  }
  expect_failures = [var.bucket]
}
