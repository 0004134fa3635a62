# What the module makes, with mocked providers: no account, no network. tests/terraform/ in the
# repository serves the schemas and examines the same runs with the function's own code.
mock_provider "google" {
  override_during = plan

  mock_resource "google_cloudfunctions2_function" {
    defaults = {
      id             = "projects/my-project/locations/europe-west3/functions/analytics-export"
      service_config = { uri = "https://analytics-export-abc-ey.a.run.app" }
    }
  }
  mock_resource "google_secret_manager_secret" {
    defaults = { id = "projects/my-project/secrets/analytics-export-api-key" }
  }
  mock_resource "google_storage_bucket" {
    defaults = { project_number = 123456789012 }
  }

  override_resource {
    target = google_service_account.run
    values = { member = "serviceAccount:run@example.com", email = "run@example.com" }
  }
  override_resource {
    target = google_service_account.build
    values = {
      id     = "projects/my-project/serviceAccounts/build@example.com"
      member = "serviceAccount:build@example.com"
      email  = "build@example.com"
    }
  }
  override_resource {
    target = google_service_account.invoke
    values = { member = "serviceAccount:invoke@example.com", email = "invoke@example.com" }
  }
}
mock_provider "archive" {
  override_during = plan
}
mock_provider "time" {
  override_during = plan

  mock_resource "time_static" {
    defaults = { rfc3339 = "2026-01-21T10:00:00Z" } # a Wednesday
  }
}

variables {
  project_id   = "my-project"
  region       = "europe-west3"
  analytics_id = "my-analytics-id"
}

