"""Copies Usercentrics analytics exports into Cloud Storage, laid out for BigQuery.

The modules in reading order, as the data goes:

- `export_request`: what the caller asks for -> the periods
- `periods`: days, weeks and months; their file prefixes
- `config`: the settings, each with its unit, default and check
- `period_sync`: the story of one run: list, compare, copy, clean up, manifest
- `report`: how that ended
- `source.export_service`: Usercentrics' API: a period -> signed links, or the error it means
- `source.links`: what makes a signed link acceptable
- `source.api_key`: the key to it, from Secret Manager
- `transfer_pool`: several transfers at the same time
- `transfer`: one link -> one object
- `source.download`: the file behind a link, from any byte on
- `source.stored_headers`: what an answer's headers say of that file
- `bucket.upload`: a resumable upload, a request at a time
- `bucket.bucket`: the bucket: names, what it holds, manifests
- `bucket.manifest`: what a complete period consists of
- `bucket.csv_header`: the first line of a CSV file, and how the file is written
- `bucket.header_rules`: when that line can be a header
- `retries`: how often, how long, and why; the clock
- `http`: HTTP connections
- `errors`: every way a run can end other than well
- `logs`: one JSON line an event
"""
