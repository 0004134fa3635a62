locals {
  # With - in metric names PromQL would need them rewritten; with _ a metric has one spelling everywhere.
  underscored_name = replace(var.name, "-", "_")

  bucket      = var.bucket.create ? google_storage_bucket.data[0].name : var.bucket.name
  bucket_name = coalesce(var.bucket.name, "${var.project_id}-${var.name}")
  dataset_id  = coalesce(var.bigquery.dataset_id, local.underscored_name)

  scheduler_region = coalesce(var.scheduler_region, var.region)

  # All six at one minute would ask for six instances; five minutes apart they share one or two.
  _minutes = {
    "interaction/daily"   = 20
    "granular/daily"      = 25
    "interaction/weekly"  = 30
    "granular/weekly"     = 35
    "interaction/monthly" = 40
    "granular/monthly"    = 45
  }
  _days          = { daily = "* * *", weekly = "* * 1", monthly = "1 * *" }
  _catch_up_last = { daily = 14, weekly = 4, monthly = 2 }
  _refresh_last  = { daily = 35, weekly = 5, monthly = 2 }

  exports = {
    for key, export in var.exports : key => {
      aggregation       = split("/", key)[0]
      frequency         = split("/", key)[1]
      job               = "${var.name}-${replace(key, "/", "-")}"
      schedule          = coalesce(export.schedule, "${local._minutes[key]} 8 ${local._days[split("/", key)[1]]}")
      catch_up_last     = export.catch_up_last == null ? local._catch_up_last[split("/", key)[1]] : export.catch_up_last
      catch_up_schedule = coalesce(export.catch_up_schedule, "${local._minutes[key]} 12,20 * * *")
      refresh_last      = export.refresh_last == null ? local._refresh_last[split("/", key)[1]] : export.refresh_last
      refresh_schedule  = coalesce(export.refresh_schedule, "${local._minutes[key]} 16 * * 3")
      since             = export.since
      until             = export.until
    }
  }

  # An export that was given up 40 days ago has had its last month, and catch-ups after it: no job is left to do.
  scheduled_exports = {
    for key, export in local.exports : key => export
    if export.until == null || try(timecmp(timeadd("${export.until}T00:00:00Z", "960h"), plantimestamp()) > 0, true)
  }
}
