"""Files with odd bytes, odd headers, or none: the unit test uses all of them, the test over HTTP one of each kind."""

import gzip

ODD_HEADERS: dict[str, tuple[bytes, list[str]]] = {
    "empty": (b"", []),
    "one byte": (b"a", ["a"]),
    "only a header": (b"a,b,c\n", ["a", "b", "c"]),
    "a header without a newline": (b"a,b,c", ["a", "b", "c"]),
    "Windows line endings": (b"a,b\r\n1,2\r\n\x1a", ["a", "b"]),
    "a byte order mark": ("\ufeffa,b\n1,2\n".encode(), ["a", "b"]),
    "quoted commas in the header": (b'"c,d","e""f"\n1,2,3\n', ["c,d", 'e"f']),
    "quoted line breaks in the header": (b'"a\nb","c"\n1,2\n', []),
    "a quote that is never closed": (b'a,"b\n' + b"1,2\n" * 200_000, []),
    "no header": (b"2022-04-01,1,0\n", []),
    "semicolons, UTF-16": ("\ufeffa;b\n1;2\n".encode("utf-16-le"), ["a", "b"]),
    "a first line of 1 MB": (b"x" * 1_000_000 + b",y\n1,2\n", []),
    "no newline in 5 MB": (b"x" * 5_000_000, []),
    "bytes that are not text": (bytes(range(256)) * 10, []),
    "broken gzip": (b"\x1f\x8b" + bytes(100), []),
}
"""Row -> the file, and the columns that a manifest may name."""

BLOCK_BYTES = 256 * 1024
ODD_BYTES: dict[str, bytes] = {
    **{f"header-{number}.csv": data for number, (data, _) in enumerate(ODD_HEADERS.values())},
    "any-byte-some-blocks.csv": bytes(range(256)) * 5000,
    "exactly-one-block.csv": b"x" * BLOCK_BYTES,
    "one-block-and-a-byte.csv": b"x" * (BLOCK_BYTES + 1),
    "a-byte-less-than-one-block.csv": b"x" * (BLOCK_BYTES - 1),
}
"""File name -> the file: all of them at once in one period."""

_LINES = "day;größe\n2022-04-01;1\n"
WRITTEN: dict[str, tuple[bytes, tuple[str, str, bool, str]]] = {
    "UTF-8": ("day,größe\n".encode(), (",", "UTF-8", False, "NONE")),
    "semicolons": (_LINES.encode(), (";", "UTF-8", False, "NONE")),
    "tabs": (_LINES.replace(";", "\t").encode(), ("\t", "UTF-8", False, "NONE")),
    "bars": (_LINES.replace(";", "|").encode(), ("|", "UTF-8", False, "NONE")),
    "a byte order mark": (_LINES.encode("utf-8-sig"), (";", "UTF-8", True, "NONE")),
    "Latin 1": (_LINES.encode("latin-1"), (";", "ISO-8859-1", False, "NONE")),
    "UTF-16, little-endian": (_LINES.encode("utf-16-le"), (";", "UTF-16LE", False, "NONE")),
    "UTF-16, with its byte order mark": (("\ufeff" + _LINES).encode("utf-16-be"), (";", "UTF-16BE", True, "NONE")),
    "UTF-32, with its byte order mark": (("\ufeff" + _LINES).encode("utf-32-le"), (";", "UTF-32LE", True, "NONE")),
    "UTF-32, big-endian": (_LINES.encode("utf-32-be"), (";", "UTF-32BE", False, "NONE")),
    "gzip": (gzip.compress(_LINES.encode("latin-1")), (";", "ISO-8859-1", False, "GZIP")),
}
"""Row -> a file with the columns day and größe; its delimiter, encoding, byte order mark and compression."""

PERSON = "Konrad"
"""A value that a row may contain, but no header, manifest or log line."""
ROWS = f"2022-04-01,{PERSON},1\n" * 200
HEADERLESS: dict[str, tuple[str, str]] = {
    "a quote that is never closed": ('day,"name,total\n' + ROWS, "broken_quotes"),
    "no header": (ROWS, "value_as_name"),
    "no header, and quotes": (f'"2022-04-01","{PERSON}","1"\n', "value_as_name"),
    "a sep= line for Excel": ("sep=,\nday,name,total\n" + ROWS, "sep_line"),
    "a row with an empty value": (f"{PERSON},,x\n", "empty_name"),
    "a row with equal values": (f"{PERSON},x,{PERSON}\n", "doubled_name"),
    "a row with a long value": (f"{PERSON},{'x' * 301}\n", "name_too_long"),
    "rows on one line": (f"{PERSON}," * 100_000, "line_too_long"),
    "a row of words": (f"{PERSON},DE,Linux\nsomeone,DE,Windows\n", "repeated_below"),
    "a line break in a value": (f'"{PERSON}\nx",y\n', "not_text"),
}
"""Row -> a file without a header, and the rule that detects it."""
