"""The JSON API of Cloud Storage: buckets, listings, metadata, deletes, and the three ways to upload."""

import base64
import binascii
import json
from collections.abc import Callable
from email.parser import BytesParser
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn, overload
from urllib.parse import quote, unquote

from local.delivery import deliver
from local.faults import Kind
from local.fields import WrongFieldsError, select
from local.objects import NoSuchBucketError, ObjectInfo, Precondition, PreconditionFailedError
from local.uploads import QUANTUM_BYTES, ChecksumError, ContentRange, Session, State, Wanted, WrongRangeError
from local.wire import BLOCK_BYTES, Conversation, Cut

if TYPE_CHECKING:
    from local.storage import Storage

CANCELLED = 499
NAME_LIMIT_BYTES = 1024
CHECKABLE = {"ifGenerationMatch", "ifGenerationNotMatch"}
_REASONS = {
    400: "invalid",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    412: "conditionNotMet",
    429: "rateLimitExceeded",
    503: "backendError",
}


class JsonApi(Conversation):
    """The part of the storage conversation that begins with /storage, /upload or /download."""

    server: "Storage"
    bucket: str
    name: str

    def json_error_body(self, status: int, message: str) -> tuple[str, bytes]:
        """Google's JSON error form."""
        reason = _REASONS.get(
            status, "backendError" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid"
        )
        errors = [{"message": message, "domain": "global", "reason": reason}]
        body = {"error": {"code": status, "message": message, "errors": errors}}
        return "application/json; charset=UTF-8", json.dumps(body).encode()

    def route_json(self) -> NoReturn:
        """Find what the path and method mean."""
        self.bucket = self.name = ""
        service, *parts = self.target_path.removeprefix("/").split("/")
        if service in {"upload", "download"}:
            parts = parts[1:] if parts[:1] == ["storage"] else [""]
        if parts[:1] != ["v1"] or len(parts) > 5 or parts[1:2] != ["b"]:
            self.answer_error(HTTPStatus.NOT_FOUND, "Not Found")
        words = [unquote(part) for part in parts[2:]]
        self.bucket = words[0] if words else ""
        self.name = words[2] if len(words) == 3 else ""
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
        if room is None or (len(words) >= 2 and words[1] != "o"):
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
        self._answer_resource(bucket_resource(self.bucket))

    def _insert_bucket(self) -> NoReturn:
        wanted = self._json_body()
        self.bucket = str(wanted.get("name", ""))
        self.meet("bucket.insert", self.bucket)
        if self.bucket in self.server.store.buckets():
            self.answer_error(
                HTTPStatus.CONFLICT, "Your previous request to create the named bucket succeeded."
            )
        self.server.create_bucket(self.bucket)
        self._answer_resource(bucket_resource(self.bucket))

    # Objects

    def _list(self) -> NoReturn:
        self.meet("object.list", self.query.get("prefix", ""))
        limit = min(self._number("maxResults", default=self.server.page_size), self.server.page_size)
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
        self._answer_resource(page)

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
        self._answer_resource(object_resource(self.server.url, info))

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
            precondition = self._precondition()
            self.server.store.delete(self.bucket, info.name, precondition)
        self.answer(HTTPStatus.NO_CONTENT, [], b"")

    def _wanted_object(self, *, check: bool = True) -> ObjectInfo:
        """The object of the path, of the generation asked for; answers 404 or 412 (raises) if it is not that."""
        info = self.server.store.get(self.bucket, self.name)
        if info is None or self._number("generation", default=info.generation) != info.generation:
            self._no_such_object()
        if check:
            self._precondition().check(info)
        return info

    def _no_such_object(self) -> NoReturn:
        self.answer_error(HTTPStatus.NOT_FOUND, f"No such object: {self.bucket}/{self.name}")

    # Uploads

    def _upload(self) -> NoReturn:
        kind = self.query.get("uploadType")
        if kind == "resumable" and "upload_id" not in self.query:
            self._start_session()
        if kind == "multipart":
            metadata, content_type, data = self._multipart()
            self._insert(metadata, content_type, data)
        if kind == "media":
            data = self.read_small_body()
            self._insert({}, self.headers.get("Content-Type"), data)
        self.answer_error(HTTPStatus.BAD_REQUEST, f"the stand-in does not know uploadType {kind!r}")

    def _insert(self, metadata: dict[str, object], content_type: str | None, data: bytes) -> NoReturn:
        wanted = self._wanted(metadata, content_type)
        self.meet("object.insert", self.name)
        draft = self.server.store.draft()
        draft.append(data)
        session = Session(id="", wanted=wanted, draft=draft, total_bytes=len(data))
        self._finish(session)

    def _multipart(self) -> tuple[dict[str, object], str | None, bytes]:
        """Metadata, content type and bytes of a multipart/related request."""
        head = f"Content-Type: {self.headers.get('Content-Type', '')}\r\n\r\n".encode()
        message = BytesParser().parsebytes(head, headersonly=True)
        boundary = message.get_boundary()
        pieces = self.read_small_body().split(b"--" + (boundary or "").encode()) if boundary else []
        if len(pieces) != 4 or not pieces[3].startswith(b"--"):  # before, metadata, media, end
            self.answer_error(HTTPStatus.BAD_REQUEST, "expected multipart/related with two parts")
        _, metadata = pieces[1].removesuffix(b"\r\n").split(b"\r\n\r\n", 1)
        media_head, data = pieces[2].removesuffix(b"\r\n").split(b"\r\n\r\n", 1)
        content_type = (
            BytesParser().parsebytes(media_head.lstrip() + b"\r\n\r\n", headersonly=True).get("Content-Type")
        )
        return self._parse_json(metadata), content_type, data

    def _start_session(self) -> NoReturn:
        metadata = self._json_body()
        wanted = self._wanted(metadata, self.headers.get("X-Upload-Content-Type"))
        self.meet("upload.start", self.name)
        length = self.headers.get("X-Upload-Content-Length")
        if length is not None and not length.isdecimal():
            self.answer_error(HTTPStatus.BAD_REQUEST, "Invalid X-Upload-Content-Length.")
        session = self.server.sessions.start(wanted, None if length is None else int(length))
        location = f"{self.server.url}{self.target_path}?uploadType=resumable&upload_id={session.id}"
        self.answer(HTTPStatus.OK, [("Location", location), ("X-GUploader-UploadID", session.id)], b"")

    def _session_request(self) -> NoReturn:
        """A PUT of bytes, a status query, or a DELETE, on a session's address."""
        session = self.server.sessions.get(self.query.get("upload_id", ""))
        self.name = session.wanted.name if session else ""
        if self.method == "DELETE":
            self.meet("upload.cancel", self.name)
            self._refuse_lost(session).cancel()
            self.answer(CANCELLED, [], b"")
        try:
            content_range = ContentRange.parse(self.headers.get("Content-Range"), self.body_bytes)
        except WrongRangeError as exc:
            self.answer_error(HTTPStatus.BAD_REQUEST, str(exc))
        self.meet("upload.status" if content_range.first is None else "upload.put", self.name)
        if session and (fault := self.armed_with(Kind.LOSE_SESSION)):
            session.lose(int(fault.status))
            self.note(fault)
        self._put(self._refuse_lost(session), content_range)

    def _refuse_lost(self, session: Session | None) -> Session:
        if session is None:
            self.answer_error(HTTPStatus.NOT_FOUND, "Upload session not found.")
        if session.state is State.CANCELLED:
            self.answer(CANCELLED, [], b"")
        if session.state is State.LOST:
            self.answer_error(session.lost_status, "Upload session is gone.")
        return session

    def _put(self, session: Session, content_range: ContentRange) -> NoReturn:
        with session.lock:
            try:
                writer = session.take_over(content_range)
            except WrongRangeError as exc:
                self.answer_error(HTTPStatus.BAD_REQUEST, str(exc))
            if session.state is State.DONE and session.result:
                self._answer_resource(object_resource(self.server.url, session.result))
        if content_range.first is not None:
            self._receive(session, writer)
        if not session.is_whole:
            kept = [("Range", f"bytes=0-{session.kept_bytes - 1}")] if session.kept_bytes else []
            self.answer(HTTPStatus.PERMANENT_REDIRECT, kept, b"")
        self.meet_also("upload.finish", self.name)
        with session.lock:
            if writer != session.writer:
                self.break_off(is_reset=True)
            self._finish(session)

    def _receive(self, session: Session, writer: int) -> None:
        """Move the request's body into the session, a block at a time."""
        first, total = session.kept_bytes, session.total_bytes
        limit = self._keep_limit(first, total)
        buffer = memoryview(bytearray(max(1, min(BLOCK_BYTES, self.body_bytes))))
        filled, cut = 0, None
        try:
            while count := self.receive(buffer[filled:]):
                filled += count
                if filled == BLOCK_BYTES:
                    self._keep(session, writer, bytes(buffer), limit)
                    filled = 0
        except Cut as exc:
            cut = exc
        if total is None or session.kept_bytes + filled != total or limit < total:
            filled -= filled % QUANTUM_BYTES
        self._keep(session, writer, bytes(buffer[:filled]), limit)
        if cut and cut.fault:
            self.end_by(cut.fault)
        if cut:
            raise cut

    def _keep_limit(self, first: int, total: int | None) -> float:
        """The size that this request may not take the session beyond: a fault's `keep_bytes`."""
        fault = next((fault for fault in self.armed if fault.keep_bytes is not None), None)
        if fault is None or fault.keep_bytes is None:
            return float("inf")
        if fault.kind is Kind.KEEP:
            self.note(fault)
        if total is not None and first + fault.keep_bytes >= total:
            return float("inf")
        return first + fault.keep_bytes - fault.keep_bytes % QUANTUM_BYTES

    def _keep(self, session: Session, writer: int, data: bytes, limit: float) -> None:
        room = limit - session.kept_bytes
        if room < len(data):
            data = data[: int(room)]
        if data and not session.append(writer, data):
            self.break_off(is_reset=True)

    def _finish(self, session: Session) -> NoReturn:
        try:
            info = session.finish(self.server.store)
        except ChecksumError as exc:
            self.answer_error(HTTPStatus.BAD_REQUEST, str(exc))
        self._answer_resource(object_resource(self.server.url, info))

    # What requests say

    def _wanted(self, metadata: dict[str, object], content_type: str | None) -> Wanted:
        """What the object is to become. Sets `name`; answers 400 for a name that Cloud Storage does not take."""
        self.name = str(metadata.get("name") or self.query.get("name", ""))
        size = len(self.name.encode("utf-8", "surrogatepass"))
        if not 1 <= size <= NAME_LIMIT_BYTES or self.name in {".", ".."} or set(self.name) & {"\r", "\n"}:
            self.answer_error(HTTPStatus.BAD_REQUEST, "Invalid object name.")
        if self.bucket not in self.server.store.buckets():
            raise NoSuchBucketError(self.bucket)
        custom = metadata.get("metadata")
        return Wanted(
            bucket=self.bucket,
            name=self.name,
            content_type=_text(metadata, "contentType") or content_type,
            content_encoding=_text(metadata, "contentEncoding"),
            crc32c=_text(metadata, "crc32c"),
            md5=_text(metadata, "md5Hash"),
            metadata={str(key): str(value) for key, value in custom.items()}
            if isinstance(custom, dict)
            else {},
            precondition=self._precondition(),
        )

    def _precondition(self) -> Precondition:
        unknown = {name for name in self.query if name.startswith("if")} - CHECKABLE
        if unknown:
            self.answer_error(HTTPStatus.NOT_IMPLEMENTED, f"the stand-in does not know {sorted(unknown)}")
        return Precondition(
            generation=self._number("ifGenerationMatch"), generation_not=self._number("ifGenerationNotMatch")
        )

    @overload
    def _number(self, parameter: str) -> int | None: ...
    @overload
    def _number(self, parameter: str, *, default: int) -> int: ...
    def _number(self, parameter: str, *, default: int | None = None) -> int | None:
        text = self.query.get(parameter)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit()):
            self.answer_error(HTTPStatus.BAD_REQUEST, f"Invalid value for {parameter}: {text}")
        return int(text)

    def _json_body(self) -> dict[str, object]:
        body = self.read_small_body()
        return self._parse_json(body) if body.strip() else {}

    def _parse_json(self, body: bytes) -> dict[str, object]:
        try:
            value = json.loads(body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            self.answer_error(HTTPStatus.BAD_REQUEST, "Parse Error")
        return value

    def _answer_resource(self, resource: dict[str, object]) -> NoReturn:
        try:
            answer = select(resource, self.query.get("fields"))
        except WrongFieldsError as exc:
            self.answer_error(HTTPStatus.BAD_REQUEST, str(exc))
        self.answer_json(answer)


def _text(metadata: dict[str, object], key: str) -> str | None:
    value = metadata.get(key)
    return None if value is None else str(value)


def _folder(name: str, prefix: str, delimiter: str) -> str:
    """The common prefix that a listing shows in place of this name; empty when it shows the name."""
    if not delimiter:
        return ""
    head, found, _ = name[len(prefix) :].partition(delimiter)
    return prefix + head + found if found else ""


def bucket_resource(bucket: str) -> dict[str, object]:
    """A bucket as the JSON API shows it."""
    return {
        "kind": "storage#bucket",
        "id": bucket,
        "name": bucket,
        "location": "EU",
        "storageClass": "STANDARD",
        "metageneration": "1",
    }


def object_resource(url: str, info: ObjectInfo) -> dict[str, object]:
    """An object as the JSON API shows it: numbers as text, times in RFC 3339."""
    path = f"/storage/v1/b/{quote(info.bucket, safe='')}/o/{quote(info.name, safe='')}"
    time = info.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    resource: dict[str, object | None] = {
        "kind": "storage#object",
        "id": f"{info.bucket}/{info.name}/{info.generation}",
        "selfLink": url + path,
        "mediaLink": f"{url}/download{path}?generation={info.generation}&alt=media",
        "name": info.name,
        "bucket": info.bucket,
        "generation": str(info.generation),
        "metageneration": "1",
        "contentType": info.content_type,
        "contentEncoding": info.content_encoding,
        "storageClass": "STANDARD",
        "size": str(info.size),
        "crc32c": info.crc32c,
        "md5Hash": info.md5,
        "etag": f"{info.generation:x}",
        "timeCreated": time,
        "updated": time,
        "metadata": info.metadata or None,
    }
    return {key: value for key, value in resource.items() if value is not None}
