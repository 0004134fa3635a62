# Soft delete rather than versioning: a run overwrites and removes files only when Usercentrics has
# replaced an export, so what is worth having is a few days in which a mistake can be undone. Versions
# would need clean-up rules of their own and would keep data past the day it was deleted.
resource "google_storage_bucket" "data" {
  count = var.bucket.create ? 1 : 0

  project                     = var.project_id
  name                        = local.bucket_name
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = var.bucket.force_destroy
  labels                      = var.labels

  soft_delete_policy {
    retention_duration_seconds = var.bucket.soft_delete_days * 24 * 60 * 60
  }

  # Manifests stay: they are small, hold no rows, and keep the catch-up from copying an old
  # period again.
  dynamic "lifecycle_rule" {
    for_each = var.bucket.delete_after_days == null ? [] : [var.bucket.delete_after_days]
    content {
      action {
        type = "Delete"
      }
      condition {
        age = lifecycle_rule.value
        matches_prefix = [
          "${var.bucket.object_prefix}granular/",
          "${var.bucket.object_prefix}interaction/",
        ]
      }
    }
  }

  dynamic "encryption" {
    for_each = compact([var.bucket.kms_key == null ? local.kms_key_in_location : var.bucket.kms_key])
    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.api]
}

# List, read, write and delete objects; nothing on the bucket itself.
resource "google_storage_bucket_iam_member" "run" {
  bucket = local.bucket
  role   = "roles/storage.objectUser"
  member = google_service_account.run.member
}