run "defaults" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service_iam_member.invoke.role == "roles/run.invoker" && google_cloud_run_v2_service_iam_member.invoke.member == "serviceAccount:invoke@example.com"
    error_message = "Only the invoking account may call the function."
  }
  assert {
    condition     = google_secret_manager_secret_iam_member.run.role == "roles/secretmanager.secretAccessor" && google_secret_manager_secret_iam_member.run.member == "serviceAccount:run@example.com"
    error_message = "Only the function's account may read the key."
  }
  assert {
    condition     = google_storage_bucket_iam_member.run.role == "roles/storage.objectUser" && google_storage_bucket_iam_member.run.member == "serviceAccount:run@example.com"
    error_message = "The function's account lists, reads, writes and deletes objects, and no more."
  }
  assert {
    condition = alltrue([
      for bucket in [google_storage_bucket.data[0], google_storage_bucket.source] :
      bucket.public_access_prevention == "enforced" && bucket.uniform_bucket_level_access
    ])
    error_message = "Both buckets are closed to the public, by IAM alone."
  }
  assert {
    condition     = google_storage_bucket.data[0].name == "my-project-analytics-export" && google_storage_bucket.data[0].location == "EU" && !google_storage_bucket.data[0].force_destroy
    error_message = "The data bucket has a name without chance in it, lies in the EU and outlives a careless destroy."
  }
  assert {
    condition     = length(google_storage_bucket.data[0].lifecycle_rule) == 0 && google_storage_bucket.data[0].soft_delete_policy[0].retention_duration_seconds == 604800
    error_message = "Nothing is deleted by age unless asked for, and a deletion can be undone for a week."
  }
  assert {
    condition     = google_bigquery_dataset.exports.location == google_storage_bucket.data[0].location
    error_message = "BigQuery reads only what lies in the dataset's own location."
  }
  assert {
    condition = (
      length(google_storage_bucket.data[0].encryption) + length(google_storage_bucket.source.encryption) + length(google_bigquery_dataset.exports.default_encryption_configuration) == 0 &&
      google_cloudfunctions2_function.export.kms_key_name == null && google_artifact_registry_repository.images.kms_key_name == null
    )
    error_message = "Without a key of the customer's, Google's are in use."
  }
  assert {
    condition     = length(google_secret_manager_secret_version.api_key) == 0
    error_message = "Without api_key_version Terraform does not touch the key."
  }
  assert {
    condition = (
      google_cloudfunctions2_function.export.build_config[0].runtime == "python313" &&
      google_cloudfunctions2_function.export.build_config[0].entry_point == "export_analytics" &&
      google_cloudfunctions2_function.export.build_config[0].service_account == "projects/my-project/serviceAccounts/build@example.com"
    )
    error_message = "The function is built from export_analytics for Python 3.13, by the build account's full name."
  }
  assert {
    condition = (
      google_cloudfunctions2_function.export.service_config[0].available_memory == "512Mi" &&
      google_cloudfunctions2_function.export.service_config[0].max_instance_request_concurrency == 1 &&
      google_cloudfunctions2_function.export.service_config[0].service_account_email == "run@example.com"
    )
    error_message = "A run has an instance and 512 MiB to itself, as the run account."
  }
  assert {
    condition = alltrue([
      for job in values(google_cloud_scheduler_job.export) :
      job.attempt_deadline == "${google_cloudfunctions2_function.export.service_config[0].timeout_seconds}s" && job.attempt_deadline == "1800s"
    ])
    error_message = "Scheduler waits as long as the function may run: else it retries beside a run that still works."
  }
  assert {
    condition     = tonumber(google_cloudfunctions2_function.export.service_config[0].environment_variables["DEADLINE_SECONDS"]) + 45 < google_cloudfunctions2_function.export.service_config[0].timeout_seconds
    error_message = "The function answers before it is cut off, copies in flight included."
  }
  assert {
    condition = alltrue([
      for job in values(google_cloud_scheduler_job.export) :
      job.http_target[0].uri == "https://analytics-export-abc-ey.a.run.app" &&
      job.http_target[0].oidc_token[0].audience == job.http_target[0].uri &&
      job.http_target[0].oidc_token[0].service_account_email == "invoke@example.com" &&
      job.http_target[0].http_method == "POST" &&
      job.http_target[0].headers["Content-Type"] == "application/json"
    ])
    error_message = "Every job posts JSON to the function, with a token for that very address."
  }
  assert {
    condition     = setunion([for source in data.archive_file.source.source : source.filename]) == local.source_files && length(setintersection(local.source_files, ["main.py", "requirements.txt", "analytics_export/__init__.py"])) == 3
    error_message = "The source holds main.py, requirements.txt and the package."
  }
  assert {
    condition     = alltrue([for file in local.source_files : can(regex("^(main\\.py|requirements\\.txt|analytics_export/([a-z_]+/)?[a-z_]+\\.py)$", file))]) && data.archive_file.source.output_file_mode == "0644"
    error_message = "The source holds nothing else, and is the same zip on every machine."
  }
  assert {
    condition     = google_storage_bucket_object.source.name == "source-${substr(local.source_hash, 0, 16)}.zip"
    error_message = "Other content has another name: else it would not be deployed."
  }
  assert {
    condition     = google_project_iam_member.build_reads_source.condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-123456789012-europe-west3\")"
    error_message = "On the project the build account may read the function's sources only."
  }
  assert {
    condition     = length(google_bigquery_table.exports) + length(google_bigquery_table.files) + length(google_bigquery_table.missing_periods) == 0
    error_message = "No table before there is a file to read: BigQuery would refuse it."
  }
  assert {
    condition = (
      google_cloud_tasks_queue.backfill[0].http_target[0].uri_override[0].host == "analytics-export-abc-ey.a.run.app" &&
      google_cloud_tasks_queue.backfill[0].http_target[0].uri_override[0].scheme == "HTTPS" &&
      google_cloud_tasks_queue.backfill[0].http_target[0].uri_override[0].uri_override_enforce_mode == "ALWAYS" &&
      google_cloud_tasks_queue.backfill[0].http_target[0].oidc_token[0].audience == "https://analytics-export-abc-ey.a.run.app" &&
      google_cloud_tasks_queue.backfill[0].http_target[0].oidc_token[0].service_account_email == "invoke@example.com"
    )
    error_message = "Whatever a task says, the queue calls the function and nothing else, with a token for that very address."
  }
  assert {
    condition     = google_cloudfunctions2_function.export.service_config[0].environment_variables["TASKS_QUEUE"] == "projects/${google_cloud_tasks_queue.backfill[0].project}/locations/${google_cloud_tasks_queue.backfill[0].location}/queues/${google_cloud_tasks_queue.backfill[0].name}"
    error_message = "The function fills the queue that is made."
  }
  assert {
    condition     = google_cloud_tasks_queue.backfill[0].rate_limits[0].max_concurrent_dispatches == google_cloudfunctions2_function.export.service_config[0].max_instance_count - 1
    error_message = "One instance stays free for Cloud Scheduler: a request without an instance slows the queue down."
  }
  assert {
    condition     = google_cloud_tasks_queue.backfill[0].retry_config[0].max_attempts == 8 && google_cloud_tasks_queue.backfill[0].retry_config[0].max_retry_duration == "0s" && google_cloud_tasks_queue.backfill[0].stackdriver_logging_config[0].sampling_ratio == 1
    error_message = "A task is tried eight times, however long that takes, and every try is logged."
  }
  assert {
    condition = (
      google_cloud_tasks_queue_iam_member.run[0].name == google_cloud_tasks_queue.backfill[0].name &&
      google_cloud_tasks_queue_iam_member.run[0].role == "roles/cloudtasks.enqueuer" &&
      google_cloud_tasks_queue_iam_member.run[0].member == "serviceAccount:run@example.com"
    )
    error_message = "The function's account may put tasks into that queue, and no more."
  }
}

