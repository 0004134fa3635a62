"""The three ways to upload by the JSON API.

Multipart and media in one request, resumable in as many as it takes.
"""

from email.parser import BytesParser
from http import HTTPStatus
from typing import NoReturn

from local.conduct import Cut
from local.faults import Kind
from local.json_conversation import JsonConversation, object_resource
from local.objects import NoSuchBucketError
from local.uploads import QUANTUM_BYTES, ChecksumError, ContentRange, Session, State, Wanted, WrongRangeError
from local.wire import BLOCK_BYTES

CANCELLED = 499
NAME_LIMIT_BYTES = 1024
PIECES = ("before", "metadata", "media", "end")
"""What the boundaries of a multipart upload part it into."""


class UploadApi(JsonConversation):
    """The part of the storage conversation that begins with /upload."""

    def _upload(self) -> NoReturn:
        kind = self.query.get("uploadType")
        if kind == "resumable" and "upload_id" not in self.query:
            self._start_session()
        if kind == "multipart":
            metadata, content_type, data = self._multipart()
            self._insert(metadata, content_type, data)
        if kind == "media":
            data = self.read_small_body()
            self._insert({}, self.headers.get("content-type"), data)
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
        head = f"Content-Type: {self.headers.value('Content-Type')}\r\n\r\n".encode()
        message = BytesParser().parsebytes(head, headersonly=True)
        boundary = message.get_boundary()
        pieces = self.read_small_body().split(b"--" + (boundary or "").encode()) if boundary else []
        if len(pieces) != len(PIECES) or not pieces[3].startswith(b"--"):
            self.answer_error(HTTPStatus.BAD_REQUEST, "expected multipart/related with two parts")
        _, metadata = pieces[1].removesuffix(b"\r\n").split(b"\r\n\r\n", 1)
        media_head, data = pieces[2].removesuffix(b"\r\n").split(b"\r\n\r\n", 1)
        content_type = BytesParser().parsebytes(media_head.lstrip() + b"\r\n\r\n", headersonly=True).get("Content-Type")
        return self.parse_json(metadata), content_type, data

    def _start_session(self) -> NoReturn:
        metadata = self.json_body()
        wanted = self._wanted(metadata, self.headers.get("x-upload-content-type"))
        self.meet("upload.start", self.name)
        length = self.headers.get("x-upload-content-length")
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
            content_range = ContentRange.parse(self.headers.get("content-range"), self.body_bytes)
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
                self.answer_resource(object_resource(self.server.url, session.result))
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
        self.answer_resource(object_resource(self.server.url, info))

    def _wanted(self, metadata: dict[str, object], content_type: str | None) -> Wanted:
        """What the object is to become.

        Sets `name`; answers 400 for a name that Cloud Storage does not take.
        """
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
            metadata={str(key): str(value) for key, value in custom.items()} if isinstance(custom, dict) else {},
            precondition=self.precondition(),
        )


def _text(metadata: dict[str, object], key: str) -> str | None:
    value = metadata.get(key)
    return None if value is None else str(value)
