"""The JSON API of Cloud Storage, apart from uploads: buckets, listings, metadata, bytes, deletes."""

import base64
import binascii
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote

from local.delivery import deliver
from local.json_conversation import bucket_resource, object_resource
from local.objects import NoSuchBucketError, ObjectInfo, PreconditionFailedError
from local.upload_api import UploadApi

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = ("v1", "b", "BUCKET", "o", "OBJECT")
PERMISSIONS = {
    "object.list": "storage.objects.list",
    "object.get": "storage.objects.get",
    "object.read": "storage.objects.get",
    "object.insert": "storage.objects.create",
    "object.delete": "storage.objects.delete",
    "upload.start": "storage.objects.create",
}
"""What an operation takes. That replacing an object also takes `delete` is not asked here."""


class JsonApi(UploadApi):
    """The part of the storage conversation that begins with /storage, /upload or /download."""

    def route_json(self) -> NoReturn:
        """Find what the path and method mean."""
        self.bucket = self.name = ""
        service, *parts = self.target_path.removeprefix("/").split("/")
        if service in {"upload", "download"}:
            parts = parts[1:] if parts[:1] == ["storage"] else [""]
        if parts[:1] != ["v1"] or len(parts) > len(PATH) or parts[1:2] != ["b"]:
            self.answer_error(HTTPStatus.NOT_FOUND, "Not Found")
        words = [unquote(part) for part in parts[2:]]
        self.bucket = words[0] if words else ""
        _, _, self.name = [*words, "", "", ""][:3]
        shape = (service, self.method, len(words))
        rooms: dict[tuple[str, str, int], Callable[[], NoReturn]] = {
            ("storage", "POST", 0): self._insert_bucket,
            ("storage", "GET", 1): self._get_bucket,
            ("storage", "GET", 2): self._list,
            ("storage", "GET", 3): self._get,
            ("storage", "DELETE", 3): self._delete,
            ("download", "GET", 3): self._read,
            ("upload", "POST", 2): self._upload,
            ("upload", "PUT", 2): self._session_request,
            ("upload", "DELETE", 2): self._session_request,
        }
        room = rooms.get(shape)
        if self.method == "GET" and words[1:] == ["iam", "testPermissions"]:
            room = self._test_permissions
        elif words[1:2] not in ([], ["o"]):
            room = None
        if room is None:
            self.answer_error(
                HTTPStatus.NOT_IMPLEMENTED, f"the stand-in does not know {self.method} {self.target_path}"
            )
        try:
            room()
        except PreconditionFailedError:
            self.answer_error(
                HTTPStatus.PRECONDITION_FAILED,
                "At least one of the pre-conditions you specified did not hold.",
            )

    # Buckets

    def _get_bucket(self) -> NoReturn:
        self.meet("bucket.get", self.bucket)
        if self.bucket not in self.server.store.buckets():
            raise NoSuchBucketError(self.bucket)
        self.answer_resource(bucket_resource(self.bucket))

    def _test_permissions(self) -> NoReturn:
        """Answer which of the permissions asked for the caller has; the key is left out where it has none."""
        self.meet("bucket.permissions", self.bucket)
        asked = [value for name, value in self.query_pairs if name == "permissions"]
        if self.bucket not in self.server.store.buckets():
            raise NoSuchBucketError(self.bucket)
        if not asked:
            self.answer_error(HTTPStatus.BAD_REQUEST, "Required parameter: permissions")
        unknown = sorted(set(asked) - set(PERMISSIONS.values()))
        if unknown:
            self.answer_error(HTTPStatus.NOT_IMPLEMENTED, f"the stand-in does not know the permissions {unknown}")
        granted = [permission for permission in asked if permission not in self.server.denied]
        answer: dict[str, object] = {"kind": "storage#testIamPermissionsResponse"}
        self.answer_resource(answer | ({"permissions": granted} if granted else {}))

    def meet(self, where: str, name: str) -> None:
        """Answer 403 as well where the caller lacks the permission."""
        super().meet(where, name)
        permission = PERMISSIONS.get(where)
        if permission in self.server.denied:
            self.answer_error(
                HTTPStatus.FORBIDDEN,
                f"The caller does not have {permission} access to the Google Cloud Storage object. Permission "
                f"'{permission}' denied on resource (or it may not exist).",
            )

    def _insert_bucket(self) -> NoReturn:
        wanted = self.json_body()
        self.bucket = str(wanted.get("name", ""))
        self.meet("bucket.insert", self.bucket)
        if self.bucket in self.server.store.buckets():
            self.answer_error(HTTPStatus.CONFLICT, "Your previous request to create the named bucket succeeded.")
        self.server.create_bucket(self.bucket)
        self.answer_resource(bucket_resource(self.bucket))

    # Objects

    def _list(self) -> NoReturn:
        self.meet("object.list", self.query.get("prefix", ""))
        limit = min(self.number("maxResults", default=self.server.page_size), self.server.page_size)
        if limit < 1:
            self.answer_error(HTTPStatus.BAD_REQUEST, "Invalid unsigned integer for maxResults.")
        items, prefixes, token = self._page(limit)
        page: dict[str, object] = {"kind": "storage#objects"}
        if items:
            page["items"] = [object_resource(self.server.url, info) for info in items]
        if prefixes:
            page["prefixes"] = prefixes
        if token:
            page["nextPageToken"] = token
        self.answer_resource(page)

    def _page(self, limit: int) -> tuple[list[ObjectInfo], list[str], str | None]:
        """Objects, common prefixes, and the token of the next page, if there is one."""
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        after, end = self._page_token(), self.query.get("endOffset")
        items: list[ObjectInfo] = []
        prefixes: list[str] = []
        last = after
        store = self.server.store
        with store.lock:
            objects = store.objects(self.bucket)
            for name in store.names_from(self.bucket, max(prefix, after, self.query.get("startOffset", ""))):
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

    def _page_token(self) -> str:
        try:
            return base64.urlsafe_b64decode(self.query.get("pageToken", "")).decode()
        except (binascii.Error, UnicodeDecodeError):
            self.answer_error(HTTPStatus.BAD_REQUEST, "Invalid pageToken.")

    def _get(self) -> NoReturn:
        if self.query.get("alt") == "media":
            self._read()
        self.meet("object.get", self.name)
        info = self._wanted_object()
        self.answer_resource(object_resource(self.server.url, info))

    def _read(self) -> NoReturn:
        self.meet("object.read", self.name)
        with self.server.store.lock:
            self._wanted_object()
            found = self.server.store.open(self.bucket, self.name)
        if found is None:
            self._no_such_object()
        deliver(self, *found)

    def _delete(self) -> NoReturn:
        self.meet("object.delete", self.name)
        with self.server.store.lock:
            info = self._wanted_object(check=False)
            precondition = self.precondition()
            self.server.store.delete(self.bucket, info.name, precondition)
        self.answer(HTTPStatus.NO_CONTENT, [], b"")

    def _wanted_object(self, *, check: bool = True) -> ObjectInfo:
        """The object of the path, of the generation asked for.

        Answers 404 or 412 (raises) if it is not that.
        """
        info = self.server.store.get(self.bucket, self.name)
        if info is None or self.number("generation", default=info.generation) != info.generation:
            self._no_such_object()
        if check:
            self.precondition().check(info)
        return info

    def _no_such_object(self) -> NoReturn:
        self.answer_error(HTTPStatus.NOT_FOUND, f"No such object: {self.bucket}/{self.name}")


def _folder(name: str, prefix: str, delimiter: str) -> str:
    """The common prefix that a listing shows in place of this name; empty when it shows the name."""
    if not delimiter:
        return ""
    head, found, _ = name[len(prefix) :].partition(delimiter)
    return prefix + head + found if found else ""
