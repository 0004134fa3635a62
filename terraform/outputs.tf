locals {
  add_key_command = "bash -c 'read -rsp \"API key: \" KEY && printf %s \"$KEY\" | gcloud secrets versions add ${google_secret_manager_secret.api_key.secret_id} --project ${var.project_id} --data-file=-'"
  backfill_body = merge(
    { aggregation = values(local.exports)[0].aggregation, frequency = values(local.exports)[0].frequency, from = "YYYY-MM-DD", to = "YYYY-MM-DD" },
    var.queue.enabled ? { enqueue = true } : {},
  )
}

output "add_key_command" {
  description = "Adds the API key, or a new one, as a secret version; the key is typed and stored in no file and no shell history."
  value       = local.add_key_command
}

output "backfill_command" {
  description = "Exports every period of a span that is not complete; put in your dates. With queue.enabled each period becomes a task, and the answer comes at once; without it the call copies them itself and answers 503 when its time is over: run it again to continue."
  value       = "curl -sS --max-time 1800 -X POST ${google_cloudfunctions2_function.export.service_config[0].uri} -H \"Authorization: Bearer $(gcloud auth print-identity-token)\" -H 'Content-Type: application/json' -d '${jsonencode(local.backfill_body)}'"
}

output "bucket" {
  description = "Name of the bucket that the exports land in."
  value       = local.bucket
}

output "check_command" {
  description = "Tries every part of the set-up without changing anything, and says what to do about what is wrong: the first thing to run after the key was added."
  value       = "curl -sS ${google_cloudfunctions2_function.export.service_config[0].uri}/check -H \"Authorization: Bearer $(gcloud auth print-identity-token)\""
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
  description = "Lists the objects in the bucket."
  value       = "gcloud storage ls -r 'gs://${local.bucket}/${var.bucket.object_prefix}**'"
}

output "pause_backfill_command" {
  description = "Stops the queue from calling the function; calls in progress end by themselves. null without a queue."
  value       = var.queue.enabled ? local._queue_pause : null
}

output "purge_backfill_command" {
  description = "Gives up the rest of a backfill: deletes every task; what is complete stays. It cannot be undone, but the backfill can be started again. null without a queue."
  value       = var.queue.enabled ? local._queue_purge : null
}

output "resume_backfill_command" {
  description = "Lets a paused queue continue. null without a queue."
  value       = var.queue.enabled ? local._queue_resume : null
}

output "run_now_commands" {
  description = "Run an export now, by entry of exports. The same as the scheduled run: what is there already is not copied again."
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

output "watch_backfill_command" {
  description = "How many periods of a backfill are left. null without a queue."
  value       = var.queue.enabled ? local._queue_watch : null
}
