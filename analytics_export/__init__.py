"""Copies Usercentrics analytics exports into Cloud Storage, laid out for BigQuery.

The modules in reading order, as the data goes:

- `request`: what the caller asks for -> the periods
- `periods`: days, weeks and months; their file prefixes
- `config`: the settings, each with its unit, default and check
- `export`: the story of one run: list, compare, copy, clean up, manifest
- `report`: how that ended
- `export_service`: Usercentrics' API: a period -> signed links, or the error it means
- `api_key`: the key to it, from Secret Manager
- `crew`: several transfers at the same time
- `transfer`: one link -> one object
- `source`: the file behind a link, from any byte on
- `head`: what an answer's headers say of that file
- `upload`: a resumable upload, a request at a time
- `landing`: the bucket: names, what it holds, manifests
- `manifest`: what a complete period consists of
- `columns`: the first line of a CSV file, and how the file is written
- `header_rules`: when that line can be a header
- `retries`: how often, how long, and why; the clock
- `sessions`: HTTP connections
- `errors`: every way a run can end other than well
- `logs`: one JSON line an event
"""
