"""The stack as a whole: it starts fast, leaves nothing behind, and can use another Cloud Storage as destination."""

import threading
import time

import pytest
import requests

from local.faults import Kind
from local.stack import Stack


def test_the_stack_starts_within_two_seconds_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    before = {thread.name for thread in threading.enumerate()}
    started = time.monotonic()
    with Stack() as stack:
        stack.storage.put(stack.bucket, "a", b"")
        url, root = stack.storage.url, stack.root
    assert time.monotonic() - started < 2
    assert not root.exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=1)
    assert {thread.name for thread in threading.enumerate() if "serve http" in thread.name} <= before


def test_the_destination_may_be_another_cloud_storage(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", stack.storage.url)
    with Stack(bucket="elsewhere") as other:
        assert not other.is_destination_ours
        env = other.function_env()
        assert env["STORAGE_EMULATOR_HOST"] == stack.storage.url
        assert env["DOWNLOAD_ORIGINS"] == other.storage.url
        other.client().bucket("elsewhere").blob("x").upload_from_string("1")
        assert list(stack.storage.objects("elsewhere")) == ["x"]
    with Stack(bucket="elsewhere"):
        assert list(stack.storage.objects("elsewhere")) == ["x"]


def test_the_settings_have_the_url_of_the_export_services_version(stack: Stack) -> None:
    assert stack.function_env()["EXPORT_SERVICE_URL"] == stack.exports.url
    assert stack.function_env(api_version="v1")["EXPORT_SERVICE_URL"] == f"{stack.exports.url}/api"


def test_stopping_the_stack_releases_every_waiting_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    started = time.monotonic()
    with Stack() as stack:
        hold = stack.faults.add("object.list", Kind.HOLD)
        waiting = threading.Thread(target=_list_ignoring_errors, args=(stack,))
        waiting.start()
        hold.wait_until_reached()
    waiting.join(5)
    assert time.monotonic() - started < 5


def _list_ignoring_errors(stack: Stack) -> None:
    try:
        requests.get(f"{stack.storage.url}/storage/v1/b/{stack.bucket}/o", timeout=10)
    except requests.RequestException:
        return
