"""The API key: where it comes from, how often it is read, and that it goes into one header alone."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local.faults import Kind
from local.stack import ANALYTICS_ID, API_KEY, SECRET, Stack
from tests.support.functions import StartFunction
from tests.support.requests_and_answers import DAY, PREFIX, file, only, problem, span

NEW_KEY = "another-secret-key-9876543210"


def rotate(stack: Stack) -> None:
    stack.secrets.add_version(SECRET, NEW_KEY)
    stack.exports.keys = {NEW_KEY}


def test_a_warm_instance_reads_the_key_once(stack: Stack, start_function: StartFunction) -> None:
    function = start_function()
    only(function.post(DAY))
    function.post(span("2022-04-02", "2022-04-05"))
    assert [request.name for request in stack.secrets.requests.all()] == [f"{SECRET}/versions/latest"]


def test_a_rotated_key_is_taken_up_by_a_warm_instance(stack: Stack, start_function: StartFunction) -> None:
    function = start_function()
    only(function.post(DAY))
    rotate(stack)
    only(function.post(DAY))
    only(function.post(DAY))
    assert stack.secrets.requests.count() == 2
    assert [request.status for request in stack.exports.requests.of("export.list")] == [200, 401, 200, 200]


def test_a_key_that_stays_wrong_is_read_again_once_a_run(stack: Stack, start_function: StartFunction) -> None:
    """Not once a period: an outage of the key must not become one of Secret Manager."""
    function = start_function()
    stack.exports.keys = {NEW_KEY}
    answer = function.post(span("2022-04-01", "2022-04-04"))
    problem(answer, 502, "export-service-refused")
    assert stack.secrets.requests.count() == 2
    stack.secrets.add_version(SECRET, NEW_KEY)
    only(function.post(DAY))


def test_a_named_version_is_the_one_that_is_read(stack: Stack, start_function: StartFunction) -> None:
    stack.secrets.add_version(SECRET, "a-later-secret-key")
    only(start_function(API_KEY_SECRET=f"{SECRET}/versions/1").post(DAY))
    assert [request.name for request in stack.secrets.requests.all()] == [f"{SECRET}/versions/1"]


def test_space_around_the_key_does_not_matter(stack: Stack, start_function: StartFunction) -> None:
    """`echo KEY | gcloud secrets versions add` adds a line end."""
    stack.secrets.add_version(SECRET, f"{API_KEY}\n")
    only(start_function().post(DAY))


def test_a_key_that_could_not_be_read_is_read_by_the_next_call(stack: Stack, start_function: StartFunction) -> None:
    function = start_function()
    stack.faults.add("secret.access", Kind.STATUS, status="PERMISSION_DENIED")
    problem(function.post(DAY), 500, "misconfigured")
    only(function.post(DAY))


class Recorder(ThreadingHTTPServer):
    """An export service that keeps what it is sent, whole."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Recording)
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.answer: dict[str, list[str]] = {"downloadUrls": []}
        self.location: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Recording(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        self.server.seen.append((self.command, self.path, {name.lower(): text for name, text in self.headers.items()}))
        body = json.dumps(self.server.answer).encode()
        self.send_response(302 if self.server.location else 200)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        pass


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def test_the_key_goes_into_the_x_api_key_header_and_nowhere_else(
    stack: Stack, start_function: StartFunction, recorder: Recorder
) -> None:
    """Neither into the address of the export service, nor to the place where the files are."""
    stack.exports.put(PREFIX, {file(0): b"a\n1\n"})
    recorder.answer = {"downloadUrls": [f"{recorder.url}/files/a.csv?signature=1"]}
    function = start_function(EXPORT_SERVICE_URL=recorder.url, DOWNLOAD_ORIGINS=recorder.url)
    function.post(DAY)
    (listing, *files) = recorder.seen
    method, path, headers = listing
    assert (method, path) == ("GET", f"/download/v2/analytics/{ANALYTICS_ID}/{PREFIX}")
    assert headers["x-api-key"] == API_KEY
    assert [name for name, text in headers.items() if API_KEY in text] == ["x-api-key"]
    assert [path for _, path, _ in files][:1] == ["/files/a.csv?signature=1"]
    assert not any(API_KEY in f"{path} {headers}" for _, path, headers in files)


def test_a_redirect_of_the_export_service_is_not_followed_with_the_key(
    start_function: StartFunction, recorder: Recorder
) -> None:
    recorder.location = f"{recorder.url}/elsewhere"
    function = start_function(EXPORT_SERVICE_URL=recorder.url)
    problem(function.post(DAY), 502, "export-service-error")
    assert len(recorder.seen) == 1
