"""What the handlers of the stand-in work on."""

from dataclasses import dataclass, field
from functools import partial

from local.http.exchange import Exchange
from local.http.response import Outcome, Refused
from local.storage.links import Links
from local.storage.store import ObjectStore
from local.storage.uploads import Sessions

PERMISSIONS = {
    "object.list": "storage.objects.list",
    "object.get": "storage.objects.get",
    "object.read": "storage.objects.get",
    "object.insert": "storage.objects.create",
    "object.delete": "storage.objects.delete",
    "upload.start": "storage.objects.create",
}
"""What an operation takes. That replacing an object also takes `delete` is not asked here."""


@dataclass(kw_only=True)
class State:
    """One Cloud Storage."""

    url: str
    store: ObjectStore
    sessions: Sessions
    links: Links
    page_size: int
    """No page of a listing is longer."""
    denied: set[str] = field(default_factory=set)
    """Permissions on objects that no caller has, such as `storage.objects.delete`."""


def begin(state: State, exchange: Exchange, operation: str, bucket: str, name: str) -> Outcome | None:
    """Say what the request means. What a fault answers in its place, if one does.

    Raises Refused (403) where the caller lacks the permission.
    """
    injected = exchange.inject_before(operation, name, partial(state.store.put, bucket, name))
    permission = PERMISSIONS.get(operation)
    if injected is None and permission in state.denied:
        raise Refused(
            403,
            f"The caller does not have {permission} access to the Google Cloud Storage object. Permission "
            f"'{permission}' denied on resource (or it may not exist).",
        )
    return injected
