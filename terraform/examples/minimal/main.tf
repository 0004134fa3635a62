# One analytics ID, daily exports, everything else as it comes.
provider "google" {
  project               = "my-project"
  user_project_override = true # with your own login some APIs want to know whose quota to use
  billing_project       = "my-project"
}

module "analytics_export" {
  source = "../.."

  project_id   = "my-project"
  region       = "europe-west3"
  analytics_id = "my-analytics-id"
}

output "add_key_command" {
  value = module.analytics_export.add_key_command
}

output "run_now_commands" {
  value = module.analytics_export.run_now_commands
}
