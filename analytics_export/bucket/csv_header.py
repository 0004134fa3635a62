"""The columns and the format of a CSV file, found in its first bytes while it is copied."""

import csv
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

from analytics_export.bucket.header_rules import Columns, Unusable, is_like, why_unusable

LONGEST_HEADER_BYTES = 256 * 1024
"""How much of a file's start is kept. It bounds the memory per file, and is one block of a transfer.

Headers are far shorter: the known ones have 59 and 75 bytes, and 800 of the longest names fit in.
"""
COMPARED_ROWS = 100
"""How many rows are compared with the first line."""
DELIMITERS = (",", ";", "\t", "|")

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "UTF-8",
    b"\xff\xfe\0\0": "UTF-32LE",  # before UTF-16LE, whose mark it begins with
    b"\0\0\xfe\xff": "UTF-32BE",
    b"\xff\xfe": "UTF-16LE",
    b"\xfe\xff": "UTF-16BE",
}
_ASCII_PATTERNS = {
    rb"[^\0]\0\0\0": "UTF-32LE",
    rb"\0\0\0[^\0]": "UTF-32BE",
    rb"[^\0]\0[^\0]\0": "UTF-16LE",
    rb"\0[^\0]\0[^\0]": "UTF-16BE",
}
"""How ASCII letters begin a file in these encodings, without a mark."""
_QUOTED = re.compile(r'"[^"]*("|\Z)')
_SEP_LINE = re.compile(r'"?sep=(.?)"?', re.IGNORECASE)


@dataclass(frozen=True)
class CsvFormat:
    """The format of a CSV file; the defaults are what version 1.0.0 assumed."""

    columns: Columns = ()
    """The names in the first line; () where it is no header."""
    field_delimiter: str = ","
    """The most frequent of `DELIMITERS` in the first line, outside quotes; a comma where there is none."""
    encoding: str = "UTF-8"
    """As BigQuery calls it: UTF-8, ISO-8859-1, UTF-16LE, UTF-16BE, UTF-32LE or UTF-32BE.

    By the byte order mark, by the NULs of ASCII letters, and else UTF-8; ISO-8859-1 only where bytes beyond ASCII are
    there and none of them is UTF-8.
    """
    byte_order_mark: bool = False
    compression: str = "NONE"
    """`GZIP` where the stored bytes begin as gzip does, else `NONE`."""
    unusable: Unusable | None = None
    """The reason why `columns` is empty."""

    def refused(self, reason: Unusable) -> "CsvFormat":
        """Return the same format without columns."""
        return replace(self, columns=(), unusable=reason)


class HeaderSniffer:
    """Keeps a file's first bytes.

    `feed` takes blocks with their offsets, so that a transfer that goes back some bytes may feed them again.
    """

    def __init__(self) -> None:
        self._start = bytearray()

    @property
    def is_done(self) -> bool:
        """Return whether enough bytes were kept."""
        return len(self._start) >= LONGEST_HEADER_BYTES

    def feed(self, offset: int, block: bytes | memoryview) -> None:
        """Take the block at `offset` of the file; bytes that were kept before are skipped."""
        if offset <= len(self._start):
            self._start += block[len(self._start) - offset : LONGEST_HEADER_BYTES - offset]

    def csv_format(self) -> CsvFormat | None:
        """Return the format; None for a file without text. Never raises."""
        return _csv_format(bytes(self._start), is_cut=self.is_done)


def compared(formats: Sequence[CsvFormat]) -> list[CsvFormat]:
    """Return the formats of a period's files, without the names of those that are unlike the others.

    A file without a header begins with a row of data, which may pass every other rule. The most frequent first line is
    taken as the header, and lines similar to it. If different lines are equally frequent, none is.
    """
    counts = Counter(each.columns for each in formats if each.columns)
    most = max(counts.values(), default=0)
    best = [columns for columns, count in counts.items() if count == most]
    is_open = any(not is_like(columns, best[0]) for columns in best)
    return [
        each.refused(Unusable.UNLIKE_OTHER_FILES)
        if each.columns and (is_open or not is_like(each.columns, best[0]))
        else each
        for each in formats
    ]


def _csv_format(start: bytes, *, is_cut: bool) -> CsvFormat | None:
    found = CsvFormat()
    if start.startswith(_GZIP_MAGIC):
        found = replace(found, compression="GZIP")
        unpacking = zlib.decompressobj(wbits=31)
        try:
            start = unpacking.decompress(start, LONGEST_HEADER_BYTES)
        except zlib.error:
            return found.refused(Unusable.BROKEN_GZIP)
        is_cut = not unpacking.eof
        if is_cut and not start:
            return found.refused(Unusable.BROKEN_GZIP)
    if not start:
        return None
    mark = next((mark for mark in _BYTE_ORDER_MARKS if start.startswith(mark)), b"")
    found = replace(found, encoding=_encoding(start, mark, is_cut=is_cut), byte_order_mark=bool(mark))
    text = start.removeprefix(mark).decode(found.encoding, errors="replace")
    return _with_columns(found, text, is_cut=is_cut) if text else None


def _encoding(start: bytes, mark: bytes, *, is_cut: bool) -> str:
    if mark:
        return _BYTE_ORDER_MARKS[mark]
    for pattern, encoding in _ASCII_PATTERNS.items():
        if re.match(pattern, start, re.DOTALL):
            return encoding
    if is_cut:  # perhaps in the middle of a character
        start = start.rstrip(bytes(range(0x80, 0x100)))
    is_latin = not start.isascii() and start.decode(errors="ignore").isascii()
    return "ISO-8859-1" if is_latin else "UTF-8"


def _with_columns(found: CsvFormat, text: str, *, is_cut: bool) -> CsvFormat:
    line = _first_line(text)
    if match := _SEP_LINE.fullmatch(line):
        delimiter = match[1] if match[1] in DELIMITERS else found.field_delimiter
        return replace(found, field_delimiter=delimiter).refused(Unusable.SEP_LINE)
    if is_cut and len(line) == len(text):
        return found.refused(Unusable.LINE_TOO_LONG)
    delimiter = max(DELIMITERS, key=_first_line(_QUOTED.sub("", text)).count)
    found = replace(found, field_delimiter=delimiter)
    records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = next(records, [])
    except csv.Error:  # or a name that is longer than the reader takes, which is 131,072 characters
        return found.refused(Unusable.BROKEN_QUOTES if '"' in line else Unusable.NAME_TOO_LONG)
    reason = why_unusable(names)
    if reason is None and any(_is_partly(names, row) for row in _next_rows(records)):
        reason = Unusable.REPEATED_BELOW
    return found.refused(reason) if reason else replace(found, columns=_shared(tuple(names)))


@lru_cache(maxsize=16)
def _shared(columns: Columns) -> Columns:
    """Return one value for equal columns: thousands of files have the same, and all are kept for a while."""
    return columns


def _next_rows(records: Iterator[list[str]]) -> Iterator[list[str]]:
    """Yield some rows, up to the first that is no CSV: that does not make the header unusable."""
    with suppress(csv.Error):
        yield from islice(records, COMPARED_ROWS)


def _is_partly(names: list[str], row: list[str]) -> bool:
    """Return whether a row repeats some, but not all, of the names; a row with all of them is a repeated header."""
    return names != row and any(name == value for name, value in zip(names, row, strict=False))


def _first_line(text: str) -> str:
    return re.split("[\r\n]", text, maxsplit=1)[0]
