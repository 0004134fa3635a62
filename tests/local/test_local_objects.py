"""The JSON API for buckets and objects; through Google's own client where it can send the request."""

import socket
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core.exceptions import Forbidden, NotFound, PreconditionFailed
from google.cloud.storage import Bucket

from local.faults import Kind
from local.stack import Stack
from local.storage.fields import parse
from local.storage.objects import Change

HOSTILE_NAMES = [
    "../../outside.csv",
    "a//b.csv",
    "folder/",
    "/absolute",
    "a/./b",
    "tab\there",
    "nul\x00byte",
    "back\\slash",
    "x" * 300,
    "ü/ñ/漢字.csv",
    "percent%2Fslash",
    "question?mark#hash",
    " ",
]


def list_url(stack: Stack) -> str:
    return f"{stack.storage.url}/storage/v1/b/{stack.bucket}/o"


def test_an_object_can_be_read_whole_and_in_part(bucket: Bucket) -> None:
    blob = bucket.blob("m/a.json")
    blob.upload_from_string(b"0123456789", content_type="application/json")
    assert blob.download_as_bytes() == b"0123456789"
    assert bucket.blob("m/a.json").download_as_bytes(start=2, end=4) == b"234"
    found = bucket.get_blob("m/a.json")
    assert (found.size, found.content_type, len(str(found.generation))) == (10, "application/json", 16)


def test_the_client_can_upload_a_large_object(stack: Stack, bucket: Bucket) -> None:
    data = bytes(range(256)) * 40_000
    bucket.blob("large").upload_from_string(data)
    assert stack.storage.read(stack.bucket, "large") == data


def test_a_media_upload_has_the_objects_name_in_the_query(stack: Stack) -> None:
    url = f"{stack.storage.url}/upload/storage/v1/b/{stack.bucket}/o?uploadType=media&name=x%2Fy"
    assert requests.post(url, data=b"bytes", headers={"Content-Type": "text/csv"}, timeout=10).status_code == 200
    assert stack.storage.objects(stack.bucket)["x/y"].content_type == "text/csv"


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_an_object_of_any_valid_name_is_stored_inside_the_root(stack: Stack, bucket: Bucket, name: str) -> None:
    bucket.blob(name).upload_from_string(name.encode())
    assert [blob.name for blob in bucket.list_blobs()] == [name]
    assert bucket.blob(name).download_as_bytes() == name.encode()
    info = stack.storage.objects(stack.bucket)[name]
    assert info.path.resolve().is_relative_to(stack.root.resolve())
    bucket.delete_blob(name)
    assert stack.storage.objects(stack.bucket) == {}


def test_an_objects_name_may_be_the_folder_of_another_object(stack: Stack) -> None:
    for name in ("a", "a/b", "c/d/e", "c/d"):
        stack.storage.put(stack.bucket, name, name.encode())
    assert {name: info.read_bytes() for name, info in stack.storage.objects(stack.bucket).items()} == {
        "a": b"a",
        "a/b": b"a/b",
        "c/d": b"c/d",
        "c/d/e": b"c/d/e",
    }


def test_a_listing_has_pages_and_is_sorted_by_name(stack: Stack, bucket: Bucket) -> None:
    names = [f"p/{number:03}" for number in range(25)]
    for name in reversed(names):
        stack.storage.put(stack.bucket, name, b"")
    stack.storage.put(stack.bucket, "other", b"")
    stack.storage.page_size = 10
    stack.storage.requests.clear()
    assert [blob.name for blob in bucket.list_blobs(prefix="p/")] == names
    assert stack.storage.requests.count("object.list") == 3


def test_a_listing_whose_fields_omit_the_page_token_ends_after_one_page(stack: Stack, bucket: Bucket) -> None:
    for number in range(5):
        stack.storage.put(stack.bucket, f"{number}", b"")
    stack.storage.page_size = 2
    assert len(list(bucket.list_blobs(fields="items(name)"))) == 2
    assert len(list(bucket.list_blobs(fields="items(name),nextPageToken"))) == 5


