"""What the headers of a download say about the stored file."""

import pytest
from requests.structures import CaseInsensitiveDict

from analytics_export.source.stored_headers import SourceFile, StoredHeaders, Transcoded, read_stored_headers

CRC = "yZRlqg=="


def head(status: int = 200, **headers: str) -> StoredHeaders:
    """Read an answer with these headers, `_` for `-`."""
    return read_stored_headers(
        status, CaseInsensitiveDict({name.replace("_", "-"): text for name, text in headers.items()})
    )


def test_a_plain_answer_gives_size_checksum_generation_and_type() -> None:
    answer = head(
        content_length="7",
        content_type="text/csv",
        x_goog_hash=f"crc32c={CRC},md5=CY9rzUYh03PK3k6DJie09g==",
        x_goog_generation="17",
        x_goog_stored_content_length="7",
        x_goog_stored_content_encoding="identity",
        etag='"abc"',
    )
    assert answer == StoredHeaders(7, CRC, "17", "text/csv", None, 0)
    assert answer.file() == SourceFile(7, CRC, "17", "text/csv", None)


@pytest.mark.parametrize(
    ("header", "crc32c"),
    [
        pytest.param(f"crc32c={CRC}", CRC, id="alone"),
        pytest.param(f"crc32c={CRC},md5=CY9rzUYh03PK3k6DJie09g==", CRC, id="first"),
        pytest.param(f"md5=CY9rzUYh03PK3k6DJie09g==,crc32c={CRC}", CRC, id="second"),
        pytest.param(f"md5=CY9rzUYh03PK3k6DJie09g==, crc32c={CRC}", CRC, id="from two headers"),
        pytest.param("md5=CY9rzUYh03PK3k6DJie09g==", None, id="md5 alone"),
        pytest.param("crc32c=zzz", None, id="not a checksum"),
        pytest.param(f"xcrc32c={CRC}", None, id="another name"),
        pytest.param("", None, id="none"),
    ],
)
def test_the_checksum_is_found_among_others(header: str, crc32c: str | None) -> None:
    assert head(content_length="7", x_goog_hash=header).crc32c == crc32c


def test_the_etag_replaces_a_missing_generation() -> None:
    assert head(etag='"abc"').generation == '"abc"'


@pytest.mark.parametrize("length", ["", "-1", "7.0", "seven", "1" * 30])
def test_a_content_length_that_is_not_a_number_is_none(length: str) -> None:
    assert head(content_length=length).size is None


def test_stored_gzip_that_is_sent_compressed_is_accepted() -> None:
    answer = head(content_encoding="gzip", x_goog_stored_content_encoding="gzip", x_goog_stored_content_length="7")
    assert (answer.content_encoding, answer.size) == ("gzip", 7)
    file = answer.file(crc32c=CRC)
    assert file is not None
    assert file.content_encoding == "gzip"


@pytest.mark.parametrize(
    ("sent_as", "stored_as"),
    [(None, "gzip"), ("gzip", "identity"), ("br", "gzip")],
    ids=["decompressed", "compressed", "recompressed"],
)
def test_bytes_that_are_not_the_stored_ones_are_refused(sent_as: str | None, stored_as: str) -> None:
    headers = {"x_goog_stored_content_encoding": stored_as} | ({"content_encoding": sent_as} if sent_as else {})
    with pytest.raises(Transcoded):
        head(200, content_length="7", **headers)


def test_a_partial_answer_gives_its_start_and_the_files_length() -> None:
    answer = head(206, content_range="bytes 5-9/10", content_length="5")
    assert (answer.starts_at, answer.size) == (5, 10)


@pytest.mark.parametrize("content_range", ["", "bytes 5-9/*", "bytes */10", "5-9/10", "bytes 5-9", "items 5-9/10"])
def test_a_partial_answer_without_a_usable_range_has_no_start(content_range: str) -> None:
    answer = head(206, content_range=content_range)
    assert (answer.starts_at, answer.size) == (-1, None)


@pytest.mark.parametrize(
    ("headers", "is_known"),
    [
        pytest.param({"content_length": "7"}, False, id="no checksum"),
        pytest.param({"x_goog_hash": f"crc32c={CRC}"}, False, id="no length"),
        pytest.param({"content_length": "0"}, True, id="an empty file has the checksum of nothing"),
    ],
)
def test_a_file_is_known_by_size_and_checksum(headers: dict[str, str], is_known: bool) -> None:  # noqa: FBT001 - a table
    assert (head(200, **headers).file() is not None) is is_known


def test_size_and_checksum_may_be_added_to_an_answer_without_them() -> None:
    assert head().file(size=7, crc32c=CRC) == SourceFile(7, CRC, None, None, None)


FILE = SourceFile(7, CRC, "17", None, None)


@pytest.mark.parametrize(
    ("headers", "is_same"),
    [
        pytest.param({}, True, id="no headers"),
        pytest.param({"content_length": "7", "x_goog_generation": "17"}, True, id="the same"),
        pytest.param({"content_length": "8"}, False, id="another size"),
        pytest.param({"x_goog_hash": "crc32c=AAAAAA=="}, False, id="another checksum"),
        pytest.param({"x_goog_generation": "18"}, False, id="another generation"),
    ],
)
def test_a_later_answer_is_compared_with_the_version_of_the_first(headers: dict[str, str], is_same: bool) -> None:  # noqa: FBT001 - a table
    assert head(200, **headers).is_of(FILE) is is_same
