"""The HTTP stand-ins' server: one thread per connection, keep-alive, fault switches, a request log."""

import contextlib
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from socketserver import BaseRequestHandler, ThreadingTCPServer

from local.faults import Faults
from local.http.connection import BadRequestError, Connection
from local.http.exchange import Exchange
from local.http.fault_injection import ErrorForm, FaultInjection
from local.http.response import Outcome, json_response
from local.http.routes import Route, dispatch
from local.request_log import Request, RequestLog

STOP_S = 1.0

Handler = Callable[[Exchange], Outcome]
"""Answers a request."""


class Server(ThreadingTCPServer):
    """An HTTP server on 127.0.0.1. It listens from its creation on, and answers from `start` on."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024
    allow_reuse_address = True
    takes_chunks = False
    """Whether a request may have a body without a Content-Length."""

    def __init__(self, handler: Handler, *, error_form: ErrorForm, faults: Faults, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), BaseRequestHandler)
        self._handler = handler
        self._error_form = error_form
        self.faults = faults
        self.requests = RequestLog()
        """The requests that the server received."""
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        self.mistakes: list[BaseException] = []
        """Errors of the stand-in itself; a test may check that there are none."""

    @property
    def server_port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        """Serve from a thread of its own."""
        threading.Thread(target=self.serve_forever, args=(0.02,), name=f"serve {self.url}", daemon=True).start()

    def stop(self) -> None:
        """Stop listening, break every connection, and wait (at most a second) until every thread has ended."""
        self.shutdown()
        self.server_close()
        deadline = time.monotonic() + STOP_S
        while self._connections and time.monotonic() < deadline:
            self.hang_up()
            time.sleep(0.002)

    def hang_up(self) -> None:
        """Break every open connection, as a restart of the service would."""
        with self._connections_lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def finish_request(self, request: object, client_address: object) -> None:
        """Serve one connection; until its end `hang_up` can break it."""
        del client_address
        assert isinstance(request, socket.socket)  # noqa: S101 - narrows socketserver's wide type
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._connections_lock:
            self._connections.add(request)
        try:
            with contextlib.suppress(
                ConnectionError, TimeoutError, ssl.SSLError
            ):  # the client left, or a fault broke it
                self._serve(Connection(request))
        finally:
            with self._connections_lock:
                self._connections.discard(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep and print an exception: each is a mistake in a stand-in."""
        error = sys.exc_info()[1]
        if error is not None:
            self.mistakes.append(error)
        super().handle_error(request, client_address)  # type: ignore[arg-type] # socketserver's narrower types

    def _serve(self, connection: Connection) -> None:
        is_new = True
        while not connection.is_last_request:
            try:
                head = connection.read_head()
            except BadRequestError as exc:
                connection.send(f"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n{exc}\n".encode())
                connection.linger()
                return
            if head is None:
                return
            request = Request(
                method=head.method,
                path=head.path,
                query=head.raw_query,
                headers=head.headers,
                is_new_connection=is_new,
                range=head.headers.value("Content-Range") or head.headers.value("Range"),
            )
            is_new = False
            exchange = Exchange(connection, head, request, FaultInjection(self.faults, request, self._error_form))
            exchange.end_with(self._outcome(exchange))

    def _outcome(self, exchange: Exchange) -> Outcome:
        if not (exchange.has_length or self.takes_chunks):
            text = "a request's body needs a Content-Length here"
            return self._error_form(exchange.head.path, HTTPStatus.LENGTH_REQUIRED, text)
        if outcome := dispatch(FAULT_ROUTES, self.faults, exchange):
            return outcome
        self.requests.add(exchange.request)
        return self._handler(exchange)


def _show_faults(faults: Faults, _: Exchange) -> Outcome:
    return json_response({"set": faults.describe(), "fired": faults.fired})


def _add_fault(faults: Faults, exchange: Exchange) -> Outcome:
    try:
        faults.add(**json.loads(exchange.read_small_body()))
    except (TypeError, ValueError) as exc:
        return json_response({"error": str(exc)}, HTTPStatus.BAD_REQUEST)
    return _show_faults(faults, exchange)


def _clear_faults(faults: Faults, exchange: Exchange) -> Outcome:
    faults.clear()
    return _show_faults(faults, exchange)


FAULT_ROUTES = (
    Route("GET", "/_faults", _show_faults),
    Route("POST", "/_faults", _add_fault),
    Route("DELETE", "/_faults", _clear_faults),
)
