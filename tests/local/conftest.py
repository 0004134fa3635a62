from collections.abc import Iterator

import pytest
import requests
from google.cloud.storage import Bucket

from local.stack import Stack


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """The project's own stand-ins: these are their tests, so no other Cloud Storage is used."""
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    with Stack(rows=20, shards=2) as started:
        yield started
        assert started.storage.mistakes == []
        assert started.exports.mistakes == []


@pytest.fixture
def bucket(stack: Stack) -> Bucket:
    return stack.client().bucket(stack.bucket)


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers.clear()
        yield session
