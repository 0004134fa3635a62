"""The outside world on a laptop, in reading order.

- `stack`: all of it together, for tests, `demo` and `serve`
- `clock`: what time it is for the export service
- `reports`: made-up reports, the same every time [pure]
- `export_service`: Usercentrics' analytics export, v2 and v1
- `storage`: Cloud Storage, both sides; made of `objects`, `links`, `delivery`, `uploads`, `upload_api`,
  `json_api`, `json_conversation` and `fields` [pure]
- `secret_manager`: Secret Manager over gRPC
- `cloud_tasks`: Cloud Tasks over gRPC; made of `task_rules` [pure], `task_queue` and `task_delivery`
- `grpc_service`: what the two have in common
- `faults`, `request_log`: what goes wrong, and what was asked
- `server`, `wire`, `conduct`, `request_head`, `payloads`: HTTP with a fault at any byte
- `function`: the function in a process of its own
- `rates`: what the reports tell, by SQL and by counting
- `demo`, `serve`, `picture`: the commands of `python -m local`
"""
