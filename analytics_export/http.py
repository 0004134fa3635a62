"""HTTP sessions: connections are reused, nothing is retried here, answers are bounded in bytes and in time.

No proxy and no credentials are taken from the environment.
"""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse, RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ProtocolError

from analytics_export.time_limit import TimeLimit

NETWORK_ERRORS = (requests.RequestException, HTTPError, OSError)

BLOCK_BYTES = 256 * 1024
"""The size of one read and one write: a larger one costs memory, a smaller one costs processor time."""
MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""The longest answer that is read whole; enough for a listing of 30,000 links or a page of a thousand objects."""

logging.getLogger("urllib3").setLevel(logging.INFO)  # its DEBUG lines hold whole links and upload session URLs


def session(*, connections: int) -> requests.Session:
    """Return a session for `connections` threads; it ignores proxies and ~/.netrc, which might add credentials.

    Answers end after `MAX_ANSWER_BYTES`; with `stream=True`, the caller must bound the body.
    """
    made = _Session()
    made.trust_env = False
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # one party's cookies are not for another
    made.headers["User-Agent"] = "usercentrics-analytics-export"
    made.mount("https://", adapter(connections=connections))
    made.mount("http://", adapter(connections=connections))
    return made


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Report no redirect: for one, requests would read the whole body and parse the Location."""
        del resp


def adapter(*, connections: int, bounds_streams: bool = False) -> HTTPAdapter:
    """Return an adapter that keeps up to `connections` open to each host.

    With `bounds_streams`, a streamed body ends after `MAX_ANSWER_BYTES` too. Callers retry: urllib3 would log the whole
    link, query included, with each of its retries.
    """
    made = _Adapter(pool_maxsize=connections, max_retries=0)
    made.bounds_streams = bounds_streams
    return made


class _Adapter(HTTPAdapter):
    bounds_streams = False

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        super().init_poolmanager(*args, blocksize=BLOCK_BYTES, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def send(self, request: requests.PreparedRequest, stream: bool = False, **kwargs: Any) -> requests.Response:  # type: ignore[override] # noqa: ANN401, FBT001, FBT002 - as requests defines it
        response = super().send(request, stream=stream, **kwargs)
        if self.bounds_streams or not stream:
            response.raw = _BoundedBody(response.raw)
        return response


class _BoundedBody:
    """A response's body that raises ProtocolError after `MAX_ANSWER_BYTES`, counted after decompression."""

    def __init__(self, raw: Any) -> None:  # noqa: ANN401 - urllib3's response
        self._raw = raw
        self._left_bytes = MAX_ANSWER_BYTES

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - everything else is the response's own
        return getattr(self._raw, name)

    def read(self, amt: int | None = None, **kwargs: Any) -> bytes:  # noqa: ANN401 - passed on
        wanted = self._left_bytes + 1 if amt is None else min(amt, self._left_bytes + 1)
        block: bytes = self._raw.read(wanted, **kwargs)
        self._left_bytes -= len(block)
        if self._left_bytes < 0:
            raise ProtocolError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
        return block

    def stream(self, amt: int = BLOCK_BYTES, decode_content: bool | None = None) -> Iterator[bytes]:  # noqa: FBT001 - as urllib3 defines it
        while block := self.read(amt, decode_content=decode_content):
            yield block


class _Lines:
    """Reads lines for http.client and remembers the last one."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - a buffered reader, or what urllib3 makes of a TLS one
        self._stream = stream
        self.last = b""

    def readline(self, limit: int) -> bytes:
        self.last = self._stream.readline(limit)
        return self.last

    def close(self) -> None:
        self._stream.close()


class _WholeHead(HTTPResponse):
    """Refuses an answer that ended in the middle of its head; http.client would take it for a complete one."""

    def begin(self) -> None:
        stream: Any = self.fp
        lines: Any = _Lines(stream)
        self.fp = lines  # begin() reads lines, nothing else
        try:
            super().begin()
        finally:
            if self.fp is lines:  # else begin() has closed it
                self.fp = stream
        if lines.last not in {b"\r\n", b"\n"}:
            raise RemoteDisconnected("the connection ended in the middle of an answer's head")


class _Watched(HTTPConnection):
    """A connection that the time limit of its call can close."""

    response_class = _WholeHead
    _limit: TimeLimit | None = None
    _socket: socket.socket | None = None
    """Kept beside `sock`, which is None while a body is read that ends with the connection."""

    def connect(self) -> None:
        with self._connecting():
            super().connect()
        self._socket = self.sock
        self._watch()

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        if self.sock is not None:
            self._watch()
        super().request(*args, **kwargs)

    @contextmanager
    def _connecting(self) -> Iterator[None]:
        limit = TimeLimit.of_this_call()
        if limit is None:
            yield
            return
        self.timeout = limit.shortened(self.timeout)
        with limit.waiting_for(self.host):
            yield

    def _watch(self) -> None:
        limit, before = TimeLimit.of_this_call(), self._limit
        assert self._socket is not None  # noqa: S101 - for the type checker
        if before is not None and before is not limit:
            before.forget(self._socket)
        self._limit = limit
        if limit is not None:
            limit.watch(self._socket)


class _WatchedTls(_Watched, HTTPSConnection):
    """The same with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls
