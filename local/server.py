"""The listening side of the HTTP stand-ins."""

import contextlib
import socket
import sys
import threading
import time
from socketserver import StreamRequestHandler, ThreadingTCPServer

from local.faults import Faults
from local.request_log import RequestLog

STOP_S = 1.0


class Server(ThreadingTCPServer):
    """An HTTP server on 127.0.0.1 with a request log and fault switches. It listens once it is made."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024
    allow_reuse_address = True

    def __init__(self, conversation: type[StreamRequestHandler], *, faults: Faults, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), conversation)
        self.faults = faults
        self.log = RequestLog()
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        self.mistakes: list[BaseException] = []
        """What went wrong inside the stand-in itself; a test may ask that it is empty."""

    @property
    def server_port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        """Serve from a thread of its own."""
        threading.Thread(target=self.serve_forever, args=(0.02,), name=f"serve {self.url}", daemon=True).start()

    def stop(self) -> None:
        """Stop listening, break every connection, and wait (a second at most) until nobody works any more."""
        self.shutdown()
        self.server_close()
        deadline = time.monotonic() + STOP_S
        while self._connections and time.monotonic() < deadline:
            self.hang_up()
            time.sleep(0.002)

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
