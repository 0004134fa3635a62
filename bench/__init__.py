"""Compares this project with the tools that a user would otherwise choose: `make bench`.

The modules in reading order:

- `work`: what is copied
- `stand_in`, `certificate`: what source and bucket share: the HTTP server of local/, over TLS
- `source`: the links, and the export service that lists them
- `bucket_server`: the part of Cloud Storage's API that the peers use; it counts and checks every byte
- `servers`: runs both in processes of their own
- `peers`: the tools that are compared
- `library_peers`: the peers that are Python libraries, in a process of their own
- `project`: this project's function, under functions-framework
- `measure`: runs the peers in turn, and checks that every copy is complete
- `queue_scale`: a backfill through the queue, with several instances of the function
- `backfill_estimate`: how long a backfill takes and what it costs, computed
- `cold_start`: the time from the start of the process to its first answer
- `targets`: whether the figures meet the targets
- `table`: medians, ratios, `results.md`
"""
