# No provider block: this folder is a root module and a child module alike. Every resource names its
# project and its location, so an empty provider configuration (credentials from the environment) is
# enough, and several instances can live side by side with `for_each`.
terraform {
  required_version = ">= 1.11" # write-only arguments (the API key)

  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.7, < 3.0"
    }
    google = {
      source  = "hashicorp/google"
      version = ">= 7.31, < 9.0" # 7.31 fixes the diffs of Scheduler headers beside an OIDC token
    }
    time = {
      source  = "hashicorp/time"
      version = ">= 0.12, < 1.0"
    }
  }
}
