# Two analytics IDs side by side in one bucket that is managed elsewhere, every frequency, tables, alerts,
# and a key that goes through Terraform without staying in its state.
provider "google" {
  project               = var.project_id
  user_project_override = true
  billing_project       = var.project_id
}

variable "project_id" {
  description = "The project to deploy to."
  type        = string
}

variable "api_key" {
  description = "The export service's key: TF_VAR_api_key, for instance from your CI's secret store."
  type        = string
  ephemeral   = true
}

module "analytics_export" {
  source   = "../.."
  for_each = { shop = "shop-analytics-id", blog = "blog-analytics-id" }

  name         = "export-${each.key}"
  project_id   = var.project_id
  region       = "europe-west3"
  location     = "EU"
  analytics_id = each.value

  api_key         = var.api_key
  api_key_version = "1"

  bucket = {
    create        = false
    name          = "example-data-lake"
    object_prefix = "usercentrics/${each.key}/"
  }

  exports = {
    "interaction/daily"   = {}
    "granular/daily"      = { schedule = "50 8 * * *", catch_up_last = 30, refresh_last = 60 }
    "granular/weekly"     = { since = "2024-01-01" }
    "interaction/monthly" = {}
    "granular/monthly"    = { catch_up_schedule = "10 18 * * *" }
  }

  # Written by the output tables_command after the first export, then kept here.
  tables = {
    "interaction/daily" = {
      columns = [
        { name = "day" },
        { name = "event_type" },
        { name = "settings_id" },
        { name = "host" },
        { name = "country" },
        { name = "browser" },
        { name = "device_type" },
        { name = "os" },
        { name = "number" },
      ]
    }
    "granular/daily" = {
      columns = [
        { name = "day", type = "DATE" },
        { name = "settings_id" },
        { name = "dps_id" },
        { name = "consent", type = "INTEGER" },
        { name = "action", type = "INTEGER" },
        { name = "total", type = "INTEGER" },
        { name = "country" },
        { name = "os" },
        { name = "browser" },
      ]
      require_partition_filter = true
    }
  }

  bigquery = {
    dataset_id = "usercentrics_${each.key}"
    readers    = ["group:analysts@example.com"]
  }

  function = {
    max_instances = 4
    settings      = { PARALLEL_TRANSFERS = "16" }
  }

  alerts = {
    channels        = ["projects/my-project/notificationChannels/1234567890"] # Slack, PagerDuty, ...
    columns_changed = true
    emails          = ["data-team@example.com"]
    runbooks_url    = "https://git.example.com/analytics-export/docs/runbooks" # this folder in your copy
  }
  labels = { team = "data" }
}

output "commands" {
  value = {
    for key, deployment in module.analytics_export : key => {
      backfill = deployment.backfill_command
      list     = deployment.list_command
      run_now  = deployment.run_now_commands
      tables   = deployment.tables_command
    }
  }
}
