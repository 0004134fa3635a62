# Generated from the table in tests/terraform/one_rule.py; the function is tested with the same table.
mock_provider "google" {}
mock_provider "archive" {}
mock_provider "time" {}

variables {
  project_id   = "my-project"
  region       = "europe-west3"
  analytics_id = "my-analytics-id"
}

run "accepted_0" {
  command = plan
  variables {
    analytics_id = "acme"

    bucket = { name = "my-exports", object_prefix = "" }

    function = { settings = { EXPORT_API_VERSION = "v1", PARALLEL_TRANSFERS = "1", STALL_SECONDS = "0.001", EXPORT_SERVICE_URL = "https://example.com", DOWNLOAD_ORIGINS = "https://storage.googleapis.com" } }
  }
}

run "accepted_1" {
  command = plan
  variables {
    analytics_id = "a.b_c~d-1"

    bucket = { name = "a.b_c", object_prefix = "usercentrics/" }

    function = { settings = { EXPORT_API_VERSION = "v2", PARALLEL_TRANSFERS = "9", STALL_SECONDS = "0.5", EXPORT_SERVICE_URL = "http://127.0.0.1:8080/api", DOWNLOAD_ORIGINS = "https://a.example,http://b.example:8080" } }
  }
}

run "accepted_2" {
  command = plan
  variables {
    analytics_id = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

    bucket = { object_prefix = "a/b=c/~d/" }

    function = { settings = { PARALLEL_TRANSFERS = "10", STALL_SECONDS = "1", EXPORT_SERVICE_URL = "HTTPS://example.com/a/b", DOWNLOAD_ORIGINS = "https://a.example/" } }
  }
}

run "accepted_3" {
  command = plan
  variables {
    bucket = { object_prefix = "..a/" }

    function = { settings = { PARALLEL_TRANSFERS = "59", STALL_SECONDS = "60", EXPORT_SERVICE_URL = "https://[::1]:443/" } }
  }
}

run "accepted_4" {
  command = plan
  variables {
    bucket = { object_prefix = ".../" }

    function = { settings = { PARALLEL_TRANSFERS = "64", STALL_SECONDS = "60.5" } }
  }
}

run "accepted_5" {
  command = plan
  variables {
    bucket = { object_prefix = ".hidden/" }

    function = { settings = { STALL_SECONDS = "999" } }
  }
}

