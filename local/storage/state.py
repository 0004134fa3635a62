"""The state that the stand-in's handlers share, and the first step of each handler."""

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
"""The permission that an operation requires. Replacing an object also requires `delete`; that is not checked here."""


@dataclass(kw_only=True)
class State:
    """One Cloud Storage."""

    url: str
    store: ObjectStore
    sessions: Sessions
    links: Links
    page_size: int
    """The maximum length of a listing's page."""
    denied: set[str] = field(default_factory=set)
    """Permissions on objects that no caller has, such as `storage.objects.delete`."""


def begin(state: State, exchange: Exchange, operation: str, bucket: str, name: str) -> Outcome | None:
    """Set the request's meaning and apply its faults. Return a fault's outcome if it replaces the handler's.

    Raises Refused (403) if the caller lacks the permission.
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
