# A column that is added later, with a mocked apply before: tests/terraform/ in the repository examines the second
# plan. An ephemeral variable without a value cannot be applied here, so the key is given.
mock_provider "google" {}
mock_provider "archive" {}
mock_provider "time" {
  mock_resource "time_static" {
    defaults = { rfc3339 = "2026-01-21T10:00:00Z" }
  }
}

variables {
  project_id      = "my-project"
  region          = "europe-west3"
  analytics_id    = "my-analytics-id"
  api_key         = "made-up"
  api_key_version = "1"
}

run "first_apply" {
  variables {
    tables = {
      "granular/daily"    = { columns = [{ name = "day" }, { name = "settings_id" }, { name = "dps_id" }, { name = "consent" }, { name = "action" }, { name = "total" }] }
      "interaction/daily" = { columns = [{ name = "event_type" }] }
    }
  }
}

run "a_column_is_added" {
  command = plan
  variables {
    tables = {
      "granular/daily"    = { columns = [{ name = "day" }, { name = "settings_id" }, { name = "dps_id" }, { name = "consent" }, { name = "action" }, { name = "total" }, { name = "added" }] }
      "interaction/daily" = { columns = [{ name = "event_type" }] }
    }
  }
}
