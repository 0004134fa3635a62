"""Resumable uploads are as strict as those of Cloud Storage."""

import base64
import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import google_crc32c
import pytest
import requests
from google.api_core.exceptions import PreconditionFailed
from google.cloud.storage import Bucket

from local.faults import Kind
from local.stack import Stack

if TYPE_CHECKING:
    from local.storage.objects import Change

QUANTUM = 256 << 10
DATA = bytes(range(256)) * 4096 + b"the odd end"
TOTAL = len(DATA)


def start(bucket: Bucket, name: str = "a/b.csv", size: int | None = TOTAL, **options: object) -> str:
    return str(bucket.blob(name).create_resumable_upload_session(size=size, content_type="text/csv", **options))


def put(
    http: requests.Session, url: str, first: int = 0, last: int = TOTAL - 1, total: object = TOTAL
) -> requests.Response:
    headers = {"Content-Range": f"bytes {first}-{last}/{total}"}
    return http.put(url, data=DATA[first : last + 1], headers=headers, timeout=10)


def status_of(http: requests.Session, url: str, total: object = TOTAL) -> requests.Response:
    return http.put(url, headers={"Content-Range": f"bytes */{total}", "Content-Length": "0"}, timeout=10)


def test_one_put_without_content_range_creates_the_object(stack: Stack, bucket: Bucket) -> None:
    response = requests.put(start(bucket), data=DATA, timeout=10)
    assert response.status_code == 200
    assert response.json()["size"] == str(TOTAL)
    info = stack.storage.objects(stack.bucket)["a/b.csv"]
    assert info.read_bytes() == DATA
    assert info.content_type == "text/csv"
    assert info.path == stack.root / stack.bucket / "a/b.csv"


def test_an_object_appears_only_when_its_last_byte_has_arrived(
    stack: Stack, bucket: Bucket, http: requests.Session
) -> None:
    url = start(bucket)
    assert put(http, url, 0, 2 * QUANTUM - 1).status_code == 308
    assert stack.storage.objects(stack.bucket) == {}
    assert put(http, url, 2 * QUANTUM).status_code == 200
    assert stack.storage.read(stack.bucket, "a/b.csv") == DATA


def test_a_session_keeps_multiples_of_256_kib_and_reports_them(bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket)
    assert "Range" not in status_of(http, url).headers
    response = put(http, url, 0, QUANTUM + 99)
    assert (response.status_code, response.headers["Range"]) == (308, f"bytes=0-{QUANTUM - 1}")
    response = status_of(http, url)
    assert (response.status_code, response.headers["Range"]) == (308, f"bytes=0-{QUANTUM - 1}")


@pytest.mark.parametrize("first", [0, QUANTUM - 1, QUANTUM + 1])
def test_bytes_that_do_not_start_at_the_next_missing_byte_are_refused(
    bucket: Bucket, http: requests.Session, first: int
) -> None:
    url = start(bucket)
    put(http, url, 0, QUANTUM - 1)
    assert put(http, url, first).status_code == 400
    assert put(http, url, QUANTUM).status_code == 200


@pytest.mark.parametrize(
    "content_range",
    ["bytes 0-9/5", f"bytes 0-8/{TOTAL}", f"bytes 0-9/{TOTAL + 1}", "bytes x-9/10", "0-9/10", f"bytes */{TOTAL}"],
)
def test_a_wrong_content_range_is_refused(bucket: Bucket, content_range: str) -> None:
    headers = {"Content-Range": content_range}
    assert requests.put(start(bucket), data=b"0123456789", headers=headers, timeout=10).status_code == 400


def test_the_total_size_may_be_unknown_until_the_end(stack: Stack, bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket, size=None)
    assert put(http, url, 0, QUANTUM - 1, "*").status_code == 308
    assert status_of(http, url, "*").headers["Range"] == f"bytes=0-{QUANTUM - 1}"
    assert put(http, url, QUANTUM).status_code == 200
    assert stack.storage.read(stack.bucket, "a/b.csv") == DATA


def test_an_empty_put_creates_an_empty_object(stack: Stack, bucket: Bucket) -> None:
    response = requests.put(start(bucket, size=0), data=b"", timeout=10)
    assert (response.status_code, response.json()["size"], response.json()["crc32c"]) == (200, "0", "AAAAAA==")
    assert stack.storage.read(stack.bucket, "a/b.csv") == b""


def test_a_finished_session_answers_with_its_object(bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket)
    created = put(http, url).json()
    assert status_of(http, url).json() == created


