locals {
  _source_root = "${path.module}/.."
  source_files = setunion(["main.py", "requirements.txt"], fileset(local._source_root, "analytics_export/**/*.py"))
  # Of the files, not of the zip: the same source has the same name on every machine.
  source_hash = sha256(join("\n", [for file in sort(local.source_files) : "${file} ${filesha256("${local._source_root}/${file}")}"]))

  timeout_seconds = 1800 # as long as Cloud Scheduler waits for an answer, at most
}

data "archive_file" "source" {
  type             = "zip"
  output_path      = "${path.module}/.build/${var.name}.zip"
  output_file_mode = "0644"

  dynamic "source" {
    for_each = local.source_files
    content {
      filename = source.value
      content  = file("${local._source_root}/${source.value}")
    }
  }
}

resource "google_storage_bucket" "source" {
  project                     = var.project_id
  name                        = "${var.project_id}-${var.name}-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # only holds zips that Terraform can make again
  labels                      = var.labels

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      default_kms_key_name = encryption.value
    }
  }

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  depends_on = [google_project_service.api]
}

# The hash is in the name because Cloud Functions compares the name only: the same name with other
# content is not deployed.
resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  name   = "source-${substr(local.source_hash, 0, 16)}.zip"
  source = data.archive_file.source.output_path

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project_id
  location      = var.region
  repository_id = var.name
  description   = "Images of the function ${var.name}"
  format        = "DOCKER"
  kms_key_name  = var.kms_key
  labels        = var.labels

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 3
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s" # 30 days
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_artifact_registry_repository_iam_member" "build" {
  project    = var.project_id
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}

# Cloud Functions copies the source into a bucket of its own, which is not there before the first
# deployment: the right can be bound on the project only, so a condition narrows it to that bucket.
resource "google_project_iam_member" "build_reads_source" {
  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = google_service_account.build.member

  condition {
    title      = "function-sources-only"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${google_storage_bucket.source.project_number}-${var.region}\")"
  }
}

resource "google_project_iam_member" "build_writes_logs" {
  project = var.project_id
  role    = "roles/logging.logWriter" # can be bound on a project only
  member  = google_service_account.build.member
}

# A right takes a minute or more to be known everywhere; a build that starts at once is refused.
resource "time_sleep" "build_rights" {
  create_duration = "90s"

  triggers = {
    images  = google_artifact_registry_repository_iam_member.build.id
    logs    = google_project_iam_member.build_writes_logs.id
    source  = google_storage_bucket_iam_member.build.id
    sources = google_project_iam_member.build_reads_source.id
  }
}

resource "google_cloudfunctions2_function" "export" {
  project     = var.project_id
  location    = var.region
  name        = var.name
  description = "Copies Usercentrics analytics exports into gs://${local.bucket}"
  labels      = var.labels

  kms_key_name = var.kms_key

  build_config {
    runtime           = "python313"
    entry_point       = "export_analytics"
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.images.id

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source.name
      }
    }

    automatic_update_policy {}
  }

  service_config {
    service_account_email            = google_service_account.run.email
    available_cpu                    = "1"
    available_memory                 = "${var.function.memory_mib}Mi"
    timeout_seconds                  = local.timeout_seconds
    max_instance_request_concurrency = 1 # one run has the whole memory, and PARALLEL_TRANSFERS to use it
    max_instance_count               = var.function.max_instances
    min_instance_count               = 0
    ingress_settings                 = var.function.ingress
    all_traffic_on_latest_revision   = true

    environment_variables = merge(var.function.settings, {
      ANALYTICS_ID     = var.analytics_id
      API_KEY_SECRET   = google_secret_manager_secret.api_key.id
      BUCKET           = local.bucket
      DEADLINE_SECONDS = tostring(var.function.deadline_seconds)
      LOG_EXECUTION_ID = "true" # Cloud Functions sets it anyway; without it every plan shows a difference
      OBJECT_PREFIX    = var.bucket.object_prefix
    }, var.queue.enabled ? { TASKS_QUEUE = local.queue_id } : {})
  }

  depends_on = [
    google_project_service.api,
    google_secret_manager_secret_iam_member.run,
    google_storage_bucket_iam_member.run,
    time_sleep.build_rights,
  ]
}
