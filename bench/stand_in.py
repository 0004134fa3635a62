"""What source and bucket share: the HTTP server of local/ over TLS, a delay, counters, and the bench's commands.

A command is a JSON object on a line of standard input, and its answer one on standard output. So commands are not
counted as requests, and the server ends with the process that started it.
"""

import json
import socket
import ssl
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from local.faults import Faults
from local.http.exchange import Exchange
from local.http.response import Outcome, Response, json_response
from local.http.routes import Route, dispatch
from local.http.server import Server

RECORD_BYTES = 16 * 1024
"""One TLS record: a read returns at most this much."""

Command = dict[str, Any]


class StandIn(Server, ABC):
    """An HTTPS server that answers by its `routes`."""

    takes_chunks = True
    routes: Sequence[Route]

    def __init__(self, certificate: Path) -> None:
        """`certificate` has the server's certificate and key."""
        super().__init__(self._answer, error_form=_error, faults=Faults())
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self.delay_s = 0.0

    @property
    def url(self) -> str:
        """`https://127.0.0.1:PORT`."""
        return f"https://127.0.0.1:{self.server_port}"

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its own thread does the TLS handshake."""
        client, address = super().get_request()
        return self._context.wrap_socket(client, server_side=True, do_handshake_on_connect=False), address

    @abstractmethod
    def on_command(self, command: Command) -> Command:
        """Execute a command of the bench between two runs, and return the answer."""

    def run(self) -> None:
        """Serve until the bench closes standard input."""
        self.start()
        print(json.dumps({"url": self.url}), flush=True)
        for line in sys.stdin:
            print(json.dumps(self.on_command(json.loads(line))), flush=True)

    def counted(self) -> Command:
        """Return the counts since the last call: requests, new connections, requests by kind."""
        requests = self.requests.all()
        self.requests.clear()
        return {
            "requests": len(requests),
            "connections": sum(request.is_new_connection for request in requests),
            "by_kind": Counter(request.operation for request in requests),
        }

    def _answer(self, exchange: Exchange) -> Outcome:
        outcome = dispatch(self.routes, self, exchange)
        if outcome is None:
            exchange.request.operation = f"unknown: {exchange.head.method} {exchange.head.path}"
            return error(404, exchange.request.operation)
        time.sleep(self.delay_s)
        return outcome


def blocks(exchange: Exchange) -> Iterator[bytes]:
    """Return the request's body, a TLS record at a time. Raises ConnectionError if it breaks off."""
    buffer = memoryview(bytearray(RECORD_BYTES))
    while count := exchange.receive(buffer):
        yield bytes(buffer[:count])
    if exchange.is_cut:
        raise ConnectionAbortedError("the body broke off")


def error(status: int, message: str) -> Response:
    """Make an error answer in Google's form, with the fields that the peers read."""
    return json_response({"error": {"code": status, "message": message}}, status)


def _error(path: str, status: int, message: str) -> Response:
    del path
    return error(status, message)