def test_a_wrong_declared_crc32c_creates_no_object(stack: Stack, bucket: Bucket) -> None:
    blob = bucket.blob("a/b.csv")
    blob.crc32c = "AAAAAA=="
    url = blob.create_resumable_upload_session(size=TOTAL)
    response = requests.put(url, data=DATA, timeout=10)
    assert response.status_code == 400
    assert "CRC32C" in response.json()["error"]["message"]
    assert stack.storage.objects(stack.bucket) == {}


def test_a_correct_declared_crc32c_is_accepted(bucket: Bucket) -> None:
    blob = bucket.blob("a/b.csv")
    checksum = google_crc32c.Checksum(DATA)
    blob.crc32c = base64.b64encode(checksum.digest()).decode()
    assert requests.put(blob.create_resumable_upload_session(size=TOTAL), data=DATA, timeout=10).status_code == 200


def test_the_generation_precondition_is_checked_at_the_start(stack: Stack, bucket: Bucket) -> None:
    stack.storage.put(stack.bucket, "a/b.csv", b"existing")
    with pytest.raises(PreconditionFailed):
        start(bucket, if_generation_match=0)


def test_the_generation_precondition_is_checked_again_at_the_end(stack: Stack, bucket: Bucket) -> None:
    url = start(bucket, if_generation_match=0)
    stack.storage.put(stack.bucket, "a/b.csv", b"another client's")
    assert requests.put(url, data=DATA, timeout=10).status_code == 412
    assert stack.storage.read(stack.bucket, "a/b.csv") == b"another client's"


def test_an_upload_may_replace_the_current_generation(stack: Stack, bucket: Bucket) -> None:
    before = stack.storage.put(stack.bucket, "a/b.csv", b"existing")
    url = start(bucket, if_generation_match=before.generation)
    assert requests.put(url, data=DATA, timeout=10).status_code == 200
    assert stack.storage.objects(stack.bucket)["a/b.csv"].generation > before.generation


def test_a_cancelled_session_accepts_no_more_bytes(bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket)
    assert http.delete(url, timeout=10).status_code == 499
    assert put(http, url).status_code == 499


def test_an_unknown_session_is_answered_404(stack: Stack, http: requests.Session) -> None:
    url = f"{stack.storage.url}/upload/storage/v1/b/{stack.bucket}/o?uploadType=resumable&upload_id=nobody"
    assert put(http, url).status_code == 404
    assert status_of(http, url).status_code == 404


@pytest.mark.parametrize("status", [404, 410])
def test_a_lost_session_stays_lost(stack: Stack, bucket: Bucket, http: requests.Session, status: int) -> None:
    url = start(bucket)
    stack.faults.add("upload.put", Kind.LOSE_SESSION, status=status)
    assert put(http, url).status_code == status
    assert status_of(http, url).status_code == status
    assert stack.storage.objects(stack.bucket) == {}


def test_a_chunked_body_is_answered_411(bucket: Bucket) -> None:
    assert requests.put(start(bucket), data=iter([b"a", b"b"]), timeout=10).status_code == 411


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 1025, "a\nb"])
def test_names_that_cloud_storage_does_not_allow_are_refused(stack: Stack, name: str) -> None:
    url = f"{stack.storage.url}/upload/storage/v1/b/{stack.bucket}/o?uploadType=resumable"
    assert requests.post(url, json={"name": name}, timeout=10).status_code == 400


def test_a_missing_bucket_is_answered_404(stack: Stack) -> None:
    url = f"{stack.storage.url}/upload/storage/v1/b/nowhere/o?uploadType=resumable"
    assert requests.post(url, json={"name": "a"}, timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("after", "keep", "kept"),
    [(QUANTUM + 5, None, QUANTUM), (QUANTUM + 5, 0, 0), (None, 2 * QUANTUM + 1, 2 * QUANTUM), (5, None, 0)],
)
def test_after_a_reset_the_session_has_some_bytes_or_none_and_the_rest_completes_it(
    stack: Stack, bucket: Bucket, http: requests.Session, after: int | None, keep: int | None, kept: int
) -> None:
    url = start(bucket)
    stack.faults.add("upload.put", Kind.RESET, after_bytes=after, keep_bytes=keep)
    with pytest.raises(requests.ConnectionError):
        put(http, url)
    response = status_of(http, url)
    assert response.status_code == 308
    assert response.headers.get("Range") == (f"bytes=0-{kept - 1}" if kept else None)
    assert put(http, url, kept).status_code == 200
    assert stack.storage.read(stack.bucket, "a/b.csv") == DATA
    assert stack.faults.fired == {"upload.put reset": 1}


