"""Signed links behave like those of the XML API."""

import contextlib
import gzip
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests

from local.export_service import SOURCE_BUCKET
from local.faults import Kind
from local.stack import Stack

DATA = bytes(range(256)) * 1000
NAME = "acme/file one.csv"


@pytest.fixture
def link(stack: Stack) -> str:
    stack.storage.put(SOURCE_BUCKET, NAME, DATA)
    return stack.storage.links.sign(SOURCE_BUCKET, NAME)


def get(link: str, **headers: str) -> requests.Response:
    return requests.get(link, headers={"Accept-Encoding": "gzip", **headers}, timeout=10)


def test_a_link_answers_with_the_bytes_and_their_checksums(stack: Stack, link: str) -> None:
    response = get(link)
    info = stack.storage.objects(SOURCE_BUCKET)[NAME]
    assert response.content == DATA
    assert response.headers["Content-Length"] == response.headers["x-goog-stored-content-length"] == str(len(DATA))
    assert response.headers["x-goog-generation"] == str(info.generation)
    assert response.headers["Content-Type"] == "text/csv"
    assert response.raw.headers.getlist("x-goog-hash") == [f"crc32c={info.crc32c}", f"md5={info.md5}"]


def test_a_link_looks_like_a_v4_signature(link: str) -> None:
    parts = urlsplit(link)
    assert parts.path == f"/{SOURCE_BUCKET}/acme/file%20one.csv"
    assert {"X-Goog-Date", "X-Goog-Expires=900", "X-Goog-SignedHeaders=host"} <= {
        part if "Date" not in part else part.split("=")[0] for part in parts.query.split("&")
    }


@pytest.mark.parametrize(
    ("requested", "status", "expected", "content_range"),
    [
        ("bytes=0-", 206, DATA, f"bytes 0-{len(DATA) - 1}/{len(DATA)}"),
        ("bytes=10-19", 206, DATA[10:20], f"bytes 10-19/{len(DATA)}"),
        (
            f"bytes={len(DATA) - 1}-{len(DATA) + 99}",
            206,
            DATA[-1:],
            f"bytes {len(DATA) - 1}-{len(DATA) - 1}/{len(DATA)}",
        ),
        ("bytes=-3", 206, DATA[-3:], f"bytes {len(DATA) - 3}-{len(DATA) - 1}/{len(DATA)}"),
        ("bytes=1-2,4-5", 200, DATA, None),
        ("lines=1-2", 200, DATA, None),
    ],
)
def test_a_supported_range_is_answered_206_and_any_other_200(
    link: str, requested: str, status: int, expected: bytes, content_range: str | None
) -> None:
    response = get(link, Range=requested)
    assert (response.status_code, response.content) == (status, expected)
    assert response.headers.get("Content-Range") == content_range


