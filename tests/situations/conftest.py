"""The world, opened once for a whole session of tests."""

from collections.abc import Iterator

import pytest

from tests.situations.world import World, open_world


@pytest.fixture(scope="session")
def _shared() -> Iterator[World]:
    with open_world() as world:
        yield world


@pytest.fixture
def world(_shared: World) -> Iterator[World]:
    """A fresh world; fails the test if the watcher ever saw something half or a manifest that lied."""
    _shared.reset()
    yield _shared
    _shared.stack.faults.clear()
    assert _shared.violations == []
