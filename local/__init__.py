"""Stand-ins for the services outside, to run on a laptop; in reading order.

- `stack`: all of it together, for tests, `demo` and `serve`
- `faults`: what goes wrong, where, and how often; `request_log`: the requests that a stand-in received
- `http/`: HTTP/1.1 with a fault at any byte; a stand-in is a table of routes and the functions behind it
- `storage/`: Cloud Storage, the JSON API and signed links
- `export_service`: Usercentrics' analytics export, v2 and v1
- `clock`: the export service's time; `report_period`: the period that a file prefix names [pure]
- `reports`: made-up reports, the same every time [pure]
- `grpc_service`: what the gRPC stand-ins share
- `secret_manager`: Secret Manager
- `tasks/`: Cloud Tasks
- `processes`: processor time and memory of a process and its descendants
- `function`: the function in a process of its own
- `rates`: rates of the reports, by SQL and by counting rows
- `demo_output`: what the demo prints
- `demo`, `serve`, `picture`: the commands of `python -m local`
"""
