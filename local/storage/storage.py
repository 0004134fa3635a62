"""A strict stand-in of Cloud Storage: the JSON API as google-cloud-storage uses it, and signed links.

Unsupported requests are refused with 501, so that no test passes because of a guess. The rules are those of
Google's documentation.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from local.faults import Faults
from local.http.exchange import Exchange
from local.http.response import Outcome, Response
from local.http.server import Server
from local.storage import json_api, link_api, resources
from local.storage.links import Links
from local.storage.objects import Change, ObjectInfo
from local.storage.state import State
from local.storage.store import ObjectStore
from local.storage.uploads import Sessions

PAGE_SIZE = 1000


class Storage(Server):
    """The server. Tests use these methods to read and change its objects; the function uses HTTP."""

    def __init__(self, root: Path, *, faults: Faults, port: int = 0, page_size: int = PAGE_SIZE) -> None:
        super().__init__(self._answer, error_form=_error, faults=faults, port=port)
        self.store = ObjectStore(root)
        self.sessions = Sessions(self.store)
        self.links = Links(self.url)
        self._state = State(
            url=self.url, store=self.store, sessions=self.sessions, links=self.links, page_size=page_size
        )
        self._initial_page_size = page_size

    @property
    def page_size(self) -> int:
        """The maximum length of a listing's page."""
        return self._state.page_size

    @page_size.setter
    def page_size(self, size: int) -> None:
        self._state.page_size = size

    @property
    def denied(self) -> set[str]:
        """Permissions on objects that no caller has, such as `storage.objects.delete`."""
        return self._state.denied

    @denied.setter
    def denied(self, permissions: set[str]) -> None:
        self._state.denied = permissions

    @property
    def root(self) -> Path:
        """The folder of the buckets."""
        return self.store.root

    def objects(self, bucket: str, prefix: str = "") -> dict[str, ObjectInfo]:
        """Return the objects that exist now, by name; a consistent snapshot."""
        return self.store.objects(bucket, prefix)

    def on_change(self, observer: Callable[[Change], object]) -> None:
        """Call `observer` after every change, in the thread that made it, before the next change."""
        self.store.on_change(observer)

    def reset(self) -> None:
        """Remove objects, observers and open upload sessions, restore permissions and page size; the buckets stay."""
        self.denied.clear()
        self.store.forget_observers()
        self.lose_sessions()
        for bucket in self.store.buckets():
            for name in self.objects(bucket):
                self.delete(bucket, name)
        self.page_size = self._initial_page_size

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket, if it does not exist."""
        self.store.create_bucket(bucket)

    def remove_bucket(self, bucket: str) -> None:
        """Remove a bucket and its objects."""
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
        """Delete an object directly. Return False if it does not exist."""
        return self.store.delete(bucket, name)

    def read(self, bucket: str, name: str) -> bytes:
        """Return an object's stored bytes. Raises KeyError if it does not exist."""
        with self.store.lock:
            return self.objects(bucket)[name].read_bytes()

    def lose_sessions(self, status: int = 410) -> int:
        """Lose every open upload session: later requests to it are answered `status`. Return their number."""
        open_sessions = self.sessions.open_sessions()
        for session in open_sessions:
            session.lose(status)
        return len(open_sessions)

    def _answer(self, exchange: Exchange) -> Outcome:
        answer = json_api.answer if json_api.is_json(exchange.head.path) else link_api.answer
        return answer(self._state, exchange)


def _error(path: str, status: int, message: str) -> Response:
    return resources.error(status, message) if json_api.is_json(path) else link_api.error(status, message)