run "no_queue" {
  command = plan

  variables {
    queue = { enabled = false }
  }

  assert {
    condition     = length(google_cloud_tasks_queue.backfill) + length(google_cloud_tasks_queue_iam_member.run) + length(google_service_account_iam_member.cloud_tasks_acts_as_invoke) + length(google_monitoring_alert_policy.backfill_stuck) + length(google_project_service.cloud_tasks) == 0
    error_message = "Switched off, nothing of the queue is left."
  }
  assert {
    condition     = !contains(keys(google_cloudfunctions2_function.export.service_config[0].environment_variables), "TASKS_QUEUE")
    error_message = "The function knows no queue then."
  }
  assert {
    condition     = output.watch_backfill_command == null && output.pause_backfill_command == null && output.resume_backfill_command == null && output.purge_backfill_command == null
    error_message = "There is no command for a queue that is not there."
  }
}

run "one_instance" {
  command = plan

  variables {
    function = { max_instances = 1 }
    queue    = { name = "analytics-export-2", region = "europe-west1" }
  }

  assert {
    condition     = google_cloud_tasks_queue.backfill[0].rate_limits[0].max_concurrent_dispatches == 1
    error_message = "The queue always calls at least one at a time: 0 would mean the default, 1000."
  }
  assert {
    condition     = google_cloudfunctions2_function.export.service_config[0].environment_variables["TASKS_QUEUE"] == "projects/my-project/locations/europe-west1/queues/analytics-export-2"
    error_message = "The queue may have another name, and lie in another region than the function."
  }
}

run "everything" {
  command = plan

  variables {
    alerts = {
      channels        = ["projects/my-project/notificationChannels/1234567890"]
      columns_changed = true
      emails          = ["data-team@example.com"]
      runbooks_url    = "https://example.com/docs/runbooks/"
    }
    api_key         = "key-that-must-not-be-kept"
    api_key_version = "7"
    bigquery        = { dataset_id = "Usercentrics_1", readers = ["group:analysts@example.com"] }
    bucket = {
      delete_after_days = 400
      kms_key           = "projects/my-project/locations/europe/keyRings/ring/cryptoKeys/key"
      object_prefix     = "usercentrics/"
      soft_delete_days  = 0
    }
    exports = {
      "interaction/daily"   = {}
      "interaction/weekly"  = {}
      "interaction/monthly" = {}
      "granular/daily"      = { catch_up_last = 400, refresh_last = 90, refresh_schedule = "55 16 * * *" }
      "granular/weekly"     = { schedule = "5 9 * * 2", refresh_last = 0 }
      "granular/monthly"    = { catch_up_last = 0 }
    }
    labels = { team = "data" }
    tables = {
      "interaction/daily"   = {}
      "interaction/weekly"  = {}
      "interaction/monthly" = {}
      "granular/daily" = {
        columns                  = [{ name = "settingsId" }, { name = "consent", type = "INTEGER" }, { name = "action" }]
        require_partition_filter = true
      }
      "granular/weekly"  = { columns = [{ name = "consent" }], column_match = "POSITION" }
      "granular/monthly" = { compression = "GZIP" }
    }
  }

  assert {
    condition     = google_secret_manager_secret_version.api_key[0].secret_data == null && google_secret_manager_secret_version.api_key[0].secret_data_wo_version == "7"
    error_message = "The key goes into the write-only argument, and its version says when to write it."
  }
  assert {
    condition     = google_storage_bucket.data[0].soft_delete_policy[0].retention_duration_seconds == 0
    error_message = "soft_delete_days = 0 turns soft delete off."
  }
  assert {
    condition     = one(one(google_storage_bucket.data[0].lifecycle_rule).condition).age == 400 && toset(one(one(google_storage_bucket.data[0].lifecycle_rule).condition).matches_prefix) == toset(["usercentrics/granular/", "usercentrics/interaction/"])
    error_message = "Old exports go, manifests stay."
  }
  assert {
    condition     = google_storage_bucket.data[0].encryption[0].default_kms_key_name == "projects/my-project/locations/europe/keyRings/ring/cryptoKeys/key"
    error_message = "New objects are encrypted with the customer's key."
  }
  assert {
    condition     = google_storage_bucket_iam_member.readers["group:analysts@example.com"].role == "roles/storage.objectViewer" && google_bigquery_dataset_iam_member.readers["group:analysts@example.com"].role == "roles/bigquery.dataViewer"
    error_message = "Readers may read tables and the files under them."
  }
  assert {
    condition     = toset(keys(google_bigquery_table.decoded)) == toset(["granular/daily"])
    error_message = "Only a table with both columns, consent and action, is decoded."
  }
  assert {
    condition     = !contains(keys(google_cloud_scheduler_job.export), "analytics-export-granular-weekly-refresh")
    error_message = "A refresh can be left out."
  }
}

