"""The JSON API's handlers for buckets, listings, metadata, bytes and deletes."""

import base64
import binascii
from http import HTTPStatus

from local.http.exchange import Exchange
from local.http.request_head import RequestHead
from local.http.response import Outcome, Refused, Response
from local.storage.delivery import deliver
from local.storage.objects import NoSuchBucketError, ObjectInfo
from local.storage.resources import answer_with, bucket_resource, error, number, object_resource, precondition
from local.storage.state import PERMISSIONS, State, begin


def get_bucket(state: State, exchange: Exchange, bucket: str) -> Outcome:
    """Return the bucket's metadata."""
    if injected := begin(state, exchange, "bucket.get", bucket, bucket):
        return injected
    _check_bucket(state, bucket)
    return answer_with(bucket_resource(bucket), exchange.head)


def insert_bucket(state: State, exchange: Exchange) -> Outcome:
    """Create a bucket of the name in the body."""
    bucket = str(exchange.read_json().get("name", ""))
    if injected := begin(state, exchange, "bucket.insert", bucket, bucket):
        return injected
    if bucket in state.store.buckets():
        return error(HTTPStatus.CONFLICT, "Your previous request to create the named bucket succeeded.")
    state.store.create_bucket(bucket)
    return answer_with(bucket_resource(bucket), exchange.head)


def test_permissions(state: State, exchange: Exchange, bucket: str) -> Outcome:
    """Return which of the requested permissions the caller has; the key is missing if it has none."""
    if injected := begin(state, exchange, "bucket.permissions", bucket, bucket):
        return injected
    _check_bucket(state, bucket)
    requested = [value for name, value in exchange.head.query_pairs if name == "permissions"]
    if not requested:
        return error(HTTPStatus.BAD_REQUEST, "Required parameter: permissions")
    unsupported = sorted(set(requested) - set(PERMISSIONS.values()))
    if unsupported:
        return error(HTTPStatus.NOT_IMPLEMENTED, f"the stand-in does not support the permissions {unsupported}")
    granted = [permission for permission in requested if permission not in state.denied]
    answer: dict[str, object] = {"kind": "storage#testIamPermissionsResponse"}
    return answer_with(answer | ({"permissions": granted} if granted else {}), exchange.head)


def list_objects(state: State, exchange: Exchange, bucket: str) -> Outcome:
    """Return one page of the objects, ordered by name, and of common prefixes."""
    head = exchange.head
    if injected := begin(state, exchange, "object.list", bucket, head.query.get("prefix", "")):
        return injected
    limit = min(number(head, "maxResults", default=state.page_size), state.page_size)
    if limit < 1:
        return error(HTTPStatus.BAD_REQUEST, "Invalid unsigned integer for maxResults.")
    items, prefixes, token = _page(state, head, bucket, limit)
    page: dict[str, object] = {"kind": "storage#objects"}
    if items:
        page["items"] = [object_resource(state.url, info) for info in items]
    if prefixes:
        page["prefixes"] = prefixes
    if token:
        page["nextPageToken"] = token
    return answer_with(page, head)


def get_object(state: State, exchange: Exchange, bucket: str, name: str) -> Outcome:
    """Return the object's metadata."""
    if injected := begin(state, exchange, "object.get", bucket, name):
        return injected
    info = _requested_object(state, exchange.head, bucket, name)
    if info is None:
        return _no_such_object(bucket, name)
    precondition(exchange.head).check(info)
    return answer_with(object_resource(state.url, info), exchange.head)


def read_object(state: State, exchange: Exchange, bucket: str, name: str) -> Outcome:
    """Return the object's bytes."""
    if injected := begin(state, exchange, "object.read", bucket, name):
        return injected
    with state.store.lock:
        info = _requested_object(state, exchange.head, bucket, name)
        if info is None:
            return _no_such_object(bucket, name)
        precondition(exchange.head).check(info)
        file = info.path.open("rb")
    return deliver(exchange, info, file, error)


def delete_object(state: State, exchange: Exchange, bucket: str, name: str) -> Outcome:
    """Delete the object permanently: the bucket keeps no older generations."""
    if injected := begin(state, exchange, "object.delete", bucket, name):
        return injected
    with state.store.lock:
        if _requested_object(state, exchange.head, bucket, name) is None:
            return _no_such_object(bucket, name)
        state.store.delete(bucket, name, precondition(exchange.head))
    return Response(HTTPStatus.NO_CONTENT)


def _check_bucket(state: State, bucket: str) -> None:
    if bucket not in state.store.buckets():
        raise NoSuchBucketError(bucket)


def _requested_object(state: State, head: RequestHead, bucket: str, name: str) -> ObjectInfo | None:
    """The object; None if it is missing or has another generation than requested."""
    info = state.store.get(bucket, name)
    is_match = info is not None and number(head, "generation", default=info.generation) == info.generation
    return info if is_match else None


def _no_such_object(bucket: str, name: str) -> Response:
    return error(HTTPStatus.NOT_FOUND, f"No such object: {bucket}/{name}")


def _page(state: State, head: RequestHead, bucket: str, limit: int) -> tuple[list[ObjectInfo], list[str], str | None]:
    """Return objects, common prefixes, and the token of the next page or None."""
    prefix, delimiter = head.query.get("prefix", ""), head.query.get("delimiter", "")
    after, end = _page_token(head), head.query.get("endOffset")
    items: list[ObjectInfo] = []
    prefixes: list[str] = []
    last = after
    with state.store.lock:
        objects = state.store.objects(bucket)
        for name in state.store.names_from(bucket, max(prefix, after, head.query.get("startOffset", ""))):
            if not name.startswith(prefix) or (end and name >= end):
                break
            folder = _folder(name, prefix, delimiter)
            if name == after or (folder and (after == folder or folder in prefixes[-1:])):
                continue
            if len(items) + len(prefixes) == limit:
                return items, prefixes, base64.urlsafe_b64encode(last.encode()).decode()
            if folder:
                prefixes.append(folder)
            else:
                items.append(objects[name])
            last = folder or name
    return items, prefixes, None


def _page_token(head: RequestHead) -> str:
    try:
        return base64.urlsafe_b64decode(head.query.get("pageToken", "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(HTTPStatus.BAD_REQUEST, "Invalid pageToken.") from None


def _folder(name: str, prefix: str, delimiter: str) -> str:
    """The common prefix that a listing shows instead of this name; empty if it shows the name."""
    if not delimiter:
        return ""
    head, found, _ = name[len(prefix) :].partition(delimiter)
    return prefix + head + found if found else ""