def test_a_range_past_the_end_is_answered_416(link: str) -> None:
    response = get(link, Range=f"bytes={len(DATA)}-")
    assert (response.status_code, response.headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")
    assert "<Code>InvalidRange</Code>" in response.text


def test_an_expired_link_is_answered_400(stack: Stack, link: str) -> None:
    brief = stack.storage.links.sign(SOURCE_BUCKET, NAME, life_s=0.05)
    time.sleep(0.06)
    assert (get(brief).status_code, "<Code>ExpiredToken</Code>" in get(brief).text) == (400, True)
    assert get(link).status_code == 200
    stack.storage.links.expire_all()
    assert get(link).status_code == 400


def test_a_changed_link_is_answered_403(link: str) -> None:
    for changed in (link.replace("one", "two"), link.replace("Expires=900", "Expires=999"), link[:-1] + "!"):
        assert "<Code>SignatureDoesNotMatch</Code>" in get(changed).text
        assert get(changed).status_code == 403
    assert get(link.split("?", maxsplit=1)[0]).status_code == 403


def test_a_link_signed_for_get_does_not_allow_head(link: str) -> None:
    assert requests.head(link, timeout=10).status_code == 403


def test_names_in_links_are_percent_decoded(stack: Stack, link: str) -> None:
    assert get(link).content == DATA
    other = stack.storage.links.sign(SOURCE_BUCKET, NAME, encoded_name="acme%2Ffile%20one.csv")
    assert get(other).content == DATA


def test_a_missing_object_is_answered_404(stack: Stack) -> None:
    response = get(stack.storage.links.sign(SOURCE_BUCKET, "nothing"))
    assert (response.status_code, "<Code>NoSuchKey</Code>" in response.text) == (404, True)


def test_stored_gzip_is_sent_as_stored_or_decompressed(stack: Stack) -> None:
    packed = gzip.compress(DATA)
    stack.storage.put(SOURCE_BUCKET, "z", packed, content_encoding="gzip")
    link = stack.storage.links.sign(SOURCE_BUCKET, "z")
    with requests.get(link, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=10) as stored:
        assert stored.raw.read(decode_content=False) == packed
        assert (stored.headers["Content-Encoding"], stored.headers["Content-Length"]) == ("gzip", str(len(packed)))
    inflated = requests.get(link, headers={"Accept-Encoding": "identity", "Range": "bytes=5-"}, timeout=10)
    assert (inflated.status_code, inflated.content) == (200, DATA)
    assert "Content-Length" not in inflated.headers
    assert "Content-Encoding" not in inflated.headers
    assert inflated.headers["x-goog-stored-content-encoding"] == "gzip"


def test_a_download_continues_with_its_version_when_the_object_is_replaced(stack: Stack, link: str) -> None:
    fault = stack.faults.add("link.get", Kind.HOLD, after_bytes=100)
    with requests.get(link, stream=True, timeout=10) as response:
        fault.wait_until_reached()
        stack.storage.put(SOURCE_BUCKET, NAME, b"newer")
        fault.release()
        assert response.raw.read() == DATA
    assert get(link).content == b"newer"


# Faults


def test_a_reset_happens_after_the_byte_that_it_is_set_for(stack: Stack, link: str) -> None:
    stack.faults.add("link.get", Kind.RESET, after_bytes=100_000)
    with requests.get(link, stream=True, timeout=10) as response:
        received = b""
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="reset"):  # noqa: PT012 - keeps what was received
            for block in response.iter_content(1000):
                received += block
    assert received == DATA[:100_000]
    assert get(link).content == DATA
    assert stack.faults.fired == {"link.get reset": 1}


def test_a_close_happens_after_the_byte_that_it_is_set_for(stack: Stack, link: str) -> None:
    stack.faults.add("link.get", Kind.CLOSE, after_bytes=100)
    with raw_get(link) as connection:
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert body == DATA[:100]
    assert f"Content-Length: {len(DATA)}".encode() in head


def test_a_reset_before_the_answer_sends_no_byte(stack: Stack, link: str) -> None:
    stack.faults.add("link.get", Kind.RESET)
    with raw_get(link) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)


def test_a_reset_waits_for_a_slow_reader(stack: Stack, link: str) -> None:
    stack.faults.add("link.get", Kind.RESET, after_bytes=200_000)
    with raw_get(link, receive_buffer=4096) as connection:
        time.sleep(0.1)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while block := connection.recv(4096):
                received += block
    assert received.partition(b"\r\n\r\n")[2] == DATA[:200_000]


def test_a_stall_stops_and_then_continues(stack: Stack, link: str) -> None:
    stack.faults.add("link.get", Kind.STALL, after_bytes=5, seconds=0.2)
    started = time.monotonic()
    assert get(link).content == DATA
    assert time.monotonic() - started > 0.2


