"""HTTP/1.1 as the stand-ins speak it, in reading order.

- `server`: listens, one thread a connection; the request log, the fault switches over HTTP
- `routes`: which handler answers what; each stand-in shows its table
- `exchange`: one request, its body, and how it ends
- `response`: what a handler gives back
- `sending`: an answer on its way, with a fault at any byte
- `fault_injection`: which faults are active for a request, and what each does
- `connection`, `request_head`, `request_body`: the bytes of one client; h11 reads the heads
"""
