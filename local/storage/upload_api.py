"""The three ways to upload by the JSON API: multipart and media in one request, resumable in any number."""

from email.parser import BytesParser
from functools import partial
from http import HTTPStatus

from local.faults import Kind
from local.http.exchange import BLOCK_BYTES, Exchange, parse_object
from local.http.request_head import RequestHead
from local.http.response import BreakOff, Outcome, Refused, Response
from local.storage.objects import NoSuchBucketError
from local.storage.resources import answer_with, error, object_resource, precondition
from local.storage.state import State, begin
from local.storage.uploads import QUANTUM_BYTES, ContentRange, NewObject, Session, SessionState

CANCELLED = 499
NAME_LIMIT_BYTES = 1024
_ENDED = {SessionState.CANCELLED, SessionState.LOST}
PIECES = ("before", "metadata", "media", "end")
"""The pieces of a multipart upload's body, split at its boundaries."""


def refuse_upload(state: State, exchange: Exchange, bucket: str) -> Outcome:
    """Refuse an unknown kind of upload."""
    del state, bucket
    kind = exchange.head.query.get("uploadType")
    return error(HTTPStatus.BAD_REQUEST, f"the stand-in does not support uploadType {kind!r}")


def insert_media(state: State, exchange: Exchange, bucket: str) -> Outcome:
    """Write an object: the body is its bytes, the query has its name."""
    data = exchange.read_small_body()
    content_type = exchange.head.headers.get("content-type")
    return _insert(state, exchange, _new_object(state, exchange.head, bucket, {}, content_type), data)


def insert_multipart(state: State, exchange: Exchange, bucket: str) -> Outcome:
    """Write an object: the body is its metadata, then its bytes."""
    metadata, content_type, data = _parts(exchange)
    return _insert(state, exchange, _new_object(state, exchange.head, bucket, metadata, content_type), data)


def start_session(state: State, exchange: Exchange, bucket: str) -> Outcome:
    """Open a resumable session; the answer's Location is its address."""
    head = exchange.head
    new_object = _new_object(state, head, bucket, exchange.read_json(), head.headers.get("x-upload-content-type"))
    if injected := begin(state, exchange, "upload.start", bucket, new_object.name):
        return injected
    length = head.headers.get("x-upload-content-length")
    if length is not None and not length.isdecimal():
        return error(HTTPStatus.BAD_REQUEST, "Invalid X-Upload-Content-Length.")
    session = state.sessions.start(new_object, None if length is None else int(length))
    location = f"{state.url}{head.path}?uploadType=resumable&upload_id={session.id}"
    return Response(HTTPStatus.OK, [("Location", location), ("X-GUploader-UploadID", session.id)])


def cancel_session(state: State, exchange: Exchange, bucket: str) -> Outcome:
    """Cancel a session at the client's request."""
    session = state.sessions.get(exchange.head.query["upload_id"])
    if injected := begin(state, exchange, "upload.cancel", bucket, session.new_object.name if session else ""):
        return injected
    if session is None or session.state in _ENDED:
        return _ended(session)
    session.cancel()
    return Response(CANCELLED)


def continue_session(state: State, exchange: Exchange, bucket: str) -> Outcome:
    """Receive more bytes, or answer how many bytes the session has."""
    session = state.sessions.get(exchange.head.query["upload_id"])
    content_range = ContentRange.parse(exchange.head.headers.get("content-range"), exchange.body_bytes)
    operation = "upload.status" if content_range.first is None else "upload.put"
    if injected := begin(state, exchange, operation, bucket, session.new_object.name if session else ""):
        return injected
    if session and (fault := exchange.faults.find(Kind.LOSE_SESSION)):
        session.lose(int(fault.status))
        exchange.faults.note(fault)
    if session is None or session.state in _ENDED:
        return _ended(session)
    return _put(state, exchange, session, content_range)


def _ended(session: Session | None) -> Response:
    """Make the answer for a session that does not exist, was cancelled, or is lost."""
    if session is None:
        return error(HTTPStatus.NOT_FOUND, "Upload session not found.")
    if session.state is SessionState.CANCELLED:
        return Response(CANCELLED)
    return error(session.lost_status, "Upload session is gone.")


def _put(state: State, exchange: Exchange, session: Session, content_range: ContentRange) -> Outcome:
    with session.lock:
        writer = session.take_over(content_range)
        if session.state is SessionState.DONE and session.result:
            return answer_with(object_resource(state.url, session.result), exchange.head)
    if content_range.first is not None and (cut := _receive(exchange, session, writer)):
        return cut
    if not session.is_complete:
        kept = [("Range", f"bytes=0-{session.kept_bytes - 1}")] if session.kept_bytes else []
        return Response(HTTPStatus.PERMANENT_REDIRECT, kept)
    overwrite = partial(state.store.put, session.new_object.bucket, session.new_object.name)
    if injected := exchange.faults.inject_later("upload.finish", overwrite=overwrite):
        return injected
    with session.lock:
        return _finish(state, exchange, session) if writer == session.writer else BreakOff()


