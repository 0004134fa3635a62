# Forms that are too long for a validation's line.
locals {
  # Cloud KMS calls the multi-regions otherwise than Cloud Storage and BigQuery do.
  kms_location = lookup({ EU = "europe", US = "us" }, var.location, var.location)

  kms_key_in_location = var.location == var.region ? var.kms_key : null

  # The last three fields of a cron schedule: day of the month, month, day of the week.
  _cron_values = [
    "(?:0?[1-9]|[12][0-9]|3[01])",
    "(?:0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))",
    "(?:[0-7]|(?i:sun|mon|tue|wed|thu|fri|sat))",
  ]
  _cron_parts = [for value in local._cron_values : "(?:\\*|${value}(?:-${value})?)(?:/[1-9][0-9]?)?"]
  cron_days   = join(" ", [for part in local._cron_parts : "${part}(?:,${part})*"])

  # The function's own rules (analytics_export/config.py): what it refuses, it answers 500 `misconfigured` to every call.
  _authority = "(?:[A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]{1,5})?"
  setting_forms = {
    DOWNLOAD_ORIGINS   = "^(?i:https?)://${local._authority}/?(?:,(?i:https?)://${local._authority}/?)*$"
    EXPORT_API_VERSION = "^v[12]$"
    EXPORT_SERVICE_URL = "^(?i:https?)://${local._authority}(?:/[A-Za-z0-9._~/%-]*)?$"
    PARALLEL_TRANSFERS = "^(?:[1-9]|[1-5][0-9]|6[0-4])$"
    STALL_SECONDS      = "^(?:0\\.[0-9]{0,2}[1-9]|[1-9][0-9]{0,2}(?:\\.[0-9]{1,3})?|[12][0-9]{3}(?:\\.[0-9]{1,3})?|3[0-5][0-9]{2}(?:\\.[0-9]{1,3})?|3600)$"
  }
}
