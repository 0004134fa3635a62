"""HTTP connections: kept, never retried unseen, bounded in bytes and by the call's time limit.

No proxy and no credentials come from the environment.
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
"""What one read and one write move: larger costs memory, smaller costs processor time."""
MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""No answer that is read whole may be longer: a listing of some 30,000 links, a page of a thousand objects."""

logging.getLogger("urllib3").setLevel(logging.INFO)  # its DEBUG lines hold whole links and upload session URLs


def session(*, connections: int) -> requests.Session:
    """Return a session for `connections` threads; it ignores proxies and ~/.netrc, which might add credentials.

    The body of a request with `stream=True` is for its caller to bound; others end after `MAX_ANSWER_BYTES`.
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
        """Follow no redirect, and look at none: requests would read its whole body and parse its Location."""
        del resp


def adapter(*, connections: int, bounds_streams: bool = False) -> HTTPAdapter:
    """Return an adapter that keeps up to `connections` open to each host.

    With `bounds_streams`, a body that its caller streams ends after `MAX_ANSWER_BYTES` too. Retries are the callers'
    business: urllib3 would log the whole link, query included, with each of its own.
    """
    made = _Adapter(pool_maxsize=connections, max_retries=0)
    made.bounds_streams = bounds_streams
    return made


class _Adapter(HTTPAdapter):
    bounds_streams = False

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed through
        super().init_poolmanager(*args, blocksize=BLOCK_BYTES, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def send(self, request: requests.PreparedRequest, stream: bool = False, **kwargs: Any) -> requests.Response:  # type: ignore[override] # noqa: ANN401, FBT001, FBT002 - as requests defines it
        response = super().send(request, stream=stream, **kwargs)
        if self.bounds_streams or not stream:
            response.raw = _BoundedBody(response.raw)
        return response


class _BoundedBody:
    """A response's body that raises ProtocolError beyond `MAX_ANSWER_BYTES`, counted as it is handed out."""

    def __init__(self, raw: Any) -> None:  # noqa: ANN401 - urllib3's response
        self._raw = raw
        self._left_bytes = MAX_ANSWER_BYTES

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - everything else is the response's own
        return getattr(self._raw, name)

    def read(self, amt: int | None = None, **kwargs: Any) -> bytes:  # noqa: ANN401 - handed through
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
    """The lines of an answer's head as http.client reads them; remembers the last one."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - a buffered reader, or what urllib3 makes of a TLS one
        self._stream = stream
        self.last = b""

    def readline(self, limit: int) -> bytes:
        self.last = self._stream.readline(limit)
        return self.last

    def close(self) -> None:
        self._stream.close()


class _WholeHead(HTTPResponse):
    """Refuses an answer whose connection ended in the middle of its head; http.client takes that for a short one."""

    def begin(self) -> None:
        stream: Any = self.fp
        lines: Any = _Lines(stream)
        self.fp = lines  # begin() reads lines, nothing else
        try:
            super().begin()
        finally:
            if self.fp is lines:  # else it was closed on the way
                self.fp = stream
        if lines.last not in {b"\r\n", b"\n"}:
            raise RemoteDisconnected("the connection ended in the middle of an answer's head")


class _Watched(HTTPConnection):
    """A connection that the time limit of the call which uses it can close."""

    response_class = _WholeHead
    _limit: TimeLimit | None = None
    _socket: socket.socket | None = None
    """Kept beside `sock`, which is None while a body is read that ends with the connection."""

    def connect(self) -> None:
        with self._connecting():
            super().connect()
        self._socket = self.sock
        self._watch()

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed through
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
