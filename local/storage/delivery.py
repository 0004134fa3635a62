"""The answer with an object's bytes, for signed links and the JSON API: Range, checksums, stored gzip."""

import re
import zlib
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from http import HTTPStatus
from typing import BinaryIO

from local.faults import Kind
from local.http.exchange import BLOCK_BYTES, Exchange
from local.http.response import FileRange, HeaderList, Response, Stream
from local.storage.objects import ObjectInfo

WRONG_CRC32C = "AAAAAA=="
WRONG_MD5 = "AAAAAAAAAAAAAAAAAAAAAA=="


def deliver(exchange: Exchange, info: ObjectInfo, file: BinaryIO, error: Callable[[int, str], Response]) -> Response:
    """Return the answer to a GET of an object: 200, 206 or 416. The answer closes the file."""
    headers = _headers(exchange, info)
    accepts_gzip = "gzip" in exchange.head.headers.value("Accept-Encoding").lower()
    if info.content_encoding == "gzip" and not accepts_gzip:
        headers += [("Warning", "214 UploadServer gunzipped"), ("Content-Type", _type(info))]
        return Response(HTTPStatus.OK, headers, Stream(_inflated(file), file=file))
    if info.content_encoding:
        headers.append(("Content-Encoding", info.content_encoding))
    headers += [("Content-Type", _type(info)), ("Accept-Ranges", "bytes")]
    requested = _requested_range(exchange, info.size)
    if requested is None:
        return Response(HTTPStatus.OK, headers, FileRange(file, 0, info.size))
    first, last = requested
    if first >= info.size or first > last:
        file.close()
        refusal = error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "The requested range cannot be satisfied.")
        content_range = ("Content-Range", f"bytes */{info.size}")
        return Response(refusal.status, [*refusal.headers, content_range], refusal.body)
    headers.append(("Content-Range", f"bytes {first}-{last}/{info.size}"))
    return Response(HTTPStatus.PARTIAL_CONTENT, headers, FileRange(file, first, last - first + 1))


def _type(info: ObjectInfo) -> str:
    return info.content_type or "application/octet-stream"


def _headers(exchange: Exchange, info: ObjectInfo) -> HeaderList:
    crc32c, md5 = info.crc32c, info.md5
    if fault := exchange.faults.find(Kind.WRONG_HASH):
        exchange.faults.note(fault)
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


def _requested_range(exchange: Exchange, size: int) -> tuple[int, int] | None:
    """The first and the last requested byte; None for the whole object. Several ranges in one header are ignored."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", exchange.head.headers.value("Range").strip())
    if match is None or match[0] == "bytes=-":
        return None
    if fault := exchange.faults.find(Kind.IGNORE_RANGE):
        exchange.faults.note(fault)
        return None
    if not match[1]:
        first, last = max(0, size - int(match[2])), size - 1
    else:
        first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
    if fault := exchange.faults.find(Kind.WRONG_START):
        exchange.faults.note(fault)
        first = max(0, first + fault.shift)
    return first, last


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    inflater = zlib.decompressobj(wbits=31)
    while block := file.read(BLOCK_BYTES):
        yield inflater.decompress(block)
    yield inflater.flush()
