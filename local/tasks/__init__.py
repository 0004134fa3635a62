"""A stand-in of Cloud Tasks, in reading order.

- `cloud_tasks`: the service over gRPC
- `rules`: what is taken and what is refused, and when a task is tried again [pure]
- `queue`: keeps tasks and calls the function with them
- `pace`: how fast
- `caller`, `delivery`: a call, with the faults that act on it
"""
