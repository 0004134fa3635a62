"""Size, checksum and version of a stored file, from an answer's headers.

Source: Cloud Storage's XML API, "Reference: Headers" (x-goog-hash, x-goog-stored-content-length,
x-goog-stored-content-encoding, x-goog-generation) and "Transcoding of gzip-compressed files".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_EMPTY_CRC32C = "AAAAAA=="


@dataclass(frozen=True)
class SourceFile:
    """The file that the source stores behind a link."""

    size: int
    """In bytes, as stored."""
    crc32c: str
    """Base64 of the big-endian checksum of the stored bytes."""
    generation: str | None
    """Cloud Storage's generation, else the ETag, else None."""
    content_type: str | None
    content_encoding: str | None


@dataclass(frozen=True)
class StoredHeaders:
    """The headers of one answer; None for those that are missing."""

    size: int | None
    crc32c: str | None
    generation: str | None
    content_type: str | None
    content_encoding: str | None
    starts_at: int
    """The byte of the file that the body begins with; -1 for a part that does not say which."""

    def file(self, *, size: int | None = None, crc32c: str | None = None) -> SourceFile | None:
        """Return the file; None where size or checksum is neither in the headers nor given."""
        size = self.size if size is None else size
        crc32c = crc32c or self.crc32c or (_EMPTY_CRC32C if size == 0 else None)
        if size is None or crc32c is None:
            return None
        return SourceFile(size, crc32c, self.generation, self.content_type, self.content_encoding)

    def is_of(self, file: SourceFile) -> bool:
        """Return whether this answer is about that version of the file; values that one side lacks are not compared."""
        pairs = [
            (self.size, file.size),
            (self.crc32c, file.crc32c),
            (self.generation, file.generation),
        ]
        return all(None in pair or pair[0] == pair[1] for pair in pairs)


class Transcoded(Exception):
    """The body is not what is stored: the server packs or unpacks it on the way."""


def read_stored_headers(status: int, headers: Mapping[str, str]) -> StoredHeaders:
    """Return what the headers of a 200 or 206 say.

    Raises Transcoded when its body is in another encoding than what is stored.
    """
    sent_as = headers.get("Content-Encoding", "identity").lower()
    stored_as = headers.get("x-goog-stored-content-encoding", sent_as).lower()
    if sent_as != stored_as:
        raise Transcoded
    starts_at, size = 0, _number(headers.get("x-goog-stored-content-length"))
    if status == 206:  # noqa: PLR2004 - RFC 9110: partial content
        match = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})", headers.get("Content-Range", ""))
        starts_at, size = (int(match[1]), int(match[2])) if match else (-1, None)
    elif size is None:
        size = _number(headers.get("Content-Length"))
    return StoredHeaders(
        size=size,
        crc32c=_crc32c(headers.get("x-goog-hash", "")),
        generation=headers.get("x-goog-generation") or headers.get("ETag"),
        content_type=headers.get("Content-Type"),
        content_encoding=None if sent_as == "identity" else sent_as,
        starts_at=starts_at,
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text) else None


def _crc32c(header: str) -> str | None:
    """Return the checksum from `crc32c=...`, whether it came in one header or in several, joined with commas."""
    match = re.search(r"(?:^|[,\s])crc32c=([A-Za-z0-9+/]{6}==)(?:[,\s]|$)", header)
    return match[1] if match else None