def test_a_listing_can_be_limited_by_offsets_and_grouped_by_a_delimiter(stack: Stack, bucket: Bucket) -> None:
    for name in ("a/1", "a/2", "b/1", "c", "d"):
        stack.storage.put(stack.bucket, name, b"")
    assert [blob.name for blob in bucket.list_blobs(start_offset="a/2", end_offset="c")] == ["a/2", "b/1"]
    stack.storage.page_size = 2
    pages = bucket.list_blobs(delimiter="/")
    assert [blob.name for blob in pages] == ["c", "d"]
    assert pages.prefixes == {"a/", "b/"}


def test_a_full_last_page_has_no_token(stack: Stack, http: requests.Session) -> None:
    for name in "ab":
        stack.storage.put(stack.bucket, name, b"")
    assert "nextPageToken" not in http.get(list_url(stack), params={"maxResults": "2"}, timeout=10).json()
    assert "nextPageToken" in http.get(list_url(stack), params={"maxResults": "1"}, timeout=10).json()


def test_fields_are_parsed_as_google_writes_them() -> None:
    assert parse("a,b(c,d/e)") == {"a": {}, "b": {"c": {}, "d": {"e": {}}}}
    for wrong in ("a(b", "a)", "a,,b", "(a)"):
        with pytest.raises(ValueError, match="Invalid field selection"):
            parse(wrong)


def test_deletes_check_the_generation(stack: Stack, bucket: Bucket) -> None:
    info = stack.storage.put(stack.bucket, "a/b", b"1")
    with pytest.raises(PreconditionFailed):
        bucket.blob("a/b").delete(if_generation_match=info.generation - 1)
    bucket.blob("a/b").delete(if_generation_match=info.generation)
    with pytest.raises(NotFound):
        bucket.blob("a/b").delete()
    assert not (stack.root / stack.bucket / "a").exists()


