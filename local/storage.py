"""A strict stand-in of Cloud Storage: the JSON API as google-cloud-storage uses it, and the signed-link side.

What it does not know it refuses with 501, so that nothing is proved on a guess. The rules are those of
Google's documentation; `local.objects`, `local.uploads`, `local.links` and `local.delivery` each keep their
part of them.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote
from xml.sax.saxutils import escape

from local.delivery import deliver
from local.faults import Fault, Faults
from local.json_api import JsonApi
from local.links import SIGNATURE, Links
from local.objects import Change, NoSuchBucketError, ObjectInfo, ObjectStore
from local.request_log import RequestLog
from local.server import Server
from local.uploads import Sessions
from local.wire import Conversation

PAGE_SIZE = 1000


class Storage(Server):
    """The server. Tests look at it and change it through these methods; the function through HTTP."""

    def __init__(self, root: Path, *, faults: Faults, port: int = 0, page_size: int = PAGE_SIZE) -> None:
        super().__init__(_StorageConversation, faults=faults, port=port)
        self.store = ObjectStore(root)
        self.sessions = Sessions(self.store)
        self.links = Links(self.url)
        self.page_size = self._first_page_size = page_size
        """No page of a listing is longer."""
        self.denied: set[str] = set()
        """Permissions on objects that no caller has, such as `storage.objects.delete`."""

    @property
    def requests(self) -> RequestLog:
        """What the server was asked."""
        return self.log

    @property
    def root(self) -> Path:
        """The folder of the buckets."""
        return self.store.root

    def objects(self, bucket: str, prefix: str = "") -> dict[str, ObjectInfo]:
        """What is visible now, by name; all of one instant."""
        return self.store.objects(bucket, prefix)

    def on_change(self, observer: Callable[[Change], object]) -> None:
        """Call `observer` after every change, in the thread that made it, before anyone can see another."""
        self.store.on_change(observer)

    def reset(self) -> None:
        """Forget objects, observers, open upload sessions, denied permissions, a chosen page size; the buckets stay."""
        self.denied.clear()
        self.store.forget_observers()
        self.lose_sessions()
        for bucket in self.store.buckets():
            for name in self.objects(bucket):
                self.delete(bucket, name)
        self.page_size = self._first_page_size

    def create_bucket(self, bucket: str) -> None:
        """Make a bucket; nothing happens if it is there."""
        self.store.create_bucket(bucket)

    def remove_bucket(self, bucket: str) -> None:
        """Forget a bucket and its objects."""
        self.store.remove_bucket(bucket)

    def put(
        self,
        bucket: str,
        name: str,
        data: bytes | Path | Iterable[bytes],
        *,
        content_type: str | None = "text/csv",
        content_encoding: str | None = None,
    ) -> ObjectInfo:
        """Write an object directly, with a new generation."""
        return self.store.put(bucket, name, data, content_type=content_type, content_encoding=content_encoding)

    def delete(self, bucket: str, name: str) -> bool:
        """Delete an object directly; False if it is not there."""
        return self.store.delete(bucket, name)

    def read(self, bucket: str, name: str) -> bytes:
        """An object's stored bytes. KeyError if it is not there."""
        with self.store.lock:
            return self.objects(bucket)[name].read_bytes()

    def lose_sessions(self, status: int = 410) -> int:
        """Lose every open upload session.

        Requests to them answer `status` from now on. Gives back how many.
        """
        open_sessions = self.sessions.open_sessions()
        for session in open_sessions:
            session.lose(status)
        return len(open_sessions)


class _StorageConversation(JsonApi, Conversation):
    server: Storage

    @property
    def is_json(self) -> bool:
        """Whether this is the JSON API; the rest is the XML API."""
        return self.target_path.startswith(("/storage/", "/upload/", "/download/"))

    def route(self) -> NoReturn:
        try:
            if self.is_json:
                self.route_json()
            self._serve_link()
        except NoSuchBucketError:
            self.answer_error(HTTPStatus.NOT_FOUND, "The specified bucket does not exist.")

    def error_body(self, status: int, message: str) -> tuple[str, bytes]:
        if self.is_json:
            return self.json_error_body(status, message)
        code = {400: "InvalidArgument", 403: "AccessDenied", 404: "NoSuchKey", 416: "InvalidRange"}.get(status, "")
        return _xml_error(code or HTTPStatus(status).phrase.title().replace(" ", ""), message)

    def overwrite(self, fault: Fault) -> None:
        self.server.put(self.bucket, self.name, fault.body or b"", content_type="text/csv")

    def _serve_link(self) -> NoReturn:
        """`/BUCKET/OBJECT?X-Goog-...`."""
        self.bucket, _, quoted = self.target_path.removeprefix("/").partition("/")
        self.name = unquote(quoted)
        self.meet("link.head" if self.method == "HEAD" else "link.get", self.name)
        if SIGNATURE not in self.query:
            self._refuse(403, "AccessDenied", "Anonymous caller does not have storage.objects.get access.")
        if self.method != "GET" or not self.server.links.is_genuine(self.target_path, self.query):
            self._refuse(403, "SignatureDoesNotMatch", "Access denied: the signature fits another request.")
        if self.server.links.is_expired(self.query):
            self._refuse(400, "ExpiredToken", "The provided token has expired.")
        found = self.server.store.open(self.bucket, self.name)
        if found is None:
            self._refuse(404, "NoSuchKey", "The specified key does not exist.")
        deliver(self, *found)

    def _refuse(self, status: int, code: str, message: str) -> NoReturn:
        content_type, body = _xml_error(code, message)
        self.answer(status, [("Content-Type", content_type)], body)


def _xml_error(code: str, message: str) -> tuple[str, bytes]:
    error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return "application/xml; charset=UTF-8", f"<?xml version='1.0' encoding='UTF-8'?>{error}".encode()
