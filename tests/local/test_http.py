"""The HTTP server that all stand-ins share: routes, bodies in chunks, bodies produced while they are sent."""

from collections.abc import Iterator

import pytest
import requests

from bench.bucket_server import BucketServer
from local.http.exchange import Exchange
from local.http.request_head import RequestHead
from local.http.response import Outcome, Response, Stream
from local.http.routes import ANY, Route, find
from local.request_log import Headers
from tests.support.answering import AnsweringServer


def head(method: str, target: str) -> RequestHead:
    path, _, query = target.partition("?")
    return RequestHead(method, path, query, Headers(), is_last=False)


def named(name: str) -> Response:
    return Response(200, [("name", name)])


ROUTES = [
    Route("GET", "/b/{bucket}/o/{name}?alt=media", lambda: named("read")),
    Route("GET", "/b/{bucket}/o/{name}", lambda: named("get")),
    Route("PUT", "/b/{bucket}/o?upload_id", lambda: named("continue")),
    Route(ANY, "/x*/o/{name}", lambda: named("any")),
    Route("GET", "/{bucket}/{name...}", lambda: named("link")),
]


@pytest.mark.parametrize(
    ("method", "target", "name", "values"),
    [
        ("GET", "/b/one/o/a%2Fb%20c?alt=media", "read", {"bucket": "one", "name": "a/b c"}),
        ("GET", "/b/one/o/a?alt=json", "get", {"bucket": "one", "name": "a"}),
        ("GET", "/b/one/o/a/b", "link", {"bucket": "b", "name": "one/o/a/b"}),
        ("PUT", "/b/one/o?upload_id=1&x=2", "continue", {"bucket": "one"}),
        ("PUT", "/b/one/o?upload_id=", "continue", {"bucket": "one"}),
        ("DELETE", "/x/y/z/o/n", "any", {"name": "n"}),
    ],
)
def test_the_first_matching_route_is_used(method: str, target: str, name: str, values: dict[str, str]) -> None:
    found = find(ROUTES, head(method, target))
    assert found is not None
    assert (found[0](), found[1]) == (named(name), values)


@pytest.mark.parametrize(
    ("method", "target"), [("PUT", "/b/one/o"), ("POST", "/b/one/o/a"), ("GET", "/alone"), ("PATCH", "/x/o/a/b")]
)
def test_a_request_without_a_route_finds_no_handler(method: str, target: str) -> None:
    assert find(ROUTES, head(method, target)) is None


@pytest.mark.parametrize(
    ("method", "target", "handler"),
    [
        ("POST", "/upload/storage/v1/b/bench/o?uploadType=resumable&name=a", "begin_session"),
        ("POST", "/resumable/upload/storage/v1/b/bench/o?uploadType=resumable&name=a", "begin_session"),
        ("POST", "/upload/storage/v1/b/bench/o?uploadType=multipart", "upload_whole"),
        ("PUT", "/upload/storage/v1/b/bench/o?uploadType=resumable&upload_id=1", "continue_session"),
        ("POST", "/resumable/upload/storage/v1/b/bench/o?upload_id=1", "continue_session"),
        ("GET", "/storage/v1/b/bench/o?prefix=a", "list_objects"),
        ("GET", "/storage/v1/b/bench", "get_bucket"),
        ("GET", "/storage/v1/b/bench/o/a%2Fb", "get_object"),
        ("GET", "/download/storage/v1/b/bench/o/a%2Fb?alt=media", "get_object"),
        ("DELETE", "/storage/v1/b/bench/o/a", "delete_object"),
    ],
)
def test_the_bench_has_a_route_for_every_request_of_the_peers(method: str, target: str, handler: str) -> None:
    found = find(BucketServer.routes, head(method, target))
    assert found is not None
    assert found[0].__name__ == handler


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    with AnsweringServer() as started:
        started.takes_chunks = True
        yield started
        assert started.mistakes == []


@pytest.mark.parametrize("sizes", [[], [1], [5, 70_000, 1], [1 << 20] * 3])
def test_a_body_in_chunks_is_read_to_its_end_and_the_connection_is_reused(
    server: AnsweringServer, sizes: list[int]
) -> None:
    received = bytearray()

    def answer(exchange: Exchange) -> Outcome:
        view = memoryview(bytearray(100_000))
        while count := exchange.receive(view):
            received.extend(view[:count])
        return Response(200, body=b"read")

    server.answer = answer
    chunks = [bytes([number]) * size for number, size in enumerate(sizes)]
    with requests.Session() as session:
        assert session.post(server.url, data=iter(chunks), timeout=10).text == "read"
        assert received == b"".join(chunks)
        assert session.get(server.url, timeout=10).text == "read"
    assert [request.is_new_connection for request in server.requests.all()] == [True, False]


@pytest.mark.parametrize(("size", "header"), [(6, "Content-Length"), (None, "Transfer-Encoding")])
def test_a_body_may_be_produced_while_it_is_sent(server: AnsweringServer, size: int | None, header: str) -> None:
    server.answer = lambda _: Response(200, body=Stream(iter([b"abc", memoryview(b"def")]), size))
    answer = requests.get(server.url, timeout=10)
    assert (answer.content, header in answer.headers) == (b"abcdef", True)