def _receive(exchange: Exchange, session: Session, writer: int) -> Outcome | None:
    """Store the request's body in the session, block by block. Return an outcome if the request ends early."""
    total, limit = session.total_bytes, _keep_limit(exchange, session)
    buffer = memoryview(bytearray(max(1, min(BLOCK_BYTES, exchange.body_bytes))))
    filled = 0
    while count := exchange.receive(buffer[filled:]):
        filled += count
        if filled == BLOCK_BYTES:
            if not _keep(session, writer, bytes(buffer), limit):
                return BreakOff()
            filled = 0
    if total is None or session.kept_bytes + filled != total or limit < total:
        filled -= filled % QUANTUM_BYTES
    if not _keep(session, writer, bytes(buffer[:filled]), limit):
        return BreakOff()
    return exchange.outcome_when_cut() if exchange.is_cut else None


def _keep_limit(exchange: Exchange, session: Session) -> float:
    """The maximum number of bytes that the session may have after this request: a fault's `keep_bytes`, or infinite."""
    fault = next((fault for fault in exchange.faults.active if fault.keep_bytes is not None), None)
    if fault is None or fault.keep_bytes is None:
        return float("inf")
    if fault.kind is Kind.KEEP:
        exchange.faults.note(fault)
    first, total = session.kept_bytes, session.total_bytes
    if total is not None and first + fault.keep_bytes >= total:
        return float("inf")
    return first + fault.keep_bytes - fault.keep_bytes % QUANTUM_BYTES


def _keep(session: Session, writer: int, data: bytes, limit: float) -> bool:
    """Keep what the limit allows. Return False if a later request has taken over."""
    free = limit - session.kept_bytes
    if free < len(data):
        data = data[: int(free)]
    return not data or session.append(writer, data)


def _insert(state: State, exchange: Exchange, new_object: NewObject, data: bytes) -> Outcome:
    if injected := begin(state, exchange, "object.insert", new_object.bucket, new_object.name):
        return injected
    draft = state.store.draft()
    draft.append(data)
    return _finish(state, exchange, Session(id="", new_object=new_object, draft=draft, total_bytes=len(data)))


def _finish(state: State, exchange: Exchange, session: Session) -> Response:
    return answer_with(object_resource(state.url, session.finish(state.store)), exchange.head)


def _parts(exchange: Exchange) -> tuple[dict[str, object], str | None, bytes]:
    """Return metadata, content type and bytes of a multipart/related request. Raises Refused."""
    head = f"Content-Type: {exchange.head.headers.value('Content-Type')}\r\n\r\n".encode()
    boundary = BytesParser().parsebytes(head, headersonly=True).get_boundary()
    pieces = exchange.read_small_body().split(b"--" + (boundary or "").encode()) if boundary else []
    if len(pieces) != len(PIECES) or not pieces[3].startswith(b"--"):
        raise Refused(HTTPStatus.BAD_REQUEST, "expected multipart/related with two parts")
    _, metadata = pieces[1].removesuffix(b"\r\n").split(b"\r\n\r\n", 1)
    media_head, data = pieces[2].removesuffix(b"\r\n").split(b"\r\n\r\n", 1)
    content_type = BytesParser().parsebytes(media_head.lstrip() + b"\r\n\r\n", headersonly=True).get("Content-Type")
    return parse_object(metadata), content_type, data


def _new_object(
    state: State, head: RequestHead, bucket: str, metadata: dict[str, object], content_type: str | None
) -> NewObject:
    """Return what the request declares. Raises Refused for a name that Cloud Storage does not allow."""
    name = str(metadata.get("name") or head.query.get("name", ""))
    size = len(name.encode("utf-8", "surrogatepass"))
    if not 1 <= size <= NAME_LIMIT_BYTES or name in {".", ".."} or set(name) & {"\r", "\n"}:
        raise Refused(HTTPStatus.BAD_REQUEST, "Invalid object name.")
    if bucket not in state.store.buckets():
        raise NoSuchBucketError(bucket)
    custom = metadata.get("metadata")
    return NewObject(
        bucket=bucket,
        name=name,
        content_type=_text(metadata, "contentType") or content_type,
        content_encoding=_text(metadata, "contentEncoding"),
        crc32c=_text(metadata, "crc32c"),
        md5=_text(metadata, "md5Hash"),
        metadata={str(key): str(value) for key, value in custom.items()} if isinstance(custom, dict) else {},
        precondition=precondition(head),
    )


def _text(metadata: dict[str, object], key: str) -> str | None:
    value = metadata.get(key)
    return None if value is None else str(value)