def test_a_status_query_completes_an_upload_whose_bytes_all_arrived_before_a_reset(
    stack: Stack, bucket: Bucket, http: requests.Session
) -> None:
    url = start(bucket)
    stack.faults.add("upload.put", Kind.RESET, keep_bytes=TOTAL)
    with pytest.raises(requests.ConnectionError):
        put(http, url)
    assert stack.storage.objects(stack.bucket) == {}
    assert status_of(http, url).status_code == 200
    assert stack.storage.read(stack.bucket, "a/b.csv") == DATA


def test_after_a_lost_answer_the_object_exists(stack: Stack, bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket)
    stack.faults.add("upload.put", Kind.LOSE_ANSWER)
    with pytest.raises(requests.ConnectionError):
        put(http, url)
    assert stack.storage.read(stack.bucket, "a/b.csv") == DATA
    assert status_of(http, url).status_code == 200


def test_the_answer_reports_that_fewer_bytes_were_kept_than_sent(
    stack: Stack, bucket: Bucket, http: requests.Session
) -> None:
    url = start(bucket)
    stack.faults.add("upload.put", Kind.KEEP, keep_bytes=QUANTUM + 1)
    response = put(http, url)
    assert (response.status_code, response.headers["Range"]) == (308, f"bytes=0-{QUANTUM - 1}")


def test_an_error_in_the_middle_of_a_put_keeps_the_received_bytes(
    stack: Stack, bucket: Bucket, http: requests.Session
) -> None:
    url = start(bucket)
    stack.faults.add("upload.put", Kind.STATUS, status=503, after_bytes=QUANTUM, headers={"Retry-After": "1"})
    response = put(http, url)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json()["error"]["code"] == 503
    assert status_of(http, url).headers["Range"] == f"bytes=0-{QUANTUM - 1}"


def test_a_later_request_takes_over_from_one_that_hangs(stack: Stack, bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket)
    hold = stack.faults.add("upload.put", Kind.HOLD, after_bytes=QUANTUM)
    hanging = threading.Thread(target=_ignoring_errors(lambda: requests.put(url, data=DATA, timeout=10)))
    hanging.start()
    hold.wait_until_reached()
    kept = int(status_of(http, url).headers.get("Range", "bytes=0--1").split("-", 1)[1]) + 1
    assert put(http, url, kept).status_code == 200
    hold.release()
    hanging.join(10)
    assert stack.storage.read(stack.bucket, "a/b.csv") == DATA


def test_a_request_that_another_took_over_from_adds_no_bytes(
    stack: Stack, bucket: Bucket, http: requests.Session
) -> None:
    url = start(bucket)
    hold = stack.faults.add("upload.put", Kind.HOLD, after_bytes=QUANTUM)
    hanging = threading.Thread(target=_ignoring_errors(lambda: requests.put(url, data=DATA, timeout=10)))
    hanging.start()
    hold.wait_until_reached()
    assert (status_of(http, url).status_code, status_of(http, url).headers.get("Range")) == (308, None)
    hold.release()
    hanging.join(10)
    assert (status_of(http, url).status_code, status_of(http, url).headers.get("Range")) == (308, None)
    assert put(http, url).status_code == 200


def test_another_client_may_write_the_object_just_before_the_end(
    stack: Stack, bucket: Bucket, http: requests.Session
) -> None:
    url = start(bucket, if_generation_match=0)
    stack.faults.add("upload.finish", Kind.OVERWRITE, body=b"theirs")
    assert put(http, url).status_code == 412
    assert stack.storage.read(stack.bucket, "a/b.csv") == b"theirs"


def test_two_uploads_can_wait_before_their_end_and_finish_one_after_the_other(stack: Stack, bucket: Bucket) -> None:
    changes: list[Change] = []
    stack.storage.on_change(changes.append)
    hold = stack.faults.add("upload.finish", Kind.HOLD)
    url, other = start(bucket, if_generation_match=0), start(bucket, if_generation_match=0)
    statuses: list[int] = []
    first = threading.Thread(target=lambda: statuses.append(requests.put(url, data=DATA, timeout=10).status_code))
    first.start()
    hold.wait_until_reached()
    statuses.append(requests.put(other, data=DATA, timeout=10).status_code)
    hold.release()
    first.join(10)
    assert statuses == [200, 412]
    assert [change.name for change in changes] == ["a/b.csv"]


def _ignoring_errors(act: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with contextlib.suppress(requests.RequestException):
            act()

    return run
