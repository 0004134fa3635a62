"""What a resumable upload sends, and what Cloud Storage's answers mean: kept, done, interrupted, lost, refused."""

import io
import json
from typing import Any, cast

import pytest
import requests

from analytics_export.bucket.manifest import StoredObject
from analytics_export.bucket.upload import SessionLost, Upload, UploadInterrupted, UploadRefused
from analytics_export.errors import Misconfigured
from analytics_export.retries import Clock, Deadline

SIZE = 10
STALL_S = 30.0
SECRET_URL = "https://storage.googleapis.com/upload?upload_id=secret"
DONE = {"size": "10", "crc32c": "yZRlqg==", "generation": "17"}
STORED = StoredObject("granular/a.csv", SIZE, "yZRlqg==", "17")


class CloudStorage:
    """Gives the test's answer, and records the requests."""

    def __init__(self, answer: requests.Response | Exception) -> None:
        self._answer = answer
        self.requests: list[tuple[str, str, dict[str, Any]]] = []

    def put(self, url: str, **how: Any) -> requests.Response:
        return self._answered("PUT", url, how)

    def delete(self, url: str, **how: Any) -> requests.Response:
        return self._answered("DELETE", url, how)

    def _answered(self, method: str, url: str, how: dict[str, Any]) -> requests.Response:
        self.requests.append((method, url, how))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def answer(status: int, body: object = None, **headers: str) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made.headers.update({name.replace("_", "-"): text for name, text in headers.items()})
    made.raw = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    return made


def upload(cloud_storage: CloudStorage, stall_s: float = STALL_S) -> Upload:
    session = cast("requests.Session", cloud_storage)
    return Upload(session, SECRET_URL, "granular/a.csv", SIZE, stall_s, Deadline(60, Clock()))


def outcome(made: requests.Response | Exception) -> StoredObject | int:
    return upload(CloudStorage(made)).status()


@pytest.mark.parametrize("status", [200, 201])
def test_a_finished_upload_returns_the_stored_object(status: int) -> None:
    assert outcome(answer(status, DONE)) == STORED


def test_the_answer_for_an_empty_object_may_lack_its_size() -> None:
    assert outcome(answer(200, {"crc32c": "AAAAAA==", "generation": 17})) == StoredObject(
        "granular/a.csv", 0, "AAAAAA==", "17"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        [],
        None,
        {"size": "10", "crc32c": "x"},
        {"size": "10", "generation": "17"},
        DONE | {"size": "ten"},
    ],
    ids=str,
)
def test_a_finished_upload_with_an_unusable_answer_counts_as_refused(body: object) -> None:
    with pytest.raises(UploadRefused):
        outcome(answer(200, body))


@pytest.mark.parametrize(
    ("kept", "count"),
    [
        pytest.param({}, 0, id="nothing"),
        pytest.param({"Range": "bytes=0-0"}, 1, id="one byte"),
        pytest.param({"Range": "bytes=0-4"}, 5, id="some"),
        pytest.param({"Range": "bytes=0-9"}, SIZE, id="all"),
        pytest.param({"Range": "bytes=3-4"}, 0, id="not from the start"),
        pytest.param({"Range": "bytes 0-4/10"}, 0, id="another form"),
        pytest.param({"Range": f"bytes=0-{'9' * 19}"}, 0, id="a huge number"),
    ],
)
def test_an_upload_session_reports_how_many_bytes_it_has(kept: dict[str, str], count: int) -> None:
    assert outcome(answer(308, **kept)) == count


@pytest.mark.parametrize(
    "made",
    [answer(404), answer(410), answer(499), answer(308, Range="bytes=0-10")],
    ids=["404", "410", "499", "more bytes kept than the file has"],
)
def test_an_upload_session_is_lost_after(made: requests.Response) -> None:
    with pytest.raises(SessionLost):
        outcome(made)


@pytest.mark.parametrize("status", [400, 412])
def test_an_upload_is_refused_with_status(status: int) -> None:
    with pytest.raises(UploadRefused):
        outcome(answer(status))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 507])
def test_an_upload_is_interrupted_and_the_retry_after_is_kept_with_status(status: int) -> None:
    with pytest.raises(UploadInterrupted, match=str(status)) as interrupted:
        outcome(answer(status, Retry_After="7"))
    assert interrupted.value.asked_to_wait_s == 7


@pytest.mark.parametrize(
    "error", [requests.ConnectionError(SECRET_URL), requests.ReadTimeout(SECRET_URL), OSError(SECRET_URL)]
)
def test_a_broken_connection_interrupts_an_upload_without_showing_the_session_url(error: Exception) -> None:
    with pytest.raises(UploadInterrupted, match=type(error).__name__) as interrupted:
        outcome(error)
    assert "upload_id" not in interrupted.value.detail


@pytest.mark.parametrize("status", [204, 302, 401, 403, 409, 413])
def test_an_upload_is_a_misconfiguration_with_status(status: int) -> None:
    with pytest.raises(Misconfigured, match=f"{status}.*granular/a.csv"):
        outcome(answer(status))


BODY = cast("Any", object())


@pytest.mark.parametrize(
    ("offset", "content_range"),
    [(0, "bytes 0-9/10"), (4, "bytes 4-9/10"), (9, "bytes 9-9/10"), (10, "bytes */10")],
)
def test_each_request_of_an_upload_states_its_range(offset: int, content_range: str) -> None:
    """At the end there is nothing to send: it queries the status."""
    cloud_storage = CloudStorage(answer(200, DONE))
    upload(cloud_storage).send(BODY, offset)
    [(method, url, how)] = cloud_storage.requests
    assert (method, url) == ("PUT", SECRET_URL)
    assert how == {
        "data": b"" if offset == SIZE else BODY,
        "headers": {"Content-Range": content_range},
        "timeout": STALL_S,
        "allow_redirects": False,
    }


@pytest.mark.parametrize(("stall_s", "timeout_s"), [(30.0, 5.0), (1.0, 1.0)])
def test_an_upload_is_cancelled_without_waiting_long(stall_s: float, timeout_s: float) -> None:
    cloud_storage = CloudStorage(answer(499))
    upload(cloud_storage, stall_s).cancel()
    assert cloud_storage.requests == [("DELETE", SECRET_URL, {"timeout": timeout_s, "allow_redirects": False})]


def test_an_upload_that_cannot_be_cancelled_is_left_to_expire() -> None:
    upload(CloudStorage(requests.ConnectionError())).cancel()
