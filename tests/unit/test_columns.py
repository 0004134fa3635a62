"""The header and the format of a CSV file, detected while its bytes pass by in blocks of any size."""

import csv
import gzip
import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_export.bucket.csv_header import DELIMITERS, LONGEST_HEADER_BYTES, CsvFormat, HeaderSniffer, compared
from analytics_export.bucket.header_rules import LONGEST_NAME, MOST_COLUMNS, Unusable, why_unusable
from tests.support.odd_files import HEADERLESS, ODD_HEADERS, PERSON, WRITTEN

MOST = LONGEST_HEADER_BYTES
UTF_16_AND_32 = {
    "UTF-16LE": b"\xff\xfe",
    "UTF-16BE": b"\xfe\xff",
    "UTF-32LE": b"\xff\xfe\0\0",
    "UTF-32BE": b"\0\0\xfe\xff",
}


def sniffed(data: bytes, *, block_bytes: int = MOST) -> CsvFormat | None:
    sniffer = HeaderSniffer()
    for start in range(0, len(data), block_bytes):
        sniffer.feed(start, data[start : start + block_bytes])
    return sniffer.csv_format()


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        pytest.param("a,b,c\n1,2,3\n", ("a", "b", "c"), id="a header and a row"),
        pytest.param("a,b\n", ("a", "b"), id="only a header"),
        pytest.param("a,b", ("a", "b"), id="without a newline"),
        pytest.param("a,b\r\n1,2\r\n", ("a", "b"), id="CRLF"),
        pytest.param("a,b\r1,2\r", ("a", "b"), id="CR"),
        pytest.param('"a,x","b;y",c\n1,2,3\n', ("a,x", "b;y", "c"), id="quoted delimiters"),
        pytest.param('"a ""x""",b\n', ('a "x"', "b"), id="doubled quotes"),
        pytest.param("ü,日本\n1,2\n", ("ü", "日本"), id="not ASCII"),
        pytest.param("a\n", ("a",), id="one column"),
        pytest.param(
            "day,settings_id,dps_id,consent,action,total,country,os,browser\n",
            ("day", "settings_id", "dps_id", "consent", "action", "total", "country", "os", "browser"),
            id="granular as expected",
        ),
        pytest.param(
            "day,event_type,settings_id,host,country,browser,device_type,os,number\n",
            ("day", "event_type", "settings_id", "host", "country", "browser", "device_type", "os", "number"),
            id="interaction as expected",
        ),
        pytest.param("2nd,c3,x_1,e5,www.example.com,DE\n", ("2nd", "c3", "x_1", "e5", "www.example.com", "DE"), id="digits in names"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("block_bytes", [1, 2, 5, 1000])
def test_the_column_names_are_read_from_the_first_line(data: str, columns: tuple[str, ...], block_bytes: int) -> None:
    assert sniffed(data.encode(), block_bytes=block_bytes) == CsvFormat(columns)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xef\xbb\xbf", b"\xff\xfe", gzip.compress(b"")],
    ids=["empty", "a byte order mark", "a UTF-16 byte order mark", "gzip"],
)
def test_a_file_without_text_has_no_format(data: bytes) -> None:
    assert sniffed(data) is None


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param("country,day\n", id="names as values of other columns"),
        pytest.param("day,country\n1,DE\nday,country\n", id="the header once more"),
        pytest.param("1,DE\n" * 100 + "1,country\n", id="a name as a value, far below"),
        pytest.param('1,"DE\n2,AT\n', id="a row whose quote is never closed"),
        pytest.param('1,"DE"x\n1,country\n', id="a row that is not CSV"),
    ],
)
def test_a_header_is_accepted_above(rows: str) -> None:
    assert sniffed(f"day,country\n{rows}".encode()) == CsvFormat(("day", "country"))


# What cannot be a header

