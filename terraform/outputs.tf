locals {
  add_key_command = "bash -c 'read -rsp \"API key: \" KEY && printf %s \"$KEY\" | gcloud secrets versions add ${google_secret_manager_secret.api_key.secret_id} --project ${var.project_id} --data-file=-'"
}

output "add_key_command" {
  description = "Adds the API key, or a new one, as a secret version; the key is typed and stands in no file or shell history."
  value       = local.add_key_command
}

output "backfill_command" {
  description = "Exports every period of a span; put in your dates. Answers 503 when the deadline came first: run it again, it goes on where it stopped."
  value       = "curl -sS --max-time 1800 -X POST ${google_cloudfunctions2_function.export.service_config[0].uri} -H \"Authorization: Bearer $(gcloud auth print-identity-token)\" -H 'Content-Type: application/json' -d '${jsonencode({ aggregation = values(local.exports)[0].aggregation, frequency = values(local.exports)[0].frequency, from = "YYYY-MM-DD", to = "YYYY-MM-DD" })}'"
}

output "bucket" {
  description = "Name of the bucket that the exports land in."
  value       = local.bucket
}

output "dataset" {
  description = "The BigQuery dataset, PROJECT.DATASET."
  value       = "${var.project_id}.${google_bigquery_dataset.exports.dataset_id}"
}

output "function_uri" {
  description = "Where the function answers; callers need run.invoker on it."
  value       = google_cloudfunctions2_function.export.service_config[0].uri
  depends_on  = [google_cloud_run_v2_service_iam_member.invoke]
}

output "list_command" {
  description = "Shows what has landed."
  value       = "gcloud storage ls -r 'gs://${local.bucket}/${var.bucket.object_prefix}**'"
}

output "run_now_commands" {
  description = "Run an export now, by entry of exports. It comes to the same as the scheduled run: what is there already is not copied again."
  value       = { for key, export in local.scheduled_exports : key => "gcloud scheduler jobs run ${export.job} --project ${var.project_id} --location ${local.scheduler_region}" }
}

output "secret" {
  description = "Full name of the secret that holds the API key."
  value       = google_secret_manager_secret.api_key.id
}

output "service_accounts" {
  description = "E-mail addresses of the accounts that run, build and call the function."
  value = {
    build  = google_service_account.build.email
    invoke = google_service_account.invoke.email
    run    = google_service_account.run.email
  }
}

output "tables_command" {
  description = "After the first export: writes the variable tables from the columns in the manifests into a file that Terraform reads by itself. Then apply again."
  value       = "gcloud storage cat 'gs://${local.bucket}/${var.bucket.object_prefix}manifests/**.json' | python3 ${path.module}/tables.py tables.auto.tfvars.json"
}
