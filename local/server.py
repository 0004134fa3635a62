"""The listening side of the HTTP stand-ins."""

import contextlib
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local.faults import Faults
from local.request_log import RequestLog


class Server(ThreadingHTTPServer):
    """An HTTP server on 127.0.0.1 with a request log and fault switches. It listens once it is made."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024
    allow_reuse_address = True

    def __init__(self, conversation: type[BaseHTTPRequestHandler], *, faults: Faults, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), conversation)
        self.faults = faults
        self.log = RequestLog()
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        self.mistakes: list[BaseException] = []
        """What went wrong inside the stand-in itself; a test may ask that it is empty."""

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.server_port}"

    def server_bind(self) -> None:
        """Bind without asking DNS for this machine's name, as the standard library would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def start(self) -> None:
        """Serve from a thread of its own."""
        threading.Thread(
            target=self.serve_forever, args=(0.02,), name=f"serve {self.url}", daemon=True
        ).start()

    def stop(self) -> None:
        """Stop listening and break every connection."""
        self.shutdown()
        self.server_close()
        self.hang_up()

    def hang_up(self) -> None:
        """Break every open connection, as a restart would."""
        with self._connections_lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def finish_request(self, request: object, client_address: object) -> None:
        """Serve one connection, known to `hang_up` meanwhile."""
        assert isinstance(request, socket.socket)  # noqa: S101 - narrows socketserver's wide type
        with self._connections_lock:
            self._connections.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            with self._connections_lock:
                self._connections.discard(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that went away are no news; anything else is a mistake in a stand-in and is shown."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, ConnectionError):
            self.mistakes.append(error)
            super().handle_error(request, client_address)  # type: ignore[arg-type]
