"""The outside world on a laptop, in reading order.

- `stack`: all of it together, for tests, `demo` and `serve`
- `faults`: what goes wrong, where, and how often; `request_log`: what the stand-ins were asked
- `http/`: HTTP/1.1 with a fault at any byte; a stand-in is a table of routes and the functions behind it
- `storage/`: Cloud Storage, the JSON API and signed links
- `export_service`: Usercentrics' analytics export, v2 and v1
- `clock`: what time it is there; `report_period`: what a file prefix names [pure]
- `reports`: made-up reports, the same every time [pure]
- `grpc_service`: what the stand-ins over gRPC have in common
- `secret_manager`: Secret Manager
- `tasks/`: Cloud Tasks
- `function`: the function in a process of its own
- `rates`: what the reports say, by SQL and by counting
- `demo`, `serve`, `picture`: the commands of `python -m local`
"""
