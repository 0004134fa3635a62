variable "alerts" {
  description = "Watching. channels: existing notification channels (Slack, PagerDuty, webhooks, ...) by full name. columns_changed: also send a notice when an export's columns change. emails: where they go by e-mail; with neither channels nor emails, incidents show in the console only. runbooks_url: https:// address of the folder docs/runbooks in your copy of the repository (git remote get-url origin says where that is); alerts then carry a page's first lines and a link to it, otherwise the whole page."
  type = object({
    channels        = optional(set(string), [])
    columns_changed = optional(bool, false)
    emails          = optional(set(string), [])
    runbooks_url    = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for channel in var.alerts.channels : can(regex("^projects/[a-z0-9:.-]+/notificationChannels/[A-Za-z0-9_-]+$", channel))])
    error_message = "alerts.channels: expected full names, projects/PROJECT/notificationChannels/ID, as `gcloud beta monitoring channels list --format 'value(name)'` prints them."
  }
  validation {
    condition     = alltrue([for email in var.alerts.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "alerts.emails: expected e-mail addresses such as data-team@example.com."
  }
  validation {
    condition     = length(var.alerts.emails) + length(var.alerts.channels) <= 16
    error_message = "alerts: expected at most 16 emails and channels together; an alert policy takes no more."
  }
  validation {
    condition     = var.alerts.runbooks_url == null || can(regex("^https://[^\\s?#]+$", var.alerts.runbooks_url))
    error_message = "alerts.runbooks_url: expected an https:// address of the folder docs/runbooks, without query, or null."
  }
}

variable "analytics_id" {
  description = "The analytics ID that Usercentrics handed out."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._~-]{1,256}$", var.analytics_id)) && !contains([".", ".."], var.analytics_id)
    error_message = "analytics_id: expected the ID as Usercentrics handed it out: one path segment of letters, digits and . _ ~ - (no slash, no space)."
  }
}

variable "api_key" {
  description = "The export service's API key, written to Secret Manager and kept in neither plan nor state. Needs api_key_version. Leave both out and run the output add_key_command instead."
  type        = string
  ephemeral   = true
  default     = null

  validation {
    condition     = var.api_key == null || try(length(trimspace(var.api_key)) > 0 && trimspace(var.api_key) == var.api_key, false)
    error_message = "api_key: expected the key without blanks or line ends around it."
  }
  validation {
    condition     = (var.api_key == null) == (var.api_key_version == null)
    error_message = "api_key and api_key_version belong together: give both on every apply, or leave both out and add the key with gcloud (output add_key_command)."
  }
}

variable "api_key_version" {
  description = "A number, as a string, to raise whenever api_key changes: Terraform cannot see the key, so this number tells it to write a new version."
  type        = string
  default     = null

  validation {
    condition     = var.api_key_version == null || can(regex("^[1-9][0-9]{0,8}$", var.api_key_version))
    error_message = "api_key_version: expected a whole number from 1 on, such as \"1\"; raise it to write a new key."
  }
}

