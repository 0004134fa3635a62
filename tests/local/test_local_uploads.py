"""Resumable uploads are as strict as the real ones."""

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


def ask(http: requests.Session, url: str, total: object = TOTAL) -> requests.Response:
    return http.put(url, headers={"Content-Range": f"bytes */{total}", "Content-Length": "0"}, timeout=10)


def test_one_put_without_content_range_makes_the_whole_object(stack: Stack, bucket: Bucket) -> None:
    response = requests.put(start(bucket), data=DATA, timeout=10)
    assert response.status_code == 200
    assert response.json()["size"] == str(TOTAL)
    info = stack.storage.objects(stack.bucket)["a/b.csv"]
    assert info.read_bytes() == DATA
    assert info.content_type == "text/csv"
    assert info.path == stack.root / stack.bucket / "a/b.csv"


def test_an_object_appears_only_when_its_last_byte_is_there(
    stack: Stack, bucket: Bucket, http: requests.Session
) -> None:
    url = start(bucket)
    assert put(http, url, 0, 2 * QUANTUM - 1).status_code == 308
    assert stack.storage.objects(stack.bucket) == {}
    assert put(http, url, 2 * QUANTUM).status_code == 200
    assert stack.storage.read(stack.bucket, "a/b.csv") == DATA


def test_a_session_keeps_multiples_of_256_kib_and_says_so(bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket)
    assert "Range" not in ask(http, url).headers
    response = put(http, url, 0, QUANTUM + 99)
    assert (response.status_code, response.headers["Range"]) == (308, f"bytes=0-{QUANTUM - 1}")
    response = ask(http, url)
    assert (response.status_code, response.headers["Range"]) == (308, f"bytes=0-{QUANTUM - 1}")


@pytest.mark.parametrize("first", [0, QUANTUM - 1, QUANTUM + 1])
def test_bytes_that_do_not_begin_at_the_next_one_are_refused(
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
def test_a_content_range_that_does_not_fit_is_refused(bucket: Bucket, content_range: str) -> None:
    headers = {"Content-Range": content_range}
    assert requests.put(start(bucket), data=b"0123456789", headers=headers, timeout=10).status_code == 400


def test_a_total_of_unknown_size_can_be_named_at_the_end(stack: Stack, bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket, size=None)
    assert put(http, url, 0, QUANTUM - 1, "*").status_code == 308
    assert ask(http, url, "*").headers["Range"] == f"bytes=0-{QUANTUM - 1}"
    assert put(http, url, QUANTUM).status_code == 200
    assert stack.storage.read(stack.bucket, "a/b.csv") == DATA


def test_an_empty_object_is_made_by_an_empty_put(stack: Stack, bucket: Bucket) -> None:
    response = requests.put(start(bucket, size=0), data=b"", timeout=10)
    assert (response.status_code, response.json()["size"], response.json()["crc32c"]) == (200, "0", "AAAAAA==")
    assert stack.storage.read(stack.bucket, "a/b.csv") == b""


def test_a_finished_session_answers_with_its_object(bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket)
    made = put(http, url).json()
    assert ask(http, url).json() == made


def test_a_wrong_declared_crc32c_leaves_no_object(stack: Stack, bucket: Bucket) -> None:
    blob = bucket.blob("a/b.csv")
    blob.crc32c = "AAAAAA=="
    url = blob.create_resumable_upload_session(size=TOTAL)
    response = requests.put(url, data=DATA, timeout=10)
    assert response.status_code == 400
    assert "CRC32C" in response.json()["error"]["message"]
    assert stack.storage.objects(stack.bucket) == {}


def test_the_right_declared_crc32c_is_taken(bucket: Bucket) -> None:
    blob = bucket.blob("a/b.csv")
    checksum = google_crc32c.Checksum(DATA)
    blob.crc32c = base64.b64encode(checksum.digest()).decode()
    assert requests.put(blob.create_resumable_upload_session(size=TOTAL), data=DATA, timeout=10).status_code == 200


def test_the_generation_precondition_is_checked_at_the_start(stack: Stack, bucket: Bucket) -> None:
    stack.storage.put(stack.bucket, "a/b.csv", b"there")
    with pytest.raises(PreconditionFailed):
        start(bucket, if_generation_match=0)


def test_the_generation_precondition_is_checked_again_at_the_end(stack: Stack, bucket: Bucket) -> None:
    url = start(bucket, if_generation_match=0)
    stack.storage.put(stack.bucket, "a/b.csv", b"somebody else's")
    assert requests.put(url, data=DATA, timeout=10).status_code == 412
    assert stack.storage.read(stack.bucket, "a/b.csv") == b"somebody else's"


def test_a_generation_that_is_there_may_be_replaced(stack: Stack, bucket: Bucket) -> None:
    before = stack.storage.put(stack.bucket, "a/b.csv", b"there")
    url = start(bucket, if_generation_match=before.generation)
    assert requests.put(url, data=DATA, timeout=10).status_code == 200
    assert stack.storage.objects(stack.bucket)["a/b.csv"].generation > before.generation


def test_a_cancelled_session_takes_nothing_more(bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket)
    assert http.delete(url, timeout=10).status_code == 499
    assert put(http, url).status_code == 499


def test_an_unknown_session_is_404(stack: Stack, http: requests.Session) -> None:
    url = f"{stack.storage.url}/upload/storage/v1/b/{stack.bucket}/o?uploadType=resumable&upload_id=nobody"
    assert put(http, url).status_code == 404
    assert ask(http, url).status_code == 404


@pytest.mark.parametrize("status", [404, 410])
def test_a_lost_session_stays_lost(stack: Stack, bucket: Bucket, http: requests.Session, status: int) -> None:
    url = start(bucket)
    stack.faults.add("upload.put", Kind.LOSE_SESSION, status=status)
    assert put(http, url).status_code == status
    assert ask(http, url).status_code == status
    assert stack.storage.objects(stack.bucket) == {}


def test_a_chunked_body_is_refused_cleanly(bucket: Bucket) -> None:
    assert requests.put(start(bucket), data=iter([b"a", b"b"]), timeout=10).status_code == 411


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 1025, "a\nb"])
def test_names_that_cloud_storage_does_not_take_are_refused(stack: Stack, name: str) -> None:
    url = f"{stack.storage.url}/upload/storage/v1/b/{stack.bucket}/o?uploadType=resumable"
    assert requests.post(url, json={"name": name}, timeout=10).status_code == 400


