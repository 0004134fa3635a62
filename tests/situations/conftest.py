"""The world, started once for a whole session of tests."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from local.function import FunctionProcess
from local.stack import Stack
from tests.situations.world import FAST, SECRETS_OF_A_RUN, World


@pytest.fixture(scope="session")
def _shared() -> Iterator[World]:
    with ExitStack() as exits:
        stack = exits.enter_context(Stack())
        started: list[FunctionProcess] = []

        def start(**env: str) -> FunctionProcess:
            function = FunctionProcess(stack.function_env() | FAST | env)
            started.append(function)
            exits.callback(function.stop)
            return function.start()

        world = World(stack, start(), start)
        stack.storage.on_change(world.watch)
        yield world
        stack.faults.clear()
        world.pool.shutdown()
        for function in started:
            output = function.output()
            assert not [secret for secret in SECRETS_OF_A_RUN if secret in output]
            assert "Traceback" not in output


@pytest.fixture
def world(_shared: World) -> Iterator[World]:
    """A fresh world; fails the test if the watcher ever saw something half or a manifest that lied."""
    _shared.reset()
    yield _shared
    _shared.stack.faults.clear()
    assert _shared.violations == []


@pytest.fixture
def ours_only(_shared: World) -> None:
    """For situations that need a fault switch or the watcher in the bucket itself."""
    if not _shared.stack.is_destination_ours:
        pytest.skip("the bucket is another Cloud Storage (STORAGE_EMULATOR_HOST); it has no fault switches")
