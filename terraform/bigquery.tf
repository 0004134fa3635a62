locals {
  tables = {
    for key, table in var.tables : key => merge(table, {
      aggregation = split("/", key)[0]
      frequency   = split("/", key)[1]
      table_id    = replace(key, "/", "_")
      prefix      = "gs://${local.bucket}/${var.bucket.object_prefix}${key}/"
      is_decodable = length(setintersection(
        ["action", "consent"], [for column in coalesce(table.columns, []) : lower(column.name)]
      )) == 2
    })
  }

  # A table over no files cannot be read, and a partitioned one cannot even be created: manifests are
  # there as soon as there is anything to make tables of, so this one comes with the first of them.
  _with_tables = length(var.tables) > 0 ? 1 : 0
}

resource "google_bigquery_dataset" "exports" {
  project                    = var.project_id
  dataset_id                 = local.dataset_id
  location                   = var.location
  description                = "Usercentrics analytics exports of ${var.analytics_id}, read where they lie in gs://${local.bucket}"
  delete_contents_on_destroy = false
  labels                     = var.labels

  dynamic "default_encryption_configuration" {
    for_each = compact([var.bigquery.kms_key == null ? local.kms_key_in_location : var.bigquery.kms_key])
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_bigquery_dataset_iam_member" "readers" {
  for_each = var.bigquery.readers

  project    = var.project_id
  dataset_id = google_bigquery_dataset.exports.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.key
}

resource "google_storage_bucket_iam_member" "readers" {
  for_each = var.bigquery.readers

  bucket = local.bucket
  role   = "roles/storage.objectViewer"
  member = each.key
}

# One row a complete period, from the manifests.
resource "google_bigquery_table" "exports" {
  count = local._with_tables

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.exports.dataset_id
  table_id            = "exports"
  description         = "One row for each period that is wholly in the bucket"
  deletion_protection = false # external tables and views hold no data
  labels              = var.labels

  external_data_configuration {
    autodetect            = false
    source_format         = "NEWLINE_DELIMITED_JSON"
    source_uris           = ["gs://${local.bucket}/${var.bucket.object_prefix}manifests/*.json"]
    schema                = file("${path.module}/sql/exports.schema.json")
    ignore_unknown_values = true # a field that a later version adds to manifests
  }
}

# Every file that is there, complete periods or not.
resource "google_bigquery_table" "files" {
  for_each = local.tables

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.exports.dataset_id
  table_id            = "${each.value.table_id}_files"
  description         = "Every file under ${each.value.prefix}, half-copied periods included; read ${each.value.table_id} instead"
  deletion_protection = false
  labels              = var.labels

  external_data_configuration {
    autodetect    = each.value.columns == null
    source_format = "CSV"
    source_uris   = ["${each.value.prefix}*"]
    compression   = each.value.compression
    # Here and not on the table: there, the partition's column would be lost without a word.
    schema = each.value.columns == null ? null : jsonencode([
      for column in each.value.columns : merge(
        { mode = "NULLABLE", name = column.name, type = column.type },
        column.description == null ? {} : { description = column.description },
      )
    ])
    ignore_unknown_values = true # a column that Usercentrics adds; the log says columns_changed

    csv_options {
      quote                 = "\""
      skip_leading_rows     = 1
      allow_quoted_newlines = true
      source_column_match   = each.value.column_match
    }

    hive_partitioning_options {
      mode                     = "CUSTOM"
      source_uri_prefix        = "${each.value.prefix}{start_date:DATE}"
      require_partition_filter = each.value.require_partition_filter
    }
  }
}

resource "google_bigquery_table" "complete" {
  for_each = local.tables

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.exports.dataset_id
  table_id            = each.value.table_id
  description         = "The ${each.value.frequency} ${each.value.aggregation} periods that are wholly in the bucket"
  deletion_protection = false
  labels              = var.labels

  view {
    use_legacy_sql = false
    query = templatefile("${path.module}/sql/complete_periods.sql", {
      aggregation = each.value.aggregation
      frequency   = each.value.frequency
      files       = "${var.project_id}.${local.dataset_id}.${google_bigquery_table.files[each.key].table_id}"
      exports     = "${var.project_id}.${local.dataset_id}.${google_bigquery_table.exports[0].table_id}"
    })
  }
}

resource "google_bigquery_table" "decoded" {
  for_each = { for key, table in local.tables : key => table if table.is_decodable }

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.exports.dataset_id
  table_id            = "${each.value.table_id}_decoded"
  description         = "${each.value.table_id} with the names of the consent and action codes"
  deletion_protection = false
  labels              = var.labels

  view {
    use_legacy_sql = false
    query = templatefile("${path.module}/sql/decoded.sql", {
      complete = "${var.project_id}.${local.dataset_id}.${google_bigquery_table.complete[each.key].table_id}"
    })
  }
}

resource "google_bigquery_table" "missing_periods" {
  count = local._with_tables

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.exports.dataset_id
  table_id            = "missing_periods"
  description         = "Periods since the first exported one that should be there and are not"
  deletion_protection = false
  labels              = var.labels

  view {
    use_legacy_sql = false
    query = templatefile("${path.module}/sql/missing_periods.sql", {
      exports = "${var.project_id}.${local.dataset_id}.${google_bigquery_table.exports[0].table_id}"
    })
  }
}