def test_a_missing_bucket_is_404(stack: Stack) -> None:
    url = f"{stack.storage.url}/upload/storage/v1/b/nowhere/o?uploadType=resumable"
    assert requests.post(url, json={"name": "a"}, timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("after", "keep", "kept"),
    [(QUANTUM + 5, None, QUANTUM), (QUANTUM + 5, 0, 0), (None, 2 * QUANTUM + 1, 2 * QUANTUM), (5, None, 0)],
)
def test_a_reset_keeps_some_all_or_nothing_and_the_rest_completes_it(
    stack: Stack, bucket: Bucket, http: requests.Session, after: int | None, keep: int | None, kept: int
) -> None:
    url = start(bucket)
    stack.faults.add("upload.put", Kind.RESET, after_bytes=after, keep_bytes=keep)
    with pytest.raises(requests.ConnectionError):
        put(http, url)
    response = ask(http, url)
    assert response.status_code == 308
    assert response.headers.get("Range") == (f"bytes=0-{kept - 1}" if kept else None)
    assert put(http, url, kept).status_code == 200
    assert stack.storage.read(stack.bucket, "a/b.csv") == DATA
    assert stack.faults.fired == {"upload.put reset": 1}


def test_everything_kept_but_no_answer_is_finished_by_the_status_query(
    stack: Stack, bucket: Bucket, http: requests.Session
) -> None:
    url = start(bucket)
    stack.faults.add("upload.put", Kind.RESET, keep_bytes=TOTAL)
    with pytest.raises(requests.ConnectionError):
        put(http, url)
    assert stack.storage.objects(stack.bucket) == {}
    assert ask(http, url).status_code == 200
    assert stack.storage.read(stack.bucket, "a/b.csv") == DATA


def test_a_lost_answer_leaves_the_object_there(stack: Stack, bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket)
    stack.faults.add("upload.put", Kind.LOSE_ANSWER)
    with pytest.raises(requests.ConnectionError):
        put(http, url)
    assert stack.storage.read(stack.bucket, "a/b.csv") == DATA
    assert ask(http, url).status_code == 200


def test_keeping_less_than_was_sent_is_said_in_the_answer(stack: Stack, bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket)
    stack.faults.add("upload.put", Kind.KEEP, keep_bytes=QUANTUM + 1)
    response = put(http, url)
    assert (response.status_code, response.headers["Range"]) == (308, f"bytes=0-{QUANTUM - 1}")


def test_an_answer_in_the_middle_of_a_put_keeps_what_arrived(
    stack: Stack, bucket: Bucket, http: requests.Session
) -> None:
    url = start(bucket)
    stack.faults.add("upload.put", Kind.STATUS, status=503, after_bytes=QUANTUM, headers={"Retry-After": "1"})
    response = put(http, url)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json()["error"]["code"] == 503
    assert ask(http, url).headers["Range"] == f"bytes=0-{QUANTUM - 1}"


def test_a_later_request_takes_over_from_one_that_hangs(stack: Stack, bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket)
    fault = stack.faults.add("upload.put", Kind.HOLD, after_bytes=QUANTUM)
    hanging = threading.Thread(target=_ignoring_errors(lambda: requests.put(url, data=DATA, timeout=10)))
    hanging.start()
    fault.wait_until_reached()
    kept = int(ask(http, url).headers.get("Range", "bytes=0--1").split("-", 1)[1]) + 1
    assert put(http, url, kept).status_code == 200
    fault.release()
    hanging.join(10)
    assert stack.storage.read(stack.bucket, "a/b.csv") == DATA


def test_one_that_was_taken_over_from_adds_nothing_more(stack: Stack, bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket)
    fault = stack.faults.add("upload.put", Kind.HOLD, after_bytes=QUANTUM)
    hanging = threading.Thread(target=_ignoring_errors(lambda: requests.put(url, data=DATA, timeout=10)))
    hanging.start()
    fault.wait_until_reached()
    assert (ask(http, url).status_code, ask(http, url).headers.get("Range")) == (308, None)
    fault.release()
    hanging.join(10)
    assert (ask(http, url).status_code, ask(http, url).headers.get("Range")) == (308, None)
    assert put(http, url).status_code == 200


def test_somebody_else_writes_just_before_the_end(stack: Stack, bucket: Bucket, http: requests.Session) -> None:
    url = start(bucket, if_generation_match=0)
    stack.faults.add("upload.finish", Kind.OVERWRITE, body=b"theirs")
    assert put(http, url).status_code == 412
    assert stack.storage.read(stack.bucket, "a/b.csv") == b"theirs"


def test_two_uploads_can_be_held_at_the_door_and_let_in_one_by_one(stack: Stack, bucket: Bucket) -> None:
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
