"""A tiny HTTP server that writes down what reaches it and answers as a test says."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Call:
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def task_id(self) -> str:
        return self.headers["X-CloudTasks-TaskName"]


@dataclass
class Says:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    body: bytes = b""
    byte_every_s: float = 0.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


class Recorder:
    """`answer` says what a call gets; it may block."""

    def __init__(self, answer: Callable[[Call], Says] = lambda _: Says()) -> None:
        self.answer = answer
        self.calls: list[Call] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                says = recorder.enter(Call(self.path, dict(self.headers), body, time.monotonic()))
                self.send_response(says.status)
                for name, value in {"Content-Length": str(len(says.body)), **says.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # the other side may have had enough
                    for byte in says.body:
                        self.wfile.write(bytes([byte]))
                        time.sleep(says.byte_every_s)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def enter(self, call: Call) -> Says:
        with self._lock:
            self.calls.append(call)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            says = self.answer(call)
            time.sleep(says.after_s)
            return says
        finally:
            with self._lock:
                self._at_once -= 1

    @property
    def task_ids(self) -> list[str]:
        return [call.task_id for call in self.calls]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