def test_a_throttle_slows_a_download_down(stack: Stack, link: str) -> None:
    stack.faults.add("link.get", Kind.THROTTLE, bytes_per_s=1_000_000)
    started = time.monotonic()
    assert get(link).content == DATA
    assert 0.2 < time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("kind", "options", "check"),
    [
        (Kind.IGNORE_RANGE, {}, lambda r: r.status_code == 200 and r.content == DATA),
        (Kind.WRONG_START, {"shift": 7}, lambda r: r.status_code == 206 and r.content == DATA[17:20]),
        (Kind.WRONG_HASH, {}, lambda r: "AAAAAA==" in r.headers["x-goog-hash"]),
        (
            Kind.WRONG_BYTES,
            {"after_bytes": 3},
            lambda r: r.content == DATA[10:13] + bytes([DATA[13] ^ 1]) + DATA[14:20],
        ),
        (Kind.DROP_HEADERS, {"headers": {"x-goog-hash": ""}}, lambda r: "x-goog-hash" not in r.headers),
        (
            Kind.DROP_HEADERS,
            {"headers": {"content-length": ""}},
            lambda r: r.content == DATA[10:20] and "Content-Length" not in r.headers,
        ),
        (Kind.SET_HEADERS, {"headers": {"ETag": '"other"'}}, lambda r: r.headers["ETag"] == '"other"'),
        (Kind.REDIRECT, {"headers": {"Location": "http://127.0.0.1:9/"}}, lambda r: r.status_code == 302),
        (
            Kind.STATUS,
            {"status": 429, "headers": {"Retry-After": "2"}},
            lambda r: r.status_code == 429 and r.headers["Retry-After"] == "2",
        ),
        (Kind.STATUS, {"status": 200, "body": "<html>"}, lambda r: r.text == "<html>"),
    ],
)
def test_answers_can_be_wrong_in_one_way_at_a_time(
    stack: Stack, link: str, kind: Kind, options: dict[str, object], check: object
) -> None:
    stack.faults.add("link.get", kind, **options)  # type: ignore[arg-type] # a table of any options
    response = requests.get(link, headers={"Range": "bytes=10-19"}, allow_redirects=False, timeout=10)
    assert callable(check)
    assert check(response), (response.status_code, response.headers, response.content[:50])
    assert get(link).content == DATA


def test_a_content_length_can_be_larger_than_the_body(stack: Stack, link: str) -> None:
    stack.faults.add("link.get", Kind.WRONG_LENGTH, shift=10)
    with raw_get(link) as connection:
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(DATA) + 10}".encode() in head
    assert body == DATA


def test_a_fault_skips_and_counts_requests_by_name(stack: Stack, link: str) -> None:
    stack.faults.add("link.*", Kind.STATUS, name=r"one\.csv$", skip=1, times=2)
    other = stack.storage.links.sign(SOURCE_BUCKET, "other")
    assert get(other).status_code == 404
    assert [get(link).status_code for _ in range(5)] == [200, 503, 503, 200, 200]


def test_faults_are_set_read_and_cleared_over_http(stack: Stack, link: str) -> None:
    url = f"{stack.exports.url}/_faults"
    fault = {"where": "link.get", "kind": "status", "status": 500, "times": None}
    assert requests.post(url, json=fault, timeout=10).status_code == 200
    assert get(link).status_code == 500
    assert requests.get(url, timeout=10).json()["fired"] == {"link.get status": 1}
    assert requests.delete(url, timeout=10).json()["set"] == []
    assert get(link).status_code == 200
    assert requests.post(url, json={"where": "link.get", "kind": "nonsense"}, timeout=10).status_code == 400


def test_a_call_runs_at_the_byte_that_it_is_set_for(stack: Stack, link: str) -> None:
    seen: list[int] = []
    stack.faults.add("link.get", Kind.CALL, after_bytes=50, call=lambda request: seen.append(request.sent_bytes))
    get(link)
    assert seen == [50]


def test_sixty_four_concurrent_connections_are_served(link: str) -> None:
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.append(get(link).content)) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == [DATA] * 64


def raw_get(link: str, receive_buffer: int = 1 << 18) -> socket.socket:
    parts = urlsplit(link)
    connection = socket.socket()
    connection.settimeout(10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect((parts.hostname, parts.port))
    connection.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    return connection


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))