variable "bigquery" {
  description = "The dataset over the exports. dataset_id: default is name with _ for -. files_deleted_after_days: where a rule on an existing bucket deletes exports, their age in days then; the views leave out periods that may be gone in part, as they do with bucket.delete_after_days. kms_key: full name of a Cloud KMS key in location, default kms_key where that is in location. readers: IAM members who may read it; they get the dataset and, because external tables check the files too, objectViewer on the bucket."
  type = object({
    dataset_id               = optional(string)
    files_deleted_after_days = optional(number)
    kms_key                  = optional(string)
    readers                  = optional(set(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.bigquery.dataset_id == null || can(regex("^[A-Za-z0-9_]+$", var.bigquery.dataset_id))
    error_message = "bigquery.dataset_id: expected letters, digits and _ (BigQuery allows no -)."
  }
  validation {
    condition     = var.bigquery.kms_key == null || can(regex("^projects/[^/]+/locations/${local.kms_location}/keyRings/[^/]+/cryptoKeys/[^/]+$", var.bigquery.kms_key))
    error_message = "bigquery.kms_key: expected projects/P/locations/L/keyRings/R/cryptoKeys/K, L being location (for EU: europe, for US: us)."
  }
  validation {
    condition     = var.bigquery.files_deleted_after_days == null || try(var.bigquery.files_deleted_after_days >= 1 && floor(var.bigquery.files_deleted_after_days) == var.bigquery.files_deleted_after_days, false)
    error_message = "bigquery.files_deleted_after_days: expected a whole number of days from 1 on, or null where nothing is deleted by age."
  }
  validation {
    condition     = var.bigquery.files_deleted_after_days == null || !var.bucket.create
    error_message = "bigquery.files_deleted_after_days is for a bucket that is managed elsewhere; here bucket.delete_after_days says it and does it."
  }
  validation {
    condition     = alltrue([for member in var.bigquery.readers : can(regex("^(user|group|serviceAccount|domain|principal|principalSet):.+$", member))])
    error_message = "bigquery.readers: expected IAM members such as group:analysts@example.com; allUsers and allAuthenticatedUsers are refused: what visitors chose is not for everybody."
  }
}

variable "bucket" {
  description = "Where the exports land. create: false uses the existing bucket called name, in location. delete_after_days: age at which exported files go (manifests stay; the views leave out a period when its first file may go). force_destroy: let terraform destroy delete the data. kms_key: full name of a Cloud KMS key in location, default kms_key where that is in location. object_prefix: put before every object name, for a shared bucket. soft_delete_days: how long deleted and overwritten files can be restored (0, or 7..90)."
  type = object({
    create            = optional(bool, true)
    delete_after_days = optional(number)
    force_destroy     = optional(bool, false)
    kms_key           = optional(string)
    name              = optional(string)
    object_prefix     = optional(string, "")
    soft_delete_days  = optional(number, 7)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.bucket.name == null || can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.bucket.name))
    error_message = "bucket.name: expected 3..63 characters, lower-case letters, digits and - _ . (names are global)."
  }
  validation {
    condition     = var.bucket.name == null || !can(regex("^goog|google|\\.\\.|\\.-|-\\.|^[0-9]+(\\.[0-9]+){3}$", var.bucket.name))
    error_message = "bucket.name: expected no google in it, no dots beside dots or dashes, and no IP address: Cloud Storage refuses them."
  }
  validation {
    condition     = var.bucket.create || var.bucket.name != null
    error_message = "bucket.create = false uses an existing bucket: set bucket.name to it."
  }
  validation {
    condition     = var.bucket.create || (var.bucket.delete_after_days == null && var.bucket.kms_key == null && !var.bucket.force_destroy)
    error_message = "bucket.delete_after_days, kms_key and force_destroy are set on a bucket that this module creates; set them on the existing bucket where it is managed."
  }
  validation {
    condition     = var.bucket.delete_after_days == null || try(var.bucket.delete_after_days >= 1 && floor(var.bucket.delete_after_days) == var.bucket.delete_after_days, false)
    error_message = "bucket.delete_after_days: expected a whole number of days from 1 on, or null to keep everything."
  }
  validation {
    condition     = var.bucket.kms_key == null || can(regex("^projects/[^/]+/locations/${local.kms_location}/keyRings/[^/]+/cryptoKeys/[^/]+$", var.bucket.kms_key))
    error_message = "bucket.kms_key: expected projects/P/locations/L/keyRings/R/cryptoKeys/K, L being location (for EU: europe, for US: us)."
  }
  validation {
    condition = var.bucket.object_prefix == "" || (
      can(regex("^([A-Za-z0-9._~=-]+/)+$", var.bucket.object_prefix)) &&
      length(setintersection([".", ".."], split("/", var.bucket.object_prefix))) == 0 &&
      length(var.bucket.object_prefix) <= 500
    )
    error_message = "bucket.object_prefix: expected empty, or folders that end in /, such as usercentrics/ (letters, digits and . _ ~ = -; none of them . or ..; at most 500 characters)."
  }
  validation {
    condition     = var.bucket.soft_delete_days == 0 || (var.bucket.soft_delete_days >= 7 && var.bucket.soft_delete_days <= 90 && floor(var.bucket.soft_delete_days) == var.bucket.soft_delete_days)
    error_message = "bucket.soft_delete_days: expected 0 (off) or a whole number, 7..90."
  }
}

variable "exports" {
  description = "What is exported, keyed AGGREGATION/FREQUENCY (interaction or granular; daily, weekly or monthly). schedule, catch_up_schedule, refresh_schedule: cron in UTC, minute and hours plain, at 08 or later, when the exports are there. catch_up_last: how many finished periods the catch-up looks back over (1..400, 0 for no catch-up; default daily 14, weekly 4, monthly 2). refresh_last, refresh_schedule: how many finished periods are compared with Usercentrics again, complete or not, and when, so that what Usercentrics issues again arrives by itself (1..400, 0 for no refresh; default daily 35, weekly 5, monthly 2; Wednesdays at 16). since, until: first and last day that is expected (YYYY-MM-DD), for missing_periods and for the checks; without since the one counts from the first exported period, the others from the apply that made the entry. An export that is given up keeps its entry and gets until: 40 days later an apply removes its jobs."
  type = map(object({
    catch_up_last     = optional(number)
    catch_up_schedule = optional(string)
    refresh_last      = optional(number)
    refresh_schedule  = optional(string)
    schedule          = optional(string)
    since             = optional(string)
    until             = optional(string)
  }))
  default = {
    "interaction/daily" = {}
    "granular/daily"    = {}
  }
  nullable = false

  validation {
    condition     = length(var.exports) > 0 && alltrue([for key in keys(var.exports) : can(regex("^(interaction|granular)/(daily|weekly|monthly)$", key))])
    error_message = "exports: expected at least one entry, keyed interaction/daily, interaction/weekly, interaction/monthly, granular/daily, granular/weekly or granular/monthly."
  }
  validation {
    condition = alltrue(flatten([
      for export in values(var.exports) : [
        for cron in [export.schedule, export.catch_up_schedule, export.refresh_schedule] :
        cron == null || can(regex("^[0-5]?[0-9] (0?[89]|1[0-9]|2[0-3])(,(0?[89]|1[0-9]|2[0-3]))* [0-9*/,-]+ [0-9A-Za-z*/,-]+ [0-9A-Za-z*/,-]+$", cron))
      ]
    ]))
    error_message = "exports.*.schedule, catch_up_schedule and refresh_schedule: expected five cron fields in UTC with a plain minute and hours from 8 to 23, such as \"20 8 * * *\": the exports are there from 08:00 UTC on."
  }
  validation {
    condition = alltrue(flatten([
      for export in values(var.exports) : [
        for last in [export.catch_up_last, export.refresh_last] :
        last == null || try(last >= 0 && last <= 400 && floor(last) == last, false)
      ]
    ]))
    error_message = "exports.*.catch_up_last and refresh_last: expected a whole number, 1..400, or 0 for no catch-up and no refresh."
  }
  validation {
    condition = alltrue(flatten([
      for export in values(var.exports) : [
        for day in [export.since, export.until] :
        day == null || (can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", day)) && can(formatdate("YYYY-MM-DD", "${day}T00:00:00Z")))
      ]
    ]))
    error_message = "exports.*.since and until: expected a day as YYYY-MM-DD, such as \"2024-02-29\"."
  }
  validation {
    condition = alltrue(flatten([
      for export in values(var.exports) : [
        for name, cron in export :
        can(regex("^\\S+ \\S+ ${local.cron_days}$", cron)) && alltrue([for range in regexall("([0-9]+)-([0-9]+)", cron) : tonumber(range[0]) <= tonumber(range[1])])
        if endswith(name, "schedule") && cron != null
      ]
    ]))
    error_message = "exports.*.schedule, catch_up_schedule and refresh_schedule: expected a day of the month 1..31, a month 1..12 or jan..dec, and a day of the week 0..7 or sun..sat; each may be *, a list, a range from the lower to the higher, or have a step from 1 on."
  }
  validation {
    condition = alltrue([
      for export in values(var.exports) :
      export.since == null || export.until == null || try(timecmp("${export.since}T00:00:00Z", "${export.until}T00:00:00Z") <= 0, true)
    ])
    error_message = "exports.*: expected since to be no later than until."
  }
}

variable "function" {
  description = "How the function runs. deadline_seconds: when a run stops starting work and answers 503 (60..1740). ingress: ALLOW_ALL or ALLOW_INTERNAL_ONLY (then only Cloud Scheduler and Cloud Tasks get through, no curl). max_instances: 1..10. memory_mib: 256, 512 or 1024. settings: further environment settings of the function, by name."
  type = object({
    deadline_seconds = optional(number, 1740)
    ingress          = optional(string, "ALLOW_ALL")
    max_instances    = optional(number, 3)
    memory_mib       = optional(number, 512)
    settings         = optional(map(string), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.function.deadline_seconds >= 60 && var.function.deadline_seconds <= 1740 && floor(var.function.deadline_seconds) == var.function.deadline_seconds
    error_message = "function.deadline_seconds: expected a whole number, 60..1740: Scheduler gives up on an answer after 1800 s, and copies in flight get up to 45 s more."
  }
  validation {
    condition     = contains(["ALLOW_ALL", "ALLOW_INTERNAL_ONLY"], var.function.ingress)
    error_message = "function.ingress: expected ALLOW_ALL (still only callers with run.invoker) or ALLOW_INTERNAL_ONLY."
  }
  validation {
    condition     = var.function.max_instances >= 1 && var.function.max_instances <= 10 && floor(var.function.max_instances) == var.function.max_instances
    error_message = "function.max_instances: expected a whole number, 1..10; each serves one request at a time."
  }
  validation {
    condition     = contains([256, 512, 1024], var.function.memory_mib)
    error_message = "function.memory_mib: expected 256, 512 or 1024; the copy streams, so 512 is plenty for any file size."
  }
  validation {
    condition     = alltrue([for name in keys(var.function.settings) : contains(["DOWNLOAD_ORIGINS", "EXPORT_API_VERSION", "EXPORT_SERVICE_URL", "PARALLEL_TRANSFERS", "STALL_SECONDS"], name)])
    error_message = "function.settings: expected DOWNLOAD_ORIGINS, EXPORT_API_VERSION, EXPORT_SERVICE_URL, PARALLEL_TRANSFERS or STALL_SECONDS; the other settings come from this module's own variables."
  }
  validation {
    condition     = alltrue([for name, value in var.function.settings : can(regex(local.setting_forms[name], value)) if contains(keys(local.setting_forms), name)])
    error_message = "Values of function.settings: expected DOWNLOAD_ORIGINS as origins (https://host or https://host:port, with commas between), EXPORT_API_VERSION v1 or v2, EXPORT_SERVICE_URL an http(s) URL without user info, query or fragment, PARALLEL_TRANSFERS 1..64, STALL_SECONDS over 0 and at most 3600."
  }
}

variable "kms_key" {
  description = "Full name of a Cloud KMS key in region, for all that takes one: function, images, source, secret; bucket and dataset too where location is region. Set it from the first apply on: later it recreates the secret, and the API key has to be added again."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/${var.region}/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key: expected projects/P/locations/L/keyRings/R/cryptoKeys/K, L being region."
  }
  validation {
    condition     = var.kms_key == null || var.location == var.region || ((var.bucket.kms_key != null || !var.bucket.create) && var.bigquery.kms_key != null)
    error_message = "kms_key is in region and location is another place: set bucket.kms_key and bigquery.kms_key to a key in location too (for EU: europe, for US: us), or location to region."
  }
}

variable "labels" {
  description = "Labels put on everything that takes labels."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "labels: expected lower-case letters, digits, - and _, at most 63 characters, keys starting with a letter."
  }
  validation {
    condition     = length(var.labels) <= 60 && alltrue([for key in keys(var.labels) : !startswith(key, "goog")])
    error_message = "labels: expected at most 60 (Google allows 64 and adds some of its own), and no key that begins with goog, which is reserved."
  }
}

variable "location" {
  description = "Where the data lives: bucket and dataset alike. EU, US or a region."
  type        = string
  default     = "EU"
  nullable    = false

  validation {
    condition     = can(regex("^(EU|US|[a-z]+-[a-z]+[0-9]+)$", var.location))
    error_message = "location: expected EU, US or a region such as europe-west3: BigQuery knows no other places, and bucket and dataset must be in one."
  }
}

variable "name" {
  description = "Name of the deployment and prefix of everything in it; a second one in the same project needs another."
  type        = string
  default     = "analytics-export"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 4 && length(var.name) <= 23
    error_message = "name: expected 4..23 characters in kebab-case, such as analytics-export: service accounts take 30 with their suffix, and Cloud Run renames functions that hold a _."
  }
}

variable "project_id" {
  description = "The project that everything is created in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id: expected the project's ID (6..30 lower-case letters, digits and -), not its name or number."
  }
}

variable "queue" {
  description = "The Cloud Tasks queue that large backfills go through. enabled: false makes none. name: default is name; the name of a deleted queue is blocked for up to 7 days, so take another one to make it again before. region: where it lives, if region has no Cloud Tasks; default region."
  type = object({
    enabled = optional(bool, true)
    name    = optional(string)
    region  = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.queue.name == null || can(regex("^[A-Za-z0-9-]{1,100}$", var.queue.name))
    error_message = "queue.name: expected 1..100 letters, digits and -, or null."
  }
  validation {
    condition     = var.queue.region == null || can(regex("^[a-z]+-[a-z]+[0-9]+$", var.queue.region))
    error_message = "queue.region: expected a region such as europe-west3, or null."
  }
}

variable "region" {
  description = "Where the function, its image and the secret live; in the same part of the world as location."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region: expected a region such as europe-west3."
  }
  validation {
    condition = (
      var.location == "EU" ? startswith(var.region, "europe-") :
      var.location == "US" ? startswith(var.region, "us-") :
      split("-", var.region)[0] == split("-", var.location)[0]
    )
    error_message = "region: expected one in the same part of the world as location (EU: europe-*, US: us-*): the exports would cross the ocean and be billed for it."
  }
}

variable "scheduler_region" {
  description = "Where the Scheduler jobs live, if region has no Cloud Scheduler; default region."
  type        = string
  default     = null

  validation {
    condition     = var.scheduler_region == null || can(regex("^[a-z]+-[a-z]+[0-9]+$", var.scheduler_region))
    error_message = "scheduler_region: expected a region such as europe-west3, or null."
  }
}

variable "tables" {
  description = "BigQuery tables over what has landed, keyed like exports; output tables_command writes this variable. columns: the CSV's columns in order, from a manifest; null lets BigQuery detect them, which finds no header where every column is text. column_match: NAME, or POSITION, which silently misreads columns once one is inserted or moved. field_delimiter, encoding (UTF-8 or ISO-8859-1), compression (NONE or GZIP): how the files are written. require_partition_filter: refuse queries that read every period."
  type = map(object({
    column_match = optional(string, "NAME")
    columns = optional(list(object({
      description = optional(string)
      name        = string
      type        = optional(string, "STRING")
    })))
    compression              = optional(string, "NONE")
    encoding                 = optional(string, "UTF-8")
    field_delimiter          = optional(string, ",")
    require_partition_filter = optional(bool, false)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for key in keys(var.tables) : can(regex("^(interaction|granular)/(daily|weekly|monthly)$", key))])
    error_message = "tables: expected keys interaction/daily, interaction/weekly, interaction/monthly, granular/daily, granular/weekly or granular/monthly."
  }
  validation {
    condition = alltrue([
      for table in values(var.tables) :
      table.columns == null || try(length(table.columns) > 0 && alltrue([for column in table.columns : can(regex("^[A-Za-z_][A-Za-z0-9_]{0,299}$", column.name))]), false)
    ])
    error_message = "tables.*.columns: expected at least one, each name of letters, digits and _. If the CSV's header has others, give legal names in its order and column_match = \"POSITION\"."
  }
  validation {
    condition = alltrue([
      for table in values(var.tables) :
      table.columns == null || try(length(distinct([for column in table.columns : lower(column.name)])) == length(table.columns) && !contains([for column in table.columns : lower(column.name)], "start_date"), false)
    ])
    error_message = "tables.*.columns: expected distinct names (BigQuery ignores case), none of them start_date, which is the partition. Rename the column and set column_match = \"POSITION\"."
  }
  validation {
    condition = alltrue(flatten([
      for table in values(var.tables) : [
        for column in coalesce(table.columns, []) :
        !can(regex("^(_TABLE_|_FILE_|_PARTITION|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER|_CHANGE_)", upper(column.name)))
      ]
    ]))
    error_message = "tables.*.columns: expected names that do not begin with _TABLE_, _FILE_, _PARTITION, _ROW_TIMESTAMP, __ROOT__, _COLIDENTIFIER or _CHANGE_, which BigQuery keeps for itself. Rename the column and set column_match = \"POSITION\"."
  }
  validation {
    condition = alltrue(flatten([
      for table in values(var.tables) : [
        for column in coalesce(table.columns, []) :
        contains(["BIGNUMERIC", "BOOL", "BOOLEAN", "DATE", "DATETIME", "FLOAT", "FLOAT64", "INT64", "INTEGER", "JSON", "NUMERIC", "STRING", "TIME", "TIMESTAMP"], column.type)
      ]
    ]))
    error_message = "tables.*.columns.*.type: expected a type that a CSV can hold, in capitals, such as STRING, INTEGER, DATE or TIMESTAMP; STRING never fails to read."
  }
  validation {
    condition     = alltrue([for table in values(var.tables) : contains(["NAME", "POSITION"], table.column_match) && contains(["NONE", "GZIP"], table.compression)])
    error_message = "tables.*: expected column_match NAME or POSITION, and compression NONE or GZIP."
  }
  validation {
    condition     = alltrue([for table in values(var.tables) : length(table.field_delimiter) == 1 && !contains(["\"", "\n", "\r"], table.field_delimiter)])
    error_message = "tables.*.field_delimiter: expected one character, such as , ; | or a tab (\"\\t\"), and neither a quote nor a line end."
  }
  validation {
    condition     = alltrue([for table in values(var.tables) : contains(["ISO-8859-1", "UTF-8"], table.encoding)])
    error_message = "tables.*.encoding: expected UTF-8 or ISO-8859-1; the provider takes no others."
  }
}
