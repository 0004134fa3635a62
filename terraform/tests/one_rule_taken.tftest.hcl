# Made from the table in tests/terraform/one_rule.py in the repository, which holds the function's own rules to the same cases.
mock_provider "google" {}
mock_provider "archive" {}
mock_provider "time" {}

variables {
  project_id   = "my-project"
  region       = "europe-west3"
  analytics_id = "my-analytics-id"
}

run "taken_0" {
  command = plan
  variables {
    analytics_id = "acme"

    bucket = { name = "my-exports", object_prefix = "" }

    function = { settings = { EXPORT_API_VERSION = "v1", PARALLEL_TRANSFERS = "1", STALL_SECONDS = "0.001", EXPORT_SERVICE_URL = "https://example.com", DOWNLOAD_ORIGINS = "https://storage.googleapis.com" } }
  }
}

run "taken_1" {
  command = plan
  variables {
    analytics_id = "a.b_c~d-1"

    bucket = { name = "a.b_c", object_prefix = "usercentrics/" }

    function = { settings = { EXPORT_API_VERSION = "v2", PARALLEL_TRANSFERS = "9", STALL_SECONDS = "0.5", EXPORT_SERVICE_URL = "http://127.0.0.1:8080/api", DOWNLOAD_ORIGINS = "https://a.example,http://b.example:8080" } }
  }
}

run "taken_2" {
  command = plan
  variables {
    analytics_id = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

    bucket = { object_prefix = "a/b=c/~d/" }

    function = { settings = { PARALLEL_TRANSFERS = "10", STALL_SECONDS = "1", EXPORT_SERVICE_URL = "HTTPS://example.com/a/b", DOWNLOAD_ORIGINS = "https://a.example/" } }
  }
}

run "taken_3" {
  command = plan
  variables {
    bucket = { object_prefix = "..a/" }

    function = { settings = { PARALLEL_TRANSFERS = "59", STALL_SECONDS = "60", EXPORT_SERVICE_URL = "https://[::1]:443/" } }
  }
}

run "taken_4" {
  command = plan
  variables {
    bucket = { object_prefix = ".../" }

    function = { settings = { PARALLEL_TRANSFERS = "64", STALL_SECONDS = "60.5" } }
  }
}

run "taken_5" {
  command = plan
  variables {
    bucket = { object_prefix = ".hidden/" }

    function = { settings = { STALL_SECONDS = "999" } }
  }
}

run "taken_6" {
  command = plan
  variables {
    bucket = { object_prefix = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/" }

    function = { settings = { STALL_SECONDS = "1000" } }
  }
}

run "taken_7" {
  command = plan
  variables {
    function = { settings = { STALL_SECONDS = "2999.999" } }
  }
}

run "taken_8" {
  command = plan
  variables {
    function = { settings = { STALL_SECONDS = "3599.999" } }
  }
}

run "taken_9" {
  command = plan
  variables {
    function = { settings = { STALL_SECONDS = "3600" } }
  }
}
