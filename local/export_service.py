"""A stand-in of Usercentrics' analytics export service, v2 and v1, as its documentation describes them.

v2: `GET /download/v2/analytics/{analyticsId}/{filePrefix}` answers `{"downloadUrls": [...]}`.
v1: `GET /api/download/analytics/{analyticsId}/{filePrefix}-000000000000.csv` answers one link. The
documentation does not give the answer's form (so `v1_form` chooses it), and writes the address with and without `/api`;
both are served.

The key comes in the `x-api-key` header or as the `apiKey` parameter. A report is there from 08:00 UTC on the
day after its period.
"""

import json
import re
import threading
from calendar import monthrange
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

from local.clock import Clock
from local.faults import Fault, Faults
from local.objects import ObjectInfo
from local.reports import report
from local.request_log import RequestLog
from local.server import Server
from local.storage import Storage
from local.wire import Conversation

SOURCE_BUCKET = "analytics-raw-data-aggregation"
LINK_LIFE_S = 900.0
AVAILABLE_FROM = time(8, tzinfo=UTC)
_PREFIX = re.compile(r"(interaction|granular)-(\d{4}-\d\d-\d\d)(?:-(\d{4}-\d\d-\d\d))?", re.ASCII)
_FILE = re.compile(r"(.+)-\d{12}\.csv", re.ASCII)


class V1Form(StrEnum):
    """How v1 wraps its one link; `LINK` stands for it."""

    DOWNLOAD_URL = '{"downloadUrl": LINK}'
    URL = '{"url": LINK}'
    DOWNLOAD_URLS = '{"downloadUrls": [LINK]}'
    LIST = "[LINK]"
    JSON_STRING = "LINK"
    PLAIN_TEXT = "text"


@dataclass(frozen=True)
class ReportPeriod:
    """What a file prefix names."""

    aggregation: str
    first: date
    last: date

    @classmethod
    def parse(cls, file_prefix: str) -> "ReportPeriod | None":
        """A day, a week from Monday to Sunday or a whole month; None for anything else."""
        match = _PREFIX.fullmatch(file_prefix)
        if match is None:
            return None
        try:
            first = date.fromisoformat(match[2])
            last = date.fromisoformat(match[3]) if match[3] else first
        except ValueError:
            return None
        is_day = match[3] is None
        is_week = first.weekday() == 0 and last - first == timedelta(days=6)
        is_month = first.day == 1 and last == first.replace(day=monthrange(first.year, first.month)[1])
        return cls(match[1], first, last) if is_day or is_week or is_month else None

    def is_available(self, now: datetime) -> bool:
        """Whether the report has been made by `now`."""
        return self.last < date.max and now >= datetime.combine(self.last + timedelta(days=1), AVAILABLE_FROM)


