"""A stand-in of Usercentrics' analytics export service, v2 and v1, as its documentation describes them.

v2: `GET /download/v2/analytics/{analyticsId}/{filePrefix}` answers `{"downloadUrls": [...]}`.
v1: `GET /api/download/analytics/{analyticsId}/{filePrefix}-000000000000.csv` answers one link. The
documentation does not show the answer's form (so `v1_form` chooses it), and has the address with and without `/api`;
both are served.

The key is sent in the `x-api-key` header or as the `apiKey` parameter. A report is available from 08:00 UTC on the
day after its period.
"""

import json
import re
import threading
from collections.abc import Iterable, Mapping
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path

from local.clock import Clock
from local.faults import Faults
from local.http.exchange import Exchange
from local.http.response import Outcome, Response, json_response
from local.http.routes import ANY, Route, dispatch
from local.http.server import Server
from local.report_period import ReportPeriod
from local.reports import report
from local.storage.objects import ObjectInfo
from local.storage.storage import Storage

SOURCE_BUCKET = "analytics-raw-data-aggregation"
LINK_LIFE_S = 900.0
_FILE = re.compile(r"(.+)-\d{12}\.csv", re.ASCII)


class V1Form(StrEnum):
    """The form of a v1 answer; the link replaces `LINK`."""

    DOWNLOAD_URL = '{"downloadUrl": LINK}'
    URL = '{"url": LINK}'
    DOWNLOAD_URLS = '{"downloadUrls": [LINK]}'
    LIST = "[LINK]"
    JSON_STRING = "LINK"
    PLAIN_TEXT = "text"


def list_links(service: "ExportService", exchange: Exchange, analytics_id: str, file_prefix: str) -> Outcome:
    """v2: links to all files of a period."""
    if early := exchange.inject_before("export.list", file_prefix) or _refusal(
        service, exchange, analytics_id, file_prefix
    ):
        return early
    links = service.links.get(file_prefix)
    if links is None:
        names = service.names(file_prefix)
        if names is None:
            return _NOT_FOUND
        links = [service.link(name) for name in names]
    return json_response({"downloadUrls": links})


def link_to_file(service: "ExportService", exchange: Exchange, analytics_id: str, file: str) -> Outcome:
    """v1: a link to one file of a period."""
    match = _FILE.fullmatch(file)
    file_prefix = match[1] if match else ""
    if early := exchange.inject_before("export.file", file) or _refusal(service, exchange, analytics_id, file_prefix):
        return early
    link = service.links.get(file)
    if link is None:
        if file not in (service.names(file_prefix) or []):
            return _NOT_FOUND
        link = service.link(file)
    if service.v1_form is V1Form.PLAIN_TEXT:
        return Response(HTTPStatus.OK, [("Content-Type", "text/plain")], str(link).encode())
    body = service.v1_form.value.replace("LINK", json.dumps(link))
    return Response(HTTPStatus.OK, [("Content-Type", "application/json")], body.encode())


ROUTES = (
    Route(ANY, "/download/v2/analytics/{analytics_id}/{file_prefix}", list_links),
    Route(ANY, "/api/download/analytics/{analytics_id}/{file}", link_to_file),
    Route(ANY, "/download/analytics/{analytics_id}/{file}", link_to_file),
)