# An organisation that demands its own keys everywhere.
run "own_keys" {
  command = plan

  variables {
    kms_key  = "projects/keys/locations/europe-west3/keyRings/ring/cryptoKeys/key"
    location = "europe-west3"
  }

  assert {
    condition = alltrue([
      for key in [
        google_artifact_registry_repository.images.kms_key_name,
        google_bigquery_dataset.exports.default_encryption_configuration[0].kms_key_name,
        google_cloudfunctions2_function.export.kms_key_name,
        google_secret_manager_secret.api_key.replication[0].user_managed[0].replicas[0].customer_managed_encryption[0].kms_key_name,
        google_storage_bucket.data[0].encryption[0].default_kms_key_name,
        google_storage_bucket.source.encryption[0].default_kms_key_name,
      ] : key == "projects/keys/locations/europe-west3/keyRings/ring/cryptoKeys/key"
    ])
    error_message = "One key is on all that takes one."
  }
}

run "own_keys_in_two_places" {
  command = plan

  variables {
    kms_key  = "projects/keys/locations/europe-west3/keyRings/ring/cryptoKeys/key"
    bucket   = { kms_key = "projects/keys/locations/europe/keyRings/ring/cryptoKeys/data" }
    bigquery = { kms_key = "projects/keys/locations/europe/keyRings/ring/cryptoKeys/data" }
  }

  assert {
    condition = (
      google_storage_bucket.data[0].encryption[0].default_kms_key_name == "projects/keys/locations/europe/keyRings/ring/cryptoKeys/data" &&
      google_bigquery_dataset.exports.default_encryption_configuration[0].kms_key_name == "projects/keys/locations/europe/keyRings/ring/cryptoKeys/data" &&
      google_cloudfunctions2_function.export.kms_key_name == "projects/keys/locations/europe-west3/keyRings/ring/cryptoKeys/key"
    )
    error_message = "The data has a key where the data is, the function one where it runs."
  }
}

run "existing_bucket" {
  command = plan

  variables {
    bucket = { create = false, name = "example-data-lake", object_prefix = "usercentrics/" }
  }

  assert {
    condition     = length(google_storage_bucket.data) == 0 && google_storage_bucket_iam_member.run.bucket == "example-data-lake"
    error_message = "An existing bucket is used, not created."
  }
  assert {
    condition = (
      google_cloudfunctions2_function.export.service_config[0].environment_variables["BUCKET"] == "example-data-lake" &&
      google_cloudfunctions2_function.export.service_config[0].environment_variables["OBJECT_PREFIX"] == "usercentrics/"
    )
    error_message = "The function writes to the existing bucket, under the prefix."
  }
}