def test_uploads_in_one_request_check_the_generation(stack: Stack, bucket: Bucket) -> None:
    bucket.blob("m").upload_from_string("1", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        bucket.blob("m").upload_from_string("2", if_generation_match=0)
    assert stack.storage.read(stack.bucket, "m") == b"1"


def test_every_new_generation_is_larger(stack: Stack) -> None:
    generations = [stack.storage.put(stack.bucket, "same", b"").generation for _ in range(50)]
    assert generations == sorted(set(generations))


def test_a_missing_object_or_bucket_is_answered_404_in_googles_form(
    stack: Stack, bucket: Bucket, http: requests.Session
) -> None:
    assert bucket.get_blob("nope") is None
    assert not stack.client().bucket("nowhere").exists()
    with pytest.raises(NotFound):
        list(stack.client().bucket("nowhere").list_blobs())
    error = http.get(f"{list_url(stack)}/nope", timeout=10).json()["error"]
    assert error["code"] == 404
    assert error["errors"][0]["reason"] == "notFound"


def test_unsupported_requests_are_refused(stack: Stack, http: requests.Session) -> None:
    assert http.patch(f"{list_url(stack)}/a", json={}, timeout=10).status_code == 501
    assert http.get(list_url(stack).replace("/v1/", "/v2/"), timeout=10).status_code == 404


def test_a_fault_without_a_limit_denies_every_request(stack: Stack, bucket: Bucket) -> None:
    stack.faults.add("object.list", Kind.STATUS, status=403, times=None)
    for _ in range(2):
        with pytest.raises(Forbidden):
            list(bucket.list_blobs())


def test_observers_see_each_change_once_the_complete_object_is_visible(stack: Stack, bucket: Bucket) -> None:
    seen: list[tuple[Change, bytes | None]] = []

    def read(change: Change) -> None:
        info = stack.storage.objects(stack.bucket).get(change.name)
        seen.append((change, info.read_bytes() if info else None))

    stack.storage.on_change(read)
    bucket.blob("x").upload_from_string("1")
    bucket.blob("x").upload_from_string("22")
    bucket.blob("x").delete()
    assert [data for _, data in seen] == [b"1", b"22", None]
    assert seen[0][0].before is None
    assert seen[1][0].before == seen[0][0].after
    assert seen[2][0].after is None


def test_an_object_can_be_written_from_a_path_or_from_blocks(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"from a file")
    assert stack.storage.put(stack.bucket, "f", file).read_bytes() == b"from a file"
    assert stack.storage.put(stack.bucket, "i", iter([b"from ", b"blocks"])).read_bytes() == b"from blocks"


def test_connections_are_reused_and_counted(stack: Stack, http: requests.Session) -> None:
    for _ in range(3):
        http.get(list_url(stack), params={"prefix": "secret-in-a-query"}, timeout=10)
    requests_seen = stack.storage.requests.of("object.list")
    assert [request.is_new_connection for request in requests_seen] == [True, False, False]
    assert all("?" not in request.path for request in requests_seen)


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
    ],
)
def test_an_invalid_head_is_answered_400(stack: Stack, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", stack.storage.server_port), timeout=5) as connection:
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_100_continue_is_sent_only_if_the_handler_reads_the_body(stack: Stack) -> None:
    path = f"/upload/storage/v1/b/{stack.bucket}/o?uploadType={{}}&name=x"
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stack.storage.server_port), timeout=5) as connection:
        connection.sendall(head.format("media").encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    with socket.create_connection(("127.0.0.1", stack.storage.server_port), timeout=5) as connection:
        connection.sendall(head.format("unknown").encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_no_handler_reads_is_discarded(stack: Stack, http: requests.Session) -> None:
    stack.faults.add("object.insert", Kind.STATUS, status=503)
    url = f"{stack.storage.url}/upload/storage/v1/b/{stack.bucket}/o?uploadType=nonsense"
    assert http.post(url, data=b"x" * 3_000_000, timeout=10).status_code == 400
    assert http.get(list_url(stack), timeout=10).status_code == 200
    assert not stack.storage.requests.all()[-1].is_new_connection


ALL = ["storage.objects.list", "storage.objects.get", "storage.objects.create", "storage.objects.delete"]


def test_the_permissions_that_the_caller_has_are_listed(stack: Stack, bucket: Bucket) -> None:
    assert bucket.test_iam_permissions(ALL) == ALL
    stack.storage.denied |= {ALL[0], ALL[3]}
    assert bucket.test_iam_permissions(ALL) == ALL[1:3]
    stack.storage.denied |= set(ALL)
    answer = requests.get(
        f"{stack.storage.url}/storage/v1/b/{stack.bucket}/iam/testPermissions?permissions={ALL[0]}", timeout=10
    )
    assert answer.json() == {"kind": "storage#testIamPermissionsResponse"}
    stack.storage.reset()
    assert bucket.test_iam_permissions(ALL) == ALL


@pytest.mark.parametrize(
    ("query", "bucket_name", "status"),
    [("", None, 400), ("permissions=storage.buckets.get", None, 501), (f"permissions={ALL[0]}", "nowhere", 404)],
    ids=["none requested", "of another kind", "no such bucket"],
)
def test_a_wrong_request_for_permissions_is_refused(
    stack: Stack, query: str, bucket_name: str | None, status: int
) -> None:
    url = f"{stack.storage.url}/storage/v1/b/{bucket_name or stack.bucket}/iam/testPermissions?{query}"
    assert requests.get(url, timeout=10).status_code == status


def test_faults_act_on_a_request_for_permissions(stack: Stack, bucket: Bucket) -> None:
    stack.faults.add("bucket.permissions", Kind.STATUS, status=403)
    with pytest.raises(Forbidden):
        bucket.test_iam_permissions(ALL)


@pytest.mark.parametrize("permission", ALL)
def test_a_request_without_its_permission_is_refused(stack: Stack, bucket: Bucket, permission: str) -> None:
    stack.storage.put(stack.bucket, "a", b"1")
    stack.storage.denied.add(permission)
    calls: dict[str, Any] = {
        ALL[0]: lambda: list(bucket.list_blobs()),
        ALL[1]: lambda: bucket.blob("a").download_as_bytes(),
        ALL[2]: lambda: bucket.blob("b").upload_from_string(b"2"),
        ALL[3]: lambda: bucket.blob("a").delete(),
    }
    with pytest.raises(Forbidden, match=permission):
        calls.pop(permission)()
    for allowed in calls.values():
        allowed()
