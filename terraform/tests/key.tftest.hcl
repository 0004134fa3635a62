# A mocked apply with the key handed to Terraform; tests/terraform/ in the repository searches for the key in
# what would be the state.
mock_provider "google" {}
mock_provider "archive" {}
mock_provider "time" {
  mock_resource "time_static" {
    defaults = { rfc3339 = "2026-01-21T10:00:00Z" }
  }
}

run "key_given" {
  variables {
    project_id      = "my-project"
    region          = "europe-west3"
    analytics_id    = "my-analytics-id"
    api_key         = "key-that-must-not-be-kept"
    api_key_version = "1"
  }

  assert {
    condition     = google_secret_manager_secret_version.api_key[0].secret_data_wo == null && google_secret_manager_secret_version.api_key[0].secret_data_wo_version == "1"
    error_message = "The key was written, and only its version is remembered."
  }
}
