"""A stand-in of Cloud Tasks, in reading order.

- `cloud_tasks`: the service over gRPC
- `rules`: which tasks are accepted or refused, and when a task is retried [pure]
- `queue`: keeps tasks and calls the function with them
- `pace`: the queue's rate
- `caller`, `delivery`: a call, with the faults that act on it
"""