ROW = "2022-04-01,someone,1\n"
UNUSABLE = {
    "a gzip signature and garbage": (b"\x1f\x8b\xff\xff\xff\xff" * 10, Unusable.BROKEN_GZIP),
    "a quote that is never closed": (('day,"consent,action\n' + ROW * 200).encode(), Unusable.BROKEN_QUOTES),
    "a quote that is never closed, in the first name": (('"day,consent\n' + ROW * 200).encode(), Unusable.BROKEN_QUOTES),
    "a quote that is closed megabytes later": (('day,"consent\n' + ROW * 50_000 + '"\n').encode(), Unusable.BROKEN_QUOTES),
    "text after a closing quote": (b'"a"b,c\n', Unusable.BROKEN_QUOTES),
    "no newline": (b"a,b," * MOST, Unusable.LINE_TOO_LONG),
    "no newline in a gzip file": (gzip.compress(b"x" * 50_000_000), Unusable.LINE_TOO_LONG),
    "a gzip signature alone": (b"\x1f\x8b", Unusable.BROKEN_GZIP),
    "an empty first line": (b"\na,b\n", Unusable.EMPTY_LINE),
    "a sep= line for Excel": (b"sep=,\na,b\n", Unusable.SEP_LINE),
    "a sep= line for Excel, quoted": (b'"SEP=;"\na;b\n', Unusable.SEP_LINE),
    "more columns than a table has": (",".join(f"c{n}" for n in range(MOST_COLUMNS + 1)).encode(), Unusable.TOO_MANY_COLUMNS),
    "an empty name": (b"a,,b\n", Unusable.EMPTY_NAME),
    "a delimiter at the end": (b"a,b,\n", Unusable.EMPTY_NAME),
    "a blank name": (b"a, ,b\n", Unusable.EMPTY_NAME),
    "a long name": (b"a," + b"x" * (LONGEST_NAME + 1) + b"\n", Unusable.NAME_TOO_LONG),
    "a name longer than the CSV reader accepts": (b"a," + b"x" * 200_000 + b"\n", Unusable.NAME_TOO_LONG),
    "a line break in a name": (b'"a\nb",c\n', Unusable.NOT_TEXT),
    "a CRLF in a name": (b'"a\r\nb",c\n', Unusable.NOT_TEXT),
    "a line separator in a name": ("a\u2028b,c\n".encode(), Unusable.NOT_TEXT),
    "a control character": (b"a\x1bb,c\n", Unusable.NOT_TEXT),
    "a NUL": (b"ab\0,c\n", Unusable.NOT_TEXT),
    "half a character": ("ü,b".encode() + b"\xc3\n", Unusable.NOT_TEXT),
    "any byte": (bytes(range(255, 10, -1)), Unusable.NOT_TEXT),
    "a row of the report": (b"2022-04-01,x,y,1,0,12,DE,Windows,Chrome\n", Unusable.VALUE_AS_NAME),
    "rows of the report": (b"2022-04-01,x,DE\n2022-04-01,y,DE\n", Unusable.VALUE_AS_NAME),
    "a row in a semicolon file": (b"x;2022-04-01;DE\n", Unusable.VALUE_AS_NAME),
    "equal names": (b"a,b,a\n", Unusable.DOUBLED_NAME),
    "a word that is repeated in its column": (b"x,DE,accept\ny,AT,deny\nz,DE,save\n", Unusable.REPEATED_BELOW),
    "a word that is repeated after a hundred rows": (b"x,DE\n" + b"y,AT\n" * 99 + b"z,DE\n", Unusable.REPEATED_BELOW),
    "names equal but for a blank": (b"a,b, a\n", Unusable.DOUBLED_NAME),
    "names equal but for case": (b"Action,action\n", Unusable.DOUBLED_NAME),
}  # fmt: skip


