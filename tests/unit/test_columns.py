"""The first line of a CSV file, found while its bytes pass by in blocks of any size."""

import csv
import gzip
import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_export.bucket.csv_header import LONGEST_HEADER_BYTES, HeaderSniffer


def sniffed(data: bytes, *, block_bytes: int = 7) -> HeaderSniffer:
    sniffer = HeaderSniffer()
    for start in range(0, len(data), block_bytes):
        sniffer.feed(start, data[start : start + block_bytes])
    return sniffer


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        pytest.param("a,b,c\n1,2,3\n", ("a", "b", "c"), id="a header and a row"),
        pytest.param("a,b\n", ("a", "b"), id="a header alone"),
        pytest.param("a,b", ("a", "b"), id="without a line end"),
        pytest.param("a,b\r\n1,2\r\n", ("a", "b"), id="CRLF"),
        pytest.param("\ufeffa,b\n1,2\n", ("a", "b"), id="a byte order mark"),
        pytest.param('\ufeff"a",b\n', ("a", "b"), id="a byte order mark and quotes"),
        pytest.param('"a,x","b\ny",c\n1,2,3\n', ("a,x", "b\ny", "c"), id="quoted comma and line end"),
        pytest.param('"a\r\nb",c\r\n1,2\r\n', ("a\r\nb", "c"), id="quoted CRLF"),
        pytest.param('"a ""x""",b\n', ('a "x"', "b"), id="doubled quotes"),
        pytest.param("ü,日本\n1,2\n", ("ü", "日本"), id="not ASCII"),
        pytest.param("a\n", ("a",), id="one column"),
        pytest.param("a,,b\n", ("a", "", "b"), id="an empty name"),
        pytest.param("\na,b\n", (), id="an empty first line"),
        pytest.param("", None, id="an empty file"),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 2, 5, 1000])
def test_the_first_record_is_found(data: str, columns: tuple[str, ...] | None, block_bytes: int) -> None:
    assert sniffed(data.encode(), block_bytes=block_bytes).columns() == columns


@pytest.mark.parametrize("block_bytes", [1, 10, 1000])
def test_a_packed_file_is_unpacked(block_bytes: int) -> None:
    data = gzip.compress(b'a,"b\n1"\n' + b"1,2\n" * 1000)
    assert sniffed(data, block_bytes=block_bytes).columns() == ("a", "b\n1")


def test_a_broken_packed_file_has_no_header() -> None:
    sniffer = sniffed(b"\x1f\x8b\xff\xff\xff\xff" * 10)
    assert sniffer.is_done
    assert not sniffer.columns()


def test_a_header_of_a_megabyte_is_found_and_is_not_searched_again_and_again() -> None:
    names = tuple(f"column-{number}" for number in range(100_000))
    assert sniffed(",".join(names).encode() + b"\n1,2\n", block_bytes=16 * 1024).columns() == names


def test_a_line_that_does_not_end_is_no_header_and_costs_bounded_memory() -> None:
    sniffer = HeaderSniffer()
    block = b"x" * 1024 * 1024
    for number in range(4):
        sniffer.feed(number * len(block), block)
    assert sniffer.is_done
    assert sniffer.columns() == ()
    assert len(sniffer._text) <= LONGEST_HEADER_BYTES  # noqa: SLF001 - what it holds in memory


def test_a_packed_line_that_does_not_end_costs_bounded_memory() -> None:
    sniffer = sniffed(gzip.compress(b"x" * 50_000_000), block_bytes=1000)
    assert sniffer.columns() == ()
    assert len(sniffer._text) <= LONGEST_HEADER_BYTES  # noqa: SLF001 - what it holds in memory


def test_bytes_that_come_again_are_passed_over() -> None:
    sniffer = HeaderSniffer()
    sniffer.feed(0, b"ab,c")
    sniffer.feed(0, b"ab,cd")
    sniffer.feed(3, b"cd,e\nx")
    assert sniffer.columns() == ("ab", "cd", "e")


def test_a_gap_ends_nothing() -> None:
    sniffer = HeaderSniffer()
    sniffer.feed(5, b"x,y\n")
    assert (sniffer.is_done, sniffer.columns()) == (False, None)


def test_after_the_first_record_no_more_is_kept() -> None:
    sniffer = sniffed(b"a,b\n" + b"1,2\n" * 100_000, block_bytes=100_000)
    assert sniffer.is_done
    assert bytes(sniffer._text) == b"a,b\n"  # noqa: SLF001 - what it holds in memory


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff"), max_size=8)
rows = st.lists(cells, min_size=1, max_size=5)


@given(rows, st.lists(rows, max_size=3), st.sampled_from(["\n", "\r\n"]), st.lists(st.integers(0, 200)), st.booleans())
def test_any_split_into_blocks_gives_what_the_csv_reader_gives(
    header: list[str],
    body: list[list[str]],
    end: str,
    cuts: list[int],
    is_packed: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([header, *body])
    whole = text.getvalue()
    expected = next(csv.reader(io.StringIO(whole, newline="")))
    data = gzip.compress(whole.encode()) if is_packed else whole.encode()
    sniffer = HeaderSniffer()
    for start, stop in pairwise(sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})):
        sniffer.feed(start, data[start:stop])
    assert sniffer.is_done
    assert sniffer.columns() == tuple(expected)


@given(st.binary(max_size=200), st.integers(1, 20))
def test_whatever_the_bytes_are_there_is_an_answer(data: bytes, block_bytes: int) -> None:
    columns = sniffed(data, block_bytes=block_bytes).columns()
    assert columns is None or all(isinstance(name, str) for name in columns)
