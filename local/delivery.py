"""How an object's bytes leave Cloud Storage, by a signed link and by the JSON API alike.

Range, checksums, stored gzip.
"""

import re
import zlib
from collections.abc import Iterator
from email.utils import format_datetime
from http import HTTPStatus
from typing import BinaryIO, NoReturn

from local.conduct import Headers
from local.faults import Kind
from local.objects import ObjectInfo
from local.payloads import FilePayload
from local.wire import BLOCK_BYTES, Conversation

WRONG_CRC32C = "AAAAAA=="
WRONG_MD5 = "AAAAAAAAAAAAAAAAAAAAAA=="


def deliver(talk: Conversation, info: ObjectInfo, file: BinaryIO) -> NoReturn:
    """Answer a GET or HEAD for an object: 200, 206 or 416."""
    with file:
        headers = _headers(talk, info)
        accepts_gzip = "gzip" in talk.headers.value("Accept-Encoding", "").lower()
        if info.content_encoding == "gzip" and not accepts_gzip:
            headers += [("Warning", "214 UploadServer gunzipped"), ("Content-Type", _type(info))]
            talk.answer_stream(HTTPStatus.OK, headers, _inflated(file))
        if info.content_encoding:
            headers.append(("Content-Encoding", info.content_encoding))
        headers += [("Content-Type", _type(info)), ("Accept-Ranges", "bytes")]
        asked = _asked_range(talk, info.size)
        if asked is None:
            talk.answer_payload(HTTPStatus.OK, headers, FilePayload(file, 0), info.size)
        first, last = asked
        if first >= info.size or first > last:
            talk.answer_error(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                "The requested range cannot be satisfied.",
                [("Content-Range", f"bytes */{info.size}")],
            )
        headers.append(("Content-Range", f"bytes {first}-{last}/{info.size}"))
        talk.answer_payload(HTTPStatus.PARTIAL_CONTENT, headers, FilePayload(file, first), last - first + 1)


def _type(info: ObjectInfo) -> str:
    return info.content_type or "application/octet-stream"


def _headers(talk: Conversation, info: ObjectInfo) -> Headers:
    crc32c, md5 = info.crc32c, info.md5
    if fault := talk.armed_with(Kind.WRONG_HASH):
        talk.note(fault)
        crc32c, md5 = WRONG_CRC32C, md5 and WRONG_MD5
    headers = [
        ("x-goog-generation", str(info.generation)),
        ("x-goog-metageneration", "1"),
        ("x-goog-stored-content-encoding", info.content_encoding or "identity"),
        ("x-goog-stored-content-length", str(info.size)),
        ("x-goog-hash", f"crc32c={crc32c}"),
        ("x-goog-storage-class", "STANDARD"),
        ("Last-Modified", format_datetime(info.updated, usegmt=True)),
        ("ETag", f'"{info.generation:x}"'),
        ("Server", "UploadServer"),
    ]
    return [*headers, ("x-goog-hash", f"md5={md5}")] if md5 else headers


def _asked_range(talk: Conversation, size: int) -> tuple[int, int] | None:
    """First and last byte asked for, both included; None means all. Several ranges at once count as none."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", talk.headers.value("Range", "").strip())
    if match is None or match[0] == "bytes=-":
        return None
    if fault := talk.armed_with(Kind.IGNORE_RANGE):
        talk.note(fault)
        return None
    if not match[1]:
        first, last = max(0, size - int(match[2])), size - 1
    else:
        first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
    if fault := talk.armed_with(Kind.WRONG_START):
        talk.note(fault)
        first = max(0, first + fault.shift)
    return first, last


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    inflater = zlib.decompressobj(wbits=31)
    while block := file.read(BLOCK_BYTES):
        yield inflater.decompress(block)
    yield inflater.flush()
