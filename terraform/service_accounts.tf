# Three identities, so that a call, a run and a build can each do one thing. Their roles are granted
# next to each resource: run in storage.tf and secret.tf, invoke in scheduler.tf, build in function.tf.
resource "google_service_account" "run" {
  project      = var.project_id
  account_id   = "${var.name}-run"
  display_name = "Analytics export ${var.name}: runs the function"
  depends_on   = [google_project_service.api]
}

resource "google_service_account" "build" {
  project      = var.project_id
  account_id   = "${var.name}-build"
  display_name = "Analytics export ${var.name}: builds the function's image"
  depends_on   = [google_project_service.api]
}

resource "google_service_account" "invoke" {
  project      = var.project_id
  account_id   = "${var.name}-invoke"
  display_name = "Analytics export ${var.name}: calls the function"
  depends_on   = [google_project_service.api]
}
