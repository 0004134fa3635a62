locals {
  _tiles = concat(
    [
      for key, export in local.exports : {
        title = "${key}: newest complete periods"
        logs  = "${local._function_log} AND jsonPayload.message=\"export_complete\" AND jsonPayload.status=(\"copied\" OR \"unchanged\") AND jsonPayload.aggregation=\"${export.aggregation}\" AND jsonPayload.frequency=\"${export.frequency}\""
      }
    ],
    [
      { title = "Checks a day that found a period missing", query = "sum by (job_id) (increase(${local._promql.failed_checks}[1d]))" },
      { title = "Bytes copied a day", query = "sum by (aggregation, frequency) (increase(${local._promql.bytes}[1d]))" },
      { title = "Periods not completed a day, by reason", query = "sum by (aggregation, frequency, error_type) (increase(${local._promql.problems}[1d]))" },
      { title = "Complete periods a day, by status", query = "sum by (aggregation, frequency, status) (increase(${local._promql.completed}[1d]))" },
      { title = "Failed attempts of the export jobs a day", query = "sum by (job_id) (increase(${local._promql.failed_attempts}[1d]))" },
    ],
    var.queue.enabled ? [
      { title = "Tasks in the queue", query = "max(cloudtasks_googleapis_com:queue_depth{${local._queue_promql}})" },
    ] : [],
    [
      { title = "Bytes in the bucket", query = "sum by (bucket_name) (storage_googleapis_com:storage_v2_total_bytes{monitored_resource=\"gcs_bucket\",bucket_name=\"${local.bucket_name}\"})" },
      { title = "Seconds a run, 95th percentile", query = "histogram_quantile(0.95, sum by (le) (increase(run_googleapis_com:request_latencies_bucket{monitored_resource=\"cloud_run_revision\",service_name=\"${var.name}\"}[1d]))) / 1000" },
      { title = "Memory in use, 99th percentile", query = "histogram_quantile(0.99, sum by (le) (increase(run_googleapis_com:container_memory_utilizations_bucket{monitored_resource=\"cloud_run_revision\",service_name=\"${var.name}\"}[1h])))" },
    ],
  )
}

resource "google_monitoring_dashboard" "exports" {
  project = var.project_id
  dashboard_json = jsonencode({
    displayName = var.name
    mosaicLayout = {
      columns = 48
      tiles = [
        for position, tile in local._tiles : {
          xPos   = (position % 2) * 24
          yPos   = floor(position / 2) * 16
          width  = 24
          height = 16
          widget = merge(
            { title = tile.title },
            { for kind, filter in { logsPanel = lookup(tile, "logs", null) } : kind => { filter = filter, resourceNames = ["projects/${var.project_id}"] } if filter != null },
            { for kind, query in { xyChart = lookup(tile, "query", null) } : kind => {
              dataSets                     = [{ plotType = "LINE", timeSeriesQuery = { prometheusQuery = query } }]
            } if query != null },
          )
        }
      ]
    }
  })

  depends_on = [google_project_service.api]
}