class ExportService(Server):
    """The server.

    What a period's files are: those that `put` gave it, else ones that are made up when first asked for.
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
        super().__init__(_ExportConversation, faults=faults, port=port)
        self.storage = storage
        self.clock = clock
        self.analytics_ids = {analytics_id}
        self._first_key = api_key
        self._size = rows, shards, least_bytes
        self.keys = {api_key}
        """The keys that are taken; change it to rotate one."""
        self.rows, self.shards, self.least_bytes = rows, shards, least_bytes
        self.link_life_s = LINK_LIFE_S
        self.v1_form = V1Form.DOWNLOAD_URL
        self.links: dict[str, object] = {}
        """Answers that a test dictates.

        For a file prefix what `downloadUrls` holds; for a v1 file name the link.
        """
        self.makes_up_reports = True
        """False: only what `put` gave is there."""
        self._analytics_id = analytics_id
        self._periods: dict[str, list[str] | None] = {}
        """File names by prefix; None once removed."""
        self._lock = threading.RLock()
        storage.create_bucket(SOURCE_BUCKET)

    @property
    def requests(self) -> RequestLog:
        """What the server was asked."""
        return self.log

    def reset(self) -> None:
        """Forget every report, and what a test chose. The reports' bytes stay in the storage."""
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
        """Make these the period's files, in this order.

        A file that was there gets a new generation. None: `{}`.
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
        """Let the period not be there (404), whatever the clock says."""
        self.put(file_prefix, {})
        with self._lock:
            self._periods[file_prefix] = None

    def files(self, file_prefix: str) -> dict[str, ObjectInfo]:
        """The period's files by name, in the listing's order, as the source bucket holds them.

        KeyError: not there.
        """
        with self._lock:
            names = self.names(file_prefix)
            if names is None:
                raise KeyError(file_prefix)
            objects = self.storage.objects(SOURCE_BUCKET)
            return {name: objects[self._object_name(name)] for name in names}

    def names(self, file_prefix: str) -> list[str] | None:
        """The period's file names, made up now if need be.

        None if it is not there. Does not look at the clock.
        """
        with self._lock:
            if file_prefix not in self._periods:
                period = ReportPeriod.parse(file_prefix)
                if period is None or not self.makes_up_reports:
                    return None
                self.put(file_prefix, self._made_up(period.aggregation, file_prefix))
            return self._periods[file_prefix]

    def link(self, name: str) -> str:
        """A fresh link to a file of the source, whether it is there or not."""
        return self.storage.links.sign(SOURCE_BUCKET, self._object_name(name), life_s=self.link_life_s)

    def _object_name(self, name: str) -> str:
        return f"{self._analytics_id}/{name}"

    def _made_up(self, aggregation: str, file_prefix: str) -> dict[str, Iterable[bytes]]:
        return {
            f"{file_prefix}-{shard:012d}.csv": report(
                aggregation, file_prefix, shard, rows=self.rows, least_bytes=self.least_bytes
            )
            for shard in range(self.shards)
        }


class _ExportConversation(Conversation):
    server: ExportService

    def route(self) -> NoReturn:
        parts = [unquote(part) for part in self.target_path.split("/")]
        match parts:
            case ["", "download", "v2", "analytics", analytics_id, file_prefix]:
                self.meet("export.list", file_prefix)
                self._check(analytics_id, file_prefix)
                self._list(file_prefix)
            case ["", "api", "download", "analytics", analytics_id, file] | [
                "",
                "download",
                "analytics",
                analytics_id,
                file,
            ]:
                self.meet("export.file", file)
                match = _FILE.fullmatch(file)
                self._check(analytics_id, match[1] if match else "")
                self._file(file, match[1] if match else "")
            case _:
                self.answer_error(HTTPStatus.NOT_FOUND, "Not Found")

    def error_body(self, status: int, message: str) -> tuple[str, bytes]:
        return "application/json", json.dumps({"statusCode": status, "message": message}).encode()

    def overwrite(self, fault: Fault) -> None:
        del fault  # nothing is written here

    def _check(self, analytics_id: str, file_prefix: str) -> None:
        """Answer 405, 401 or 404 if this may not or cannot be had."""
        if self.method != "GET":
            self.answer_error(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed", [("Allow", "GET")])
        key = self.headers.get("x-api-key") or self.query.get("apiKey")
        if key not in self.server.keys:
            self.answer_error(HTTPStatus.UNAUTHORIZED, "Unauthorized")
        period = ReportPeriod.parse(file_prefix)
        is_there = period is not None and period.is_available(self.server.clock.now())
        if analytics_id not in self.server.analytics_ids or not is_there:
            self.answer_error(HTTPStatus.NOT_FOUND, "Not Found")

    def _list(self, file_prefix: str) -> NoReturn:
        links = self.server.links.get(file_prefix)
        if links is None:
            names = self.server.names(file_prefix)
            if names is None:
                self.answer_error(HTTPStatus.NOT_FOUND, "Not Found")
            links = [self.server.link(name) for name in names]
        self.answer_json({"downloadUrls": links})

    def _file(self, file: str, file_prefix: str) -> NoReturn:
        link = self.server.links.get(file)
        if link is None:
            if file not in (self.server.names(file_prefix) or []):
                self.answer_error(HTTPStatus.NOT_FOUND, "Not Found")
            link = self.server.link(file)
        if self.server.v1_form is V1Form.PLAIN_TEXT:
            self.answer(HTTPStatus.OK, [("Content-Type", "text/plain")], str(link).encode())
        body = self.server.v1_form.value.replace("LINK", json.dumps(link))
        self.answer(HTTPStatus.OK, [("Content-Type", "application/json")], body.encode())
