"""The stand-ins' HTTP/1.1 server, in reading order.

- `server`: listens, one thread per connection; the request log, the fault switches over HTTP
- `routes`: which handler answers which request; each stand-in has a table
- `exchange`: one request, its body, and how it ends
- `response`: what a handler returns
- `sending`: sends an answer, with a fault at any byte
- `fault_injection`: which faults are active for a request, and what each does
- `connection`, `request_head`, `request_body`: one client's bytes; h11 parses the heads
"""