def _refusal(service: "ExportService", exchange: Exchange, analytics_id: str, file_prefix: str) -> Response | None:
    """Return 405, 401 or 404 if the request cannot be answered."""
    if exchange.head.method != "GET":
        refusal = _error(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed")
        return Response(refusal.status, [*refusal.headers, ("Allow", "GET")], refusal.body)
    key = exchange.head.headers.get("x-api-key") or exchange.head.query.get("apiKey")
    if key not in service.keys:
        return _error(HTTPStatus.UNAUTHORIZED, "Unauthorized")
    period = ReportPeriod.parse(file_prefix)
    is_available = period is not None and period.is_available(service.clock.now())
    return None if analytics_id in service.analytics_ids and is_available else _NOT_FOUND


def _error(status: int, message: str) -> Response:
    body = json.dumps({"statusCode": status, "message": message}).encode()
    return Response(status, [("Content-Type", "application/json")], body)


def _error_form(path: str, status: int, message: str) -> Response:
    del path  # every path has the same form
    return _error(status, message)


_NOT_FOUND = _error(HTTPStatus.NOT_FOUND, "Not Found")


class ExportService(Server):
    """The server.

    A period has the files that `put` set, else reports that are made up at the first request for it.
    """

    def __init__(  # noqa: PLR0913 - what a test may choose
        self,
        storage: Storage,
        *,
        clock: Clock,
        faults: Faults,
        analytics_id: str,
        api_key: str,
        rows: int,
        shards: int,
        least_bytes: int = 0,
        port: int = 0,
    ) -> None:
        super().__init__(self._answer, error_form=_error_form, faults=faults, port=port)
        self.storage = storage
        self.clock = clock
        self.analytics_ids = {analytics_id}
        self._first_key = api_key
        self._size = rows, shards, least_bytes
        self.keys = {api_key}
        """The accepted keys; change the set to rotate a key."""
        self.rows, self.shards, self.least_bytes = rows, shards, least_bytes
        self.link_life_s = LINK_LIFE_S
        self.v1_form = V1Form.DOWNLOAD_URL
        self.links: dict[str, object] = {}
        """Answers that a test sets: the value of `downloadUrls` by file prefix, and the link by v1 file name."""
        self.makes_up_reports = True
        """False: only periods that `put` set exist."""
        self._analytics_id = analytics_id
        self._periods: dict[str, list[str] | None] = {}
        """File names by prefix; None for a removed period."""
        self._lock = threading.RLock()
        storage.create_bucket(SOURCE_BUCKET)

    def reset(self) -> None:
        """Remove every report, and restore every setting. The reports' bytes stay in the storage."""
        with self._lock:
            self._periods.clear()
            self.links.clear()
            self.keys = {self._first_key}
            self.rows, self.shards, self.least_bytes = self._size
            self.link_life_s = LINK_LIFE_S
            self.v1_form = V1Form.DOWNLOAD_URL
            self.makes_up_reports = True

    def put(
        self,
        file_prefix: str,
        files: Mapping[str, bytes | Path | Iterable[bytes]],
        *,
        content_type: str | None = "text/csv",
        content_encoding: str | None = None,
    ) -> dict[str, ObjectInfo]:
        """Replace the period's files by these, in this order; `{}` for no file.

        A file that exists gets a new generation.
        """
        with self._lock:
            for name in set(self._periods.get(file_prefix) or []) - set(files):
                self.storage.delete(SOURCE_BUCKET, self._object_name(name))
            for name, data in files.items():
                self.storage.put(
                    SOURCE_BUCKET,
                    self._object_name(name),
                    data,
                    content_type=content_type,
                    content_encoding=content_encoding,
                )
            self._periods[file_prefix] = list(files)
            return self.files(file_prefix)

    def remove(self, file_prefix: str) -> None:
        """Remove the period: requests for it are answered 404, at any time."""
        self.put(file_prefix, {})
        with self._lock:
            self._periods[file_prefix] = None

    def files(self, file_prefix: str) -> dict[str, ObjectInfo]:
        """The period's files in the source bucket, by name, in the listing's order.

        Raises KeyError if the period does not exist.
        """
        with self._lock:
            names = self.names(file_prefix)
            if names is None:
                raise KeyError(file_prefix)
            objects = self.storage.objects(SOURCE_BUCKET)
            return {name: objects[self._object_name(name)] for name in names}

    def names(self, file_prefix: str) -> list[str] | None:
        """The period's file names; its reports are made up now if it has none yet.

        None if the period does not exist. The clock does not matter.
        """
        with self._lock:
            if file_prefix not in self._periods:
                period = ReportPeriod.parse(file_prefix)
                if period is None or not self.makes_up_reports:
                    return None
                self.put(file_prefix, self._made_up(period.aggregation, file_prefix))
            return self._periods[file_prefix]

    def link(self, name: str) -> str:
        """A new link to a file of the source, whether the file exists or not."""
        return self.storage.links.sign(SOURCE_BUCKET, self._object_name(name), life_s=self.link_life_s)

    def _answer(self, exchange: Exchange) -> Outcome:
        return dispatch(ROUTES, self, exchange) or _NOT_FOUND

    def _object_name(self, name: str) -> str:
        return f"{self._analytics_id}/{name}"

    def _made_up(self, aggregation: str, file_prefix: str) -> dict[str, Iterable[bytes]]:
        return {
            f"{file_prefix}-{shard:012d}.csv": report(
                aggregation, file_prefix, shard, rows=self.rows, least_bytes=self.least_bytes
            )
            for shard in range(self.shards)
        }
