"""The first line of a CSV file, found while its bytes pass by."""

import csv
import io
import zlib

LONGEST_HEADER_BYTES = 2 * 1024 * 1024
"""A first line longer than this is no header; it bounds the memory of one file."""

_GZIP_MAGIC = b"\x1f\x8b"

csv.field_size_limit(LONGEST_HEADER_BYTES)


class HeaderSniffer:
    """Collects a file's bytes from its start until the first CSV record is whole.

    `feed` takes blocks with their offsets, so that a transfer that goes back some bytes may feed them again. Gzip is
    recognised by its first bytes and inflated.
    """

    def __init__(self) -> None:
        self._offset = 0
        self._text = bytearray()
        self._searched = 0
        self._quotes = 0
        self._inflate: zlib._Decompress | None = None
        self.is_done = False

    def feed(self, offset: int, block: bytes | memoryview) -> None:
        """Take the block that stands at `offset` of the file; bytes seen before are passed over."""
        fresh = bytes(block[self._offset - offset :]) if not self.is_done and offset <= self._offset else b""
        if not fresh:
            return
        is_start = self._offset < len(_GZIP_MAGIC)
        self._offset += len(fresh)
        if is_start and (start := bytes(self._text) + fresh).startswith(_GZIP_MAGIC):
            self._inflate = zlib.decompressobj(wbits=31)
            self._text.clear()
            fresh = start
        self._text += self._inflated(fresh) if self._inflate else fresh[: LONGEST_HEADER_BYTES - len(self._text)]
        self.is_done = self.is_done or self._holds_a_record() or len(self._text) >= LONGEST_HEADER_BYTES

    def columns(self) -> tuple[str, ...] | None:
        """Return the first record's fields; None for an empty file, () where no record ends within the limit."""
        if not self._text:
            return None
        text = io.StringIO(self._text.decode("utf-8-sig", errors="replace"), newline="")
        try:
            record = next(csv.reader(text), [])
        except csv.Error:
            return ()
        ran_over = len(self._text) >= LONGEST_HEADER_BYTES and not text.read(1)
        return () if ran_over else tuple(record)

    def _inflated(self, block: bytes) -> bytes:
        assert self._inflate is not None  # noqa: S101 - for the type checker
        try:
            return self._inflate.decompress(block, LONGEST_HEADER_BYTES - len(self._text))
        except zlib.error:
            self.is_done = True
            return b""

    def _holds_a_record(self) -> bool:
        """Look for a line end outside quotes; what was searched once is not searched again."""
        while (end := self._text.find(b"\n", self._searched)) >= 0:
            self._quotes += self._text.count(b'"', self._searched, end)
            self._searched = end + 1
            if self._quotes % 2 == 0:
                del self._text[self._searched :]
                return True
        return False
