locals {
  _tables = {
    for key, table in var.tables : key => merge(table, {
      aggregation = split("/", key)[0]
      frequency   = split("/", key)[1]
      table_id    = replace(key, "/", "_")
      prefix      = "gs://${local.bucket}/${var.bucket.object_prefix}${key}/"
      types       = { for column in coalesce(table.columns, []) : lower(column.name) => column.type } # BigQuery ignores case
    })
  }

  # What the views take a column with a known name for, and how that is read from each type that `tables` may
  # give it. From other types, such as a count as JSON, it cannot be read: then the column stays as it is.
  _known_types = { action = "INT64", consent = "INT64", day = "DATE", number = "INT64", total = "INT64" }
  _casts = {
    DATE = { DATE = "%s", DATETIME = "SAFE_CAST(%s AS DATE)", STRING = "SAFE_CAST(%s AS DATE)", TIMESTAMP = "DATE(%s, 'UTC')" }
    INT64 = {
      for type in ["BIGNUMERIC", "BOOL", "BOOLEAN", "FLOAT", "FLOAT64", "INT64", "INTEGER", "NUMERIC", "STRING"] :
      type => "SAFE_CAST(%s AS INT64)"
    }
  }

  # Which columns a view needs, and which it adds to those of the CSV: a CSV that has one of that name already
  # would make two, which BigQuery refuses.
  _views = {
    "granular/decoded"    = { needs = ["action", "consent"], adds = ["action_event", "action_name", "consent_name"] }
    "granular/rates"      = { needs = ["consent", "day", "dps_id", "settings_id", "total"], adds = [] }
    "interaction/decoded" = { needs = ["event_type"], adds = ["event_name"] }
    "interaction/rates"   = { needs = ["browser", "day", "event_type", "number", "settings_id"], adds = [] }
  }

  _typed_tables = {
    for key, table in local._tables : key => merge(table, {
      casts = {
        for name, type in local._known_types : name => format(local._casts[type][table.types[name]], "files.${name}")
        if can(local._casts[type][table.types[name]])
      }
    })
  }
  tables = {
    for key, table in local._typed_tables : key => merge(table, {
      views = [
        for view in ["decoded", "rates"] : view
        if length(setsubtract(local._views["${table.aggregation}/${view}"].needs, concat(
          keys(table.casts),
          [for name, type in table.types : name if type != "JSON" && !contains(keys(local._known_types), name)],
        ))) == 0
        && length(setintersection(local._views["${table.aggregation}/${view}"].adds, keys(table.types))) == 0
      ]
    })
  }

  # In days; a rule on a bucket that is managed elsewhere is not known here but by bigquery.files_deleted_after_days.
  _delete_after_days = try(coalesce(var.bucket.delete_after_days, var.bigquery.files_deleted_after_days), null)

  _event_name = trimspace(file("${path.module}/sql/event_name.sql"))
  _rates = {
    granular    = "Decisions and the share of opt-ins for each period, day, settings_id and dps_id. Bots and sessions without a choice are counted, as in the file."
    interaction = "Displays of the banner and what was done with them for each period, day and settings_id, as Usercentrics' own dashboards define the rates. Bots (browser = 'bot') are left out."
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
      field_delimiter       = each.value.field_delimiter
      encoding              = each.value.encoding
      skip_leading_rows     = 1
      allow_quoted_newlines = true
      # By position, files from before a column was added have shorter rows: NULL there, not an error.
      allow_jagged_rows   = true
      source_column_match = each.value.column_match
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
  description         = "The ${each.value.frequency} ${each.value.aggregation} periods that are wholly in the bucket. Rows are counts: sum up ${each.value.aggregation == "granular" ? "total" : "number"}, do not count rows. A constant for start_date keeps other files unread"
  deletion_protection = false
  labels              = var.labels

  view {
    use_legacy_sql = false
    query = templatefile("${path.module}/sql/complete_periods.sql", {
      aggregation       = each.value.aggregation
      bucket            = local.bucket
      casts             = each.value.casts
      delete_after_days = local._delete_after_days
      frequency         = each.value.frequency
      files             = "${var.project_id}.${local.dataset_id}.${google_bigquery_table.files[each.key].table_id}"
      exports           = "${var.project_id}.${local.dataset_id}.${google_bigquery_table.exports[0].table_id}"
    })
  }

  # A view keeps the columns that it was created with: with other columns in the table it has to be created again.
  lifecycle {
    replace_triggered_by = [google_bigquery_table.files[each.key].external_data_configuration[0].schema]
  }
}

resource "google_bigquery_table" "decoded" {
  for_each = { for key, table in local.tables : key => table if contains(table.views, "decoded") }

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.exports.dataset_id
  table_id            = "${each.value.table_id}_decoded"
  description         = "${each.value.table_id} with the names of the ${each.value.aggregation == "granular" ? "consent and action codes" : "events"}. Bots are in it, as in the file"
  deletion_protection = false
  labels              = var.labels

  view {
    use_legacy_sql = false
    query = templatefile("${path.module}/sql/${each.value.aggregation}_decoded.sql", {
      complete   = "${var.project_id}.${local.dataset_id}.${google_bigquery_table.complete[each.key].table_id}"
      event_name = local._event_name
    })
  }

  lifecycle {
    replace_triggered_by = [google_bigquery_table.files[each.key].external_data_configuration[0].schema]
  }
}

resource "google_bigquery_table" "rates" {
  for_each = { for key, table in local.tables : key => table if contains(table.views, "rates") }

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.exports.dataset_id
  table_id            = "${each.value.table_id}_rates"
  description         = "${local._rates[each.value.aggregation]} Rates are fractions. Rates of several rows are the quotient of their sums, not an average of rates"
  deletion_protection = false
  labels              = var.labels

  view {
    use_legacy_sql = false
    query = templatefile("${path.module}/sql/${each.value.aggregation}_rates.sql", {
      complete   = "${var.project_id}.${local.dataset_id}.${google_bigquery_table.complete[each.key].table_id}"
      event_name = local._event_name
    })
  }

  lifecycle {
    replace_triggered_by = [google_bigquery_table.files[each.key].external_data_configuration[0].schema]
  }
}

resource "google_bigquery_table" "missing_periods" {
  count = local._with_tables

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.exports.dataset_id
  table_id            = "missing_periods"
  description         = "Periods that should be there and are not, from the first exported one on, or as since and until in the variable exports say"
  deletion_protection = false
  labels              = var.labels

  view {
    use_legacy_sql = false
    query = templatefile("${path.module}/sql/missing_periods.sql", {
      expected = local.exports
      exports  = "${var.project_id}.${local.dataset_id}.${google_bigquery_table.exports[0].table_id}"
    })
  }
}
