"""Copies Usercentrics analytics exports into Cloud Storage, laid out for BigQuery.

The modules in reading order, as the data goes:

- `export_request`: what the caller asks for -> the exports
- `fields`: a request's fields, each checked
- `periods`: days, weeks and months; exports and their file prefixes
- `app`: what a warm instance keeps, and how a call is put together from it
- `config`: the settings, each with its unit, default and check
- `run`: one call: one look at the bucket, the plan, its periods side by side, their columns in the end
- `planning`: a call that plans and copies nothing: a dry run, or tasks for later
- `survey`: what one listing of the bucket says
- `plan`: what is complete and what is to do
- `period_sync`: the story of one period: list, compare, copy, clean up, manifest
- `report`: how that ended
- `answers`: what the caller gets
- `fan_out`: exports -> tasks
- `tasks`: calls of this function, handed to Cloud Tasks
- `coverage`: is the data there? The question, and its answer from the manifests
- `inventory`: what the manifests say, several reports side by side
- `check`: is the set-up right? What trying each part found
- `trial`: each part of it tried
- `page`: what all pages have in common
- `coverage_page`: coverage as a page
- `calendar_grid`: its calendars
- `check_page`: the check as a page
- `openapi`: all answers, described
- `services`: what the periods of one call work with
- `source.export_service`: Usercentrics' API: a report -> signed links, or the error it means
- `source.links`: which signed links are taken
- `source.api_key`: the key to it, from Secret Manager
- `credentials`: what it means when Google's do not work
- `transfer_pool`: all transfers of a call, so many at the same time
- `transfer`: one link -> one object
- `source.download`: the file behind a link, from any byte on
- `source.stored_headers`: what an answer's headers say of that file
- `bucket.bucket`: what a period holds, manifests, uploads
- `bucket.upload`: a resumable upload, a request at a time
- `bucket.guard`: a period's manifest while a run may change what it names
- `bucket.layout`: what objects are called
- `bucket.manifest`: what a complete period consists of
- `bucket.csv_header`: the first line of a CSV file, and how the file is written
- `bucket.header_rules`: when that line can be a header
- `retries`: how often, how long, and why; the circuit breaker; the clock
- `time_limit`: how every call ends in time, whatever hangs
- `http`: HTTP connections
- `errors`: every way a run can end other than well
- `logs`: one JSON line an event
"""