@pytest.mark.parametrize(("data", "reason"), UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize("block_bytes", [1000, MOST])
def test_a_first_line_is_not_a_header_with(data: bytes, reason: Unusable, block_bytes: int) -> None:
    found = sniffed(data, block_bytes=block_bytes)
    assert found is not None
    assert (found.unusable, found.columns) == (reason, ())


@pytest.mark.parametrize(("data", "columns"), ODD_HEADERS.values(), ids=ODD_HEADERS)
@pytest.mark.parametrize("block_bytes", [1000, MOST])
def test_only_a_header_gives_columns(data: bytes, columns: list[str], block_bytes: int) -> None:
    found = sniffed(data, block_bytes=block_bytes)
    assert list(found.columns if found else ()) == columns


@pytest.mark.parametrize(("text", "rule"), HEADERLESS.values(), ids=HEADERLESS)
def test_a_file_without_a_header_gives_only_the_broken_rule(text: str, rule: str) -> None:
    found = sniffed(text.encode())
    assert found is not None
    assert (found.columns, found.unusable and found.unusable.value) == ((), rule)
    assert PERSON not in repr(found)


VALUES = [
    "0", "12", "-1", "+1.5", "1,5", "1e5", "1.5E-7", "0x1F", "50%", "2022", "2022-04-01", "01.04.2022", "4/1/22", "12:30:00",
    "2022-04-01T08:00:00Z", "2022-04-01 08:00:00 UTC", "01.04.2022, 08:00 Uhr", "?", "-", "_", " 7 ",
    "123e4567-e89b-12d3-a456-426614174000", "4bf92f3577b34da6", "4bf92f3577b34da6a3ce929d0e0e4736",
    "https://www.example.com/x", "someone@example.com", "true", "FALSE", "null", " None ", "NaN", "n/a",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_not_a_column_name(value: str) -> None:
    assert why_unusable(["x", value]) is Unusable.VALUE_AS_NAME


@pytest.mark.parametrize(
    "name",
    [
        "x",
        "day",
        "dps_id",
        "2nd",
        "e5",
        "DE",
        "é",
        "日",
        "falsehood",
        "deadbeefdeadbeef",
        "a.b-c",
        "1 day",
        "x1",
        "total (%)",
    ],
)
def test_a_column_name_is_accepted(name: str) -> None:
    assert why_unusable(["consent", name]) is None


def test_the_longest_name_and_the_most_columns_are_accepted() -> None:
    assert why_unusable(["x" * LONGEST_NAME]) is None
    assert why_unusable([f"c{number}" for number in range(MOST_COLUMNS)]) is None


# The file's format


@pytest.mark.parametrize(("data", "written"), WRITTEN.values(), ids=WRITTEN)
def test_delimiter_encoding_byte_order_mark_and_compression_are_detected(
    data: bytes, written: tuple[str, str, bool, str]
) -> None:
    assert sniffed(data) == CsvFormat(("day", "größe"), *written)


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_the_delimiter_is_the_most_frequent_one_in_the_first_line(delimiter: str) -> None:
    line = delimiter.join(["day", '"a,b;c|d,,,,;;;;||||"', "x"]) + "\n1,2;3;4|5|6\t7\t8\t9\n"
    assert sniffed(line.encode()) == CsvFormat(("day", "a,b;c|d,,,,;;;;||||", "x"), delimiter)
    plain = delimiter.join(["day", "total", "x"]) + "\n1,2;3;4|5|6\t7\t8\t9\n"
    assert sniffed(plain.encode()) == CsvFormat(("day", "total", "x"), delimiter)


@pytest.mark.parametrize("line", ["a,b;c", "a;b,c", "a"])
def test_the_comma_is_the_delimiter_where_none_is_more_frequent(line: str) -> None:
    assert sniffed(line.encode()) == CsvFormat(tuple(line.split(",")), ",")


@pytest.mark.parametrize(("line", "delimiter"), [("sep=;", ";"), ("sep=\t", "\t"), ("sep=", ","), ("sep=x", ",")])
def test_a_sep_line_for_excel_names_the_delimiter(line: str, delimiter: str) -> None:
    assert sniffed(f"{line}\na;b\n".encode()) == CsvFormat(field_delimiter=delimiter, unusable=Unusable.SEP_LINE)


@pytest.mark.parametrize("encoding", UTF_16_AND_32)
@pytest.mark.parametrize("is_marked", [True, False])
@pytest.mark.parametrize("rows", [0, 100_000])
def test_utf_16_and_32_are_detected_by_byte_order_mark_or_nuls(encoding: str, is_marked: bool, rows: int) -> None:  # noqa: FBT001 - a table
    mark = UTF_16_AND_32[encoding] if is_marked else b""
    data = mark + ("day;größe;日本\n" + "1;2;3\n" * rows).encode(encoding)
    expected = CsvFormat(("day", "größe", "日本"), ";", encoding, byte_order_mark=is_marked)
    assert sniffed(data) == expected
    assert sniffed(gzip.compress(data)) == CsvFormat(("day", "größe", "日本"), ";", encoding, is_marked, "GZIP")


def test_a_utf_8_byte_order_mark_is_detected_and_not_part_of_a_name() -> None:
    assert sniffed('\ufeff"day",b\n1,2\n'.encode()) == CsvFormat(("day", "b"), byte_order_mark=True)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        pytest.param(b"day,gr\xf6\xdfe\n1,2\n", "ISO-8859-1", id="in the header"),
        pytest.param(b"day,total\nM\xfcnchen,2\n", "ISO-8859-1", id="in a row"),
        pytest.param("day,größe\n1,2\n".encode(), "UTF-8", id="UTF-8 in the header"),
        pytest.param("day,total\nMünchen,2\n".encode() + b"M\xfcnchen,2\n", "UTF-8", id="UTF-8 with a broken byte"),
        pytest.param(b"day,total\nM\xfcnchen,2\n" * 50_000, "ISO-8859-1", id="many rows"),
        pytest.param(b"day,total" + b"\n" * (MOST - 10) + "ü".encode(), "UTF-8", id="a character that is cut in two"),
        pytest.param(b"day,total\n" + b"x" * MOST + b"\xfc", "UTF-8", id="beyond what is read"),
    ],
)
def test_the_encoding_is_latin_1_only_if_no_byte_beyond_ascii_is_utf_8(data: bytes, encoding: str) -> None:
    found = sniffed(data)
    assert found is not None
    assert found.encoding == encoding
    assert found.columns in {("day", "größe"), ("day", "total")}


