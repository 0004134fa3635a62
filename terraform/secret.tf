resource "google_secret_manager_secret" "api_key" {
  project   = var.project_id
  secret_id = "${var.name}-api-key"
  labels    = var.labels

  # In the function's region only: nothing reads it elsewhere, and `auto` is forbidden in organisations
  # that restrict resource locations.
  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = var.kms_key == null ? [] : [var.kms_key]
          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_secret_manager_secret_iam_member" "run" {
  project   = var.project_id
  secret_id = google_secret_manager_secret.api_key.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.run.member
}

# Only when the key is handed to Terraform at all. A write-only argument is sent to the API and kept in
# neither plan nor state.
resource "google_secret_manager_secret_version" "api_key" {
  count = var.api_key_version == null ? 0 : 1 # a count may not hang on an ephemeral value

  secret                 = google_secret_manager_secret.api_key.id
  secret_data_wo         = var.api_key
  secret_data_wo_version = var.api_key_version

  lifecycle {
    create_before_destroy = true # a run between the two still finds a key
  }
}
