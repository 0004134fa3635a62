"""This project's copy beside what a user would pick instead: `make bench`, one command, one table.

The modules in reading order:

- `work`: what is copied
- `stand_in`, `certificate`: what source and bucket have in common: the HTTP server of local/ over TLS
- `source`: the links, and the export service that lists them
- `bucket_server`: Cloud Storage, as much of its API as every peer needs; counts and checks every byte
- `servers`: both in processes of their own
- `processes`: processor time and memory of a process and what it starts
- `peers`: who is compared, and who is missing
- `library_peers`: those that are Python libraries, in a process of their own
- `project`: this project's function, under functions-framework
- `measure`: the runs, in turn; whether each copy is whole
- `queue_scale`: a backfill through the queue, by instances of the function
- `backfill_estimate`: how long a backfill takes and what it costs, computed
- `cold_start`: from the start of the process to its first answer
- `targets`: whether the figures are what they should be
- `table`: medians, ratios, `results.md`
"""