@pytest.mark.parametrize("block_bytes", [1, 10, 1000])
def test_a_gzip_file_is_decompressed(block_bytes: int) -> None:
    data = gzip.compress(b'a,"b,1"\n' + b"1,2\n" * 1000)
    assert sniffed(data, block_bytes=block_bytes) == CsvFormat(("a", "b,1"), compression="GZIP")


def test_a_truncated_gzip_file_is_read_as_far_as_possible() -> None:
    data = gzip.compress(b'a,"b,1"\n' + "".join(f"{n},{7919 * n}\n" for n in range(1000)).encode())
    assert sniffed(data[: len(data) // 2]) == CsvFormat(("a", "b,1"), compression="GZIP")
    assert sniffed(data[:10]) == CsvFormat(compression="GZIP", unusable=Unusable.BROKEN_GZIP)


# Blocks and memory


def test_repeated_bytes_of_a_file_are_skipped() -> None:
    sniffer = HeaderSniffer()
    sniffer.feed(0, b"ab,c")
    sniffer.feed(0, b"ab,cd")
    sniffer.feed(3, b"cd,e\nx")
    assert sniffer.csv_format() == CsvFormat(("ab", "cd", "e"))


def test_bytes_after_a_gap_are_ignored() -> None:
    sniffer = HeaderSniffer()
    sniffer.feed(5, b"x,y\n")
    assert (sniffer.is_done, sniffer.csv_format()) == (False, None)


@pytest.mark.parametrize("block_bytes", [1000, 3 * MOST])
def test_only_the_start_of_a_file_is_kept_in_memory(block_bytes: int) -> None:
    sniffer = HeaderSniffer()
    for number in range(3 * MOST // block_bytes):
        sniffer.feed(number * block_bytes, b"a,b\n" * (block_bytes // 4))
    assert sniffer.is_done
    assert len(sniffer._start) == MOST  # noqa: SLF001 - what it keeps in memory


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff"), max_size=8)
rows = st.lists(cells, min_size=1, max_size=5)


@given(rows, st.lists(rows, max_size=3), st.sampled_from(["\n", "\r\n"]), st.sampled_from(DELIMITERS), st.booleans())
def test_the_column_names_are_those_of_the_csv_reader_unless_unusable(
    header: list[str],
    body: list[list[str]],
    end: str,
    delimiter: str,
    is_compressed: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([header, *body])
    whole = text.getvalue()
    expected = next(csv.reader(io.StringIO(whole, newline=""), delimiter=delimiter))
    found = sniffed(gzip.compress(whole.encode()) if is_compressed else whole.encode())
    assert found is not None
    assert found.columns == (() if found.unusable else tuple(expected))
    assert found.unusable in {why_unusable(expected), Unusable.SEP_LINE, Unusable.REPEATED_BELOW}


texts = st.lists(
    st.sampled_from(
        ['"', ",", ";", "\t", "\n", "\r\n", "a", "day", "2022-04-01", "sep=", "\0", "ü", " ", "x" * 200, "é"]
    )
).map("".join)
odd_bytes = st.one_of(
    st.binary(max_size=200),
    texts.map(str.encode),
    texts.map(str.encode).map(gzip.compress),
    texts.map(lambda text: text.encode("utf-16")),
    st.builds(
        bytes.__add__, st.sampled_from([b"\x1f\x8b", b"\xff\xfe", b"\xef\xbb\xbf", b"a\0b\0"]), st.binary(max_size=50)
    ),
    st.builds(lambda text, times: text.encode() * times, texts, st.sampled_from([1000, 50_000])),
)


@given(odd_bytes, st.lists(st.integers(0, 10_000)))
def test_any_bytes_give_the_same_format_in_any_blocks(data: bytes, cuts: list[int]) -> None:
    sniffer = HeaderSniffer()
    for start, stop in pairwise(sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})):
        sniffer.feed(start, data[start:stop])
    found = sniffer.csv_format()
    assert found == sniffed(data)
    if found is not None:
        assert bool(found.columns) == (found.unusable is None)
        assert len(found.columns) <= MOST_COLUMNS
        assert all(0 < len(name) <= LONGEST_NAME and name.isprintable() for name in found.columns)


# The files of one period

H, LONGER, MOVED = ("day", "total", "os"), ("day", "total", "os", "browser"), ("os", "day", "total")
WIDE, HALF = (*H, *(f"c{number}" for number in range(9))), ("day", "total", "x", "y")
ROW_A, ROW_B = ("x", "DE", "Linux"), ("y", "AT", "Windows")
NONE: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("lines", "accepted"),
    [
        pytest.param([], [], id="no file"),
        pytest.param([H], [H], id="one file"),
        pytest.param([H, H, H], [H, H, H], id="all alike"),
        pytest.param([H, LONGER], [H, LONGER], id="one more column in the second"),
        pytest.param([MOVED, H], [MOVED, H], id="moved columns"),
        pytest.param([H, WIDE], [H, WIDE], id="many more columns"),
        pytest.param([LONGER, HALF], [LONGER, HALF], id="half of the columns renamed"),
        pytest.param([H, H, ("x", "DE", "os")], [H, H, NONE], id="a row that has a word in common"),
        pytest.param([H, H, ROW_A], [H, H, NONE], id="a row in the third"),
        pytest.param([ROW_A, H, H], [NONE, H, H], id="a row in the first"),
        pytest.param([ROW_A, H, LONGER, H, ROW_B], [NONE, H, LONGER, H, NONE], id="two rows, different ones"),
        pytest.param([H, ROW_A], [NONE, NONE], id="undecidable between two"),
        pytest.param([H, ROW_A, ROW_B], [NONE, NONE, NONE], id="undecidable between three"),
        pytest.param([NONE, H], [NONE, H], id="one that is unusable anyway"),
        pytest.param([NONE, NONE], [NONE, NONE], id="none is a header"),
    ],
)
def test_the_headers_of_a_period_are_compared(lines: list[tuple[str, ...]], accepted: list[tuple[str, ...]]) -> None:
    formats = [CsvFormat(line, unusable=None if line else Unusable.EMPTY_LINE) for line in lines]
    found = compared(formats)
    assert [each.columns for each in found] == accepted
    for line, each in zip(lines, found, strict=True):
        expected = (None if each.columns else Unusable.UNLIKE_OTHER_FILES) if line else Unusable.EMPTY_LINE
        assert each.unusable is expected


def test_a_file_keeps_its_format_if_its_names_are_not_accepted() -> None:
    odd = CsvFormat(ROW_A, ";", "UTF-16LE", byte_order_mark=True, compression="GZIP")
    assert compared([CsvFormat(H), CsvFormat(H), odd])[2] == odd.refused(Unusable.UNLIKE_OTHER_FILES)