run "accepted_6" {
  command = plan
  variables {
    bucket = { object_prefix = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/" }

    function = { settings = { STALL_SECONDS = "1000" } }
  }
}

run "accepted_7" {
  command = plan
  variables {
    function = { settings = { STALL_SECONDS = "2999.999" } }
  }
}

run "accepted_8" {
  command = plan
  variables {
    function = { settings = { STALL_SECONDS = "3599.999" } }
  }
}

run "accepted_9" {
  command = plan
  variables {
    function = { settings = { STALL_SECONDS = "3600" } }
  }
}

run "refused_0_object_prefix" {
  command = plan
  variables {
    bucket = { object_prefix = "../" }
  }
  expect_failures = [var.bucket]
}

run "refused_1_object_prefix" {
  command = plan
  variables {
    bucket = { object_prefix = "./a/" }
  }
  expect_failures = [var.bucket]
}

run "refused_2_object_prefix" {
  command = plan
  variables {
    bucket = { object_prefix = "a/../b/" }
  }
  expect_failures = [var.bucket]
}

run "refused_3_object_prefix" {
  command = plan
  variables {
    bucket = { object_prefix = "a/./" }
  }
  expect_failures = [var.bucket]
}

run "refused_4_object_prefix" {
  command = plan
  variables {
    bucket = { object_prefix = "a/.." }
  }
  expect_failures = [var.bucket]
}

run "refused_5_object_prefix" {
  command = plan
  variables {
    bucket = { object_prefix = "/" }
  }
  expect_failures = [var.bucket]
}

run "refused_6_object_prefix" {
  command = plan
  variables {
    bucket = { object_prefix = "/a/" }
  }
  expect_failures = [var.bucket]
}

run "refused_7_object_prefix" {
  command = plan
  variables {
    bucket = { object_prefix = "a//b/" }
  }
  expect_failures = [var.bucket]
}

run "refused_8_object_prefix" {
  command = plan
  variables {
    bucket = { object_prefix = "a" }
  }
  expect_failures = [var.bucket]
}

run "refused_9_object_prefix" {
  command = plan
  variables {
    bucket = { object_prefix = "a\n/" }
  }
  expect_failures = [var.bucket]
}

run "refused_10_object_prefix" {
  command = plan
  variables {
    bucket = { object_prefix = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/" }
  }
  expect_failures = [var.bucket]
}

run "refused_11_analytics_id" {
  command = plan
  variables {
    analytics_id = ""
  }
  expect_failures = [var.analytics_id]
}

run "refused_12_analytics_id" {
  command = plan
  variables {
    analytics_id = "."
  }
  expect_failures = [var.analytics_id]
}

run "refused_13_analytics_id" {
  command = plan
  variables {
    analytics_id = ".."
  }
  expect_failures = [var.analytics_id]
}

run "refused_14_analytics_id" {
  command = plan
  variables {
    analytics_id = "a/b"
  }
  expect_failures = [var.analytics_id]
}

run "refused_15_analytics_id" {
  command = plan
  variables {
    analytics_id = "a b"
  }
  expect_failures = [var.analytics_id]
}

run "refused_16_analytics_id" {
  command = plan
  variables {
    analytics_id = "a?b"
  }
  expect_failures = [var.analytics_id]
}

run "refused_17_analytics_id" {
  command = plan
  variables {
    analytics_id = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
  }
  expect_failures = [var.analytics_id]
}

run "refused_18_bucket" {
  command = plan
  variables {
    bucket = { name = "Exports" }
  }
  expect_failures = [var.bucket]
}

run "refused_19_bucket" {
  command = plan
  variables {
    bucket = { name = "gs://exports" }
  }
  expect_failures = [var.bucket]
}

run "refused_20_bucket" {
  command = plan
  variables {
    bucket = { name = "-exports" }
  }
  expect_failures = [var.bucket]
}

run "refused_21_bucket" {
  command = plan
  variables {
    bucket = { name = "ab" }
  }
  expect_failures = [var.bucket]
}

run "refused_22_export_api_version" {
  command = plan
  variables {
    function = { settings = { EXPORT_API_VERSION = "v3" } }
  }
  expect_failures = [var.function]
}

run "refused_23_export_api_version" {
  command = plan
  variables {
    function = { settings = { EXPORT_API_VERSION = "2" } }
  }
  expect_failures = [var.function]
}

run "refused_24_export_api_version" {
  command = plan
  variables {
    function = { settings = { EXPORT_API_VERSION = "V2" } }
  }
  expect_failures = [var.function]
}

run "refused_25_parallel_transfers" {
  command = plan
  variables {
    function = { settings = { PARALLEL_TRANSFERS = "0" } }
  }
  expect_failures = [var.function]
}

run "refused_26_parallel_transfers" {
  command = plan
  variables {
    function = { settings = { PARALLEL_TRANSFERS = "65" } }
  }
  expect_failures = [var.function]
}

run "refused_27_parallel_transfers" {
  command = plan
  variables {
    function = { settings = { PARALLEL_TRANSFERS = "100" } }
  }
  expect_failures = [var.function]
}

run "refused_28_parallel_transfers" {
  command = plan
  variables {
    function = { settings = { PARALLEL_TRANSFERS = "-1" } }
  }
  expect_failures = [var.function]
}

run "refused_29_parallel_transfers" {
  command = plan
  variables {
    function = { settings = { PARALLEL_TRANSFERS = "8.0" } }
  }
  expect_failures = [var.function]
}

run "refused_30_parallel_transfers" {
  command = plan
  variables {
    function = { settings = { PARALLEL_TRANSFERS = "eight" } }
  }
  expect_failures = [var.function]
}

run "refused_31_stall_seconds" {
  command = plan
  variables {
    function = { settings = { STALL_SECONDS = "0" } }
  }
  expect_failures = [var.function]
}

run "refused_32_stall_seconds" {
  command = plan
  variables {
    function = { settings = { STALL_SECONDS = "0.000" } }
  }
  expect_failures = [var.function]
}

run "refused_33_stall_seconds" {
  command = plan
  variables {
    function = { settings = { STALL_SECONDS = "3601" } }
  }
  expect_failures = [var.function]
}

run "refused_34_stall_seconds" {
  command = plan
  variables {
    function = { settings = { STALL_SECONDS = "9999" } }
  }
  expect_failures = [var.function]
}

run "refused_35_stall_seconds" {
  command = plan
  variables {
    function = { settings = { STALL_SECONDS = "-1" } }
  }
  expect_failures = [var.function]
}

run "refused_36_stall_seconds" {
  command = plan
  variables {
    function = { settings = { STALL_SECONDS = "60s" } }
  }
  expect_failures = [var.function]
}

run "refused_37_stall_seconds" {
  command = plan
  variables {
    function = { settings = { STALL_SECONDS = "1e3" } }
  }
  expect_failures = [var.function]
}

run "refused_38_export_service_url" {
  command = plan
  variables {
    function = { settings = { EXPORT_SERVICE_URL = "example.com" } }
  }
  expect_failures = [var.function]
}

run "refused_39_export_service_url" {
  command = plan
  variables {
    function = { settings = { EXPORT_SERVICE_URL = "ftp://example.com" } }
  }
  expect_failures = [var.function]
}

run "refused_40_export_service_url" {
  command = plan
  variables {
    function = { settings = { EXPORT_SERVICE_URL = "https://user@example.com" } }
  }
  expect_failures = [var.function]
}

run "refused_41_export_service_url" {
  command = plan
  variables {
    function = { settings = { EXPORT_SERVICE_URL = "https://example.com?a=b" } }
  }
  expect_failures = [var.function]
}

run "refused_42_export_service_url" {
  command = plan
  variables {
    function = { settings = { EXPORT_SERVICE_URL = "https://" } }
  }
  expect_failures = [var.function]
}

run "refused_43_download_origins" {
  command = plan
  variables {
    function = { settings = { DOWNLOAD_ORIGINS = "storage.googleapis.com" } }
  }
  expect_failures = [var.function]
}

run "refused_44_download_origins" {
  command = plan
  variables {
    function = { settings = { DOWNLOAD_ORIGINS = "https://a.example/path" } }
  }
  expect_failures = [var.function]
}

run "refused_45_download_origins" {
  command = plan
  variables {
    function = { settings = { DOWNLOAD_ORIGINS = "https://a.example," } }
  }
  expect_failures = [var.function]
}

run "refused_46_download_origins" {
  command = plan
  variables {
    function = { settings = { DOWNLOAD_ORIGINS = "https://u@a.example" } }
  }
  expect_failures = [var.function]
}
