"""HTTP/1.1 over TLS on 127.0.0.1, one thread a connection: as little as keeps a stand-in from being what is measured.

A server takes commands over its standard input, one JSON object a line, and answers likewise. So it costs no
request that is counted, and it ends with the process that started it.
"""

import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

RECORD_BYTES = 16 * 1024
"""One TLS record: a larger read returns no more."""
LONGEST_HEAD_BYTES = 64 * 1024

Command = dict[str, object]


@dataclass
class Counters:
    """What arrived since the last look."""

    requests: int = 0
    connections: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """A request's head."""

    method: str
    path: str
    """Percent-encoded."""
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case."""

    @property
    def segments(self) -> list[str]:
        """The path's parts, percent-decoded."""
        return [unquote(part) for part in self.path.strip("/").split("/")]


class Wire:
    """One connection. Bytes go by in TLS records; nothing is collected but what a handler asks for."""

    def __init__(self, connection: ssl.SSLSocket, delay_s: Callable[[], float]) -> None:
        self._connection = connection
        self._delay_s = delay_s
        self._ahead = b""
        self._remaining = 0
        self._is_chunked = False

    def request(self) -> Request | None:
        """Return the next request; None when the client has gone."""
        while b"\r\n\r\n" not in self._ahead:
            more = self._connection.recv(RECORD_BYTES)
            if not more or len(self._ahead) > LONGEST_HEAD_BYTES:
                return None
            self._ahead += more
        head, _, self._ahead = self._ahead.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        url = urlsplit(target)
        self._is_chunked = "chunked" in headers.get("transfer-encoding", "")
        self._remaining = int(headers.get("content-length", "0"))
        if headers.get("expect", "").lower() == "100-continue":
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        return Request(method, url.path, query, headers)

    def blocks(self) -> Iterator[bytes]:
        """Return the request's body, block by block; ConnectionError when it breaks off."""
        if not self._is_chunked:
            yield from self._exactly(self._remaining)
            self._remaining = 0
            return
        while size := int(self._line().partition(b";")[0], 16):
            yield from self._exactly(size)
            self._line()
        while self._line():
            pass
        self._is_chunked = False

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"", *, length: int | None = None) -> None:
        """Send the head, and the body given; `length` is that of a body which `send` sends."""
        time.sleep(self._delay_s())
        size = len(body) if length is None else length
        lines = [f"HTTP/1.1 {status} -", *(f"{name}: {value}" for name, value in headers.items())]
        lines.append(f"Content-Length: {size}")
        self._connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    def answer_json(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        """Send a JSON body."""
        self.answer(status, {"Content-Type": "application/json"} | (headers or {}), json.dumps(value).encode())

    def send(self, block: memoryview) -> None:
        """Send a part of the body."""
        self._connection.sendall(block)

    def _exactly(self, count: int) -> Iterator[bytes]:
        while count:
            block = self._ahead or self._connection.recv(RECORD_BYTES)
            self._ahead = b""
            if len(block) > count:
                block, self._ahead = block[:count], block[count:]
            if not block:
                raise ConnectionError("the body broke off")
            count -= len(block)
            yield block

    def _line(self) -> bytes:
        while b"\r\n" not in self._ahead:
            more = self._connection.recv(RECORD_BYTES)
            if not more:
                raise ConnectionError("the body broke off")
            self._ahead += more
        line, _, self._ahead = self._ahead.partition(b"\r\n")
        return line


class Server:
    """Listens, and hands each request to `handle`."""

    def __init__(self, certificate: Path) -> None:
        """`certificate` holds the server's certificate and key."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._lock = threading.Lock()
        self.delay_s = 0.0
        self.counters = Counters()
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def handle(self, wire: Wire, request: Request) -> str:
        """Read the body, answer, and return what kind of request it was."""
        raise NotImplementedError

    def on_command(self, command: Command) -> Command:
        """Do what the bench wants between two runs, and return what it wants to know."""
        raise NotImplementedError

    def run(self) -> None:
        """Serve until the bench hangs up."""
        threading.Thread(target=self._accept, daemon=True).start()
        print(json.dumps({"url": self.url}), flush=True)
        for line in sys.stdin:
            print(json.dumps(self.on_command(json.loads(line))), flush=True)

    def counted(self) -> Command:
        """Return the counters and set them back."""
        with self._lock:
            counters, self.counters = self.counters, Counters()
        return vars(counters)

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as connection:
            with self._lock:
                self.counters.connections += 1
            wire = Wire(connection, lambda: self.delay_s)
            while (request := wire.request()) is not None:
                kind = self.handle(wire, request)
                with self._lock:
                    self.counters.requests += 1
                    self.counters.by_kind[kind] = self.counters.by_kind.get(kind, 0) + 1
