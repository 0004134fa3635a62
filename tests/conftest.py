"""The outside world and the function, one of each for a test process; every test finds them as if just started."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from local.stack import BUCKET, Stack
from tests.bucket import Bucket
from tests.watched import WatchedFunction

StartFunction = Callable[..., WatchedFunction]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    elsewhere = os.environ.get("STORAGE_EMULATOR_HOST")
    if elsewhere:
        reason = f"the bucket is at {elsewhere} (STORAGE_EMULATOR_HOST); this test looks into the local stand-in"
        for item in items:
            if item.get_closest_marker("ours_only"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shared_stack(worker_id: str) -> Iterator[Stack]:
    """The stack of this test process; a bucket of its own, as another Cloud Storage is shared by all of them."""
    with Stack(rows=20, shards=3, bucket=f"{BUCKET}-{worker_id}") as stack:
        yield stack


@pytest.fixture(scope="session")
def start_shared_function(shared_stack: Stack) -> Iterator[StartFunction]:
    """Give back a running function with these settings changed, the same one for the same settings."""
    running: dict[frozenset[tuple[str, str]], WatchedFunction] = {}
    with ExitStack() as exits:

        def start(api_version: str = "v2", **env: str) -> WatchedFunction:
            key = frozenset({"EXPORT_API_VERSION": api_version, **env}.items())
            if key not in running:
                function = WatchedFunction(shared_stack.function_env(api_version=api_version) | env)
                running[key] = exits.enter_context(function)
            return running[key]

        yield start


@pytest.fixture
def stack(shared_stack: Stack) -> Iterator[Stack]:
    """The outside world as it is after the start."""
    shared_stack.reset()
    yield shared_stack
    shared_stack.faults.clear()
    assert shared_stack.storage.mistakes == []
    assert shared_stack.exports.mistakes == []


@pytest.fixture
def bucket(stack: Stack) -> Bucket:
    """The destination."""
    return Bucket(stack.client(), stack.bucket)


@pytest.fixture
def function(stack: Stack, start_shared_function: StartFunction) -> Iterator[WatchedFunction]:
    """The function with the stack's settings. It is warm: other tests may have called it, so it may know the key."""
    del stack  # as new before the function is called
    function = start_shared_function()
    function.new_output()
    yield function
    function.new_output()


@pytest.fixture
def function_with(stack: Stack, start_shared_function: StartFunction) -> StartFunction:
    """Call it with the settings to change; gives back a warm function, as `function` is."""
    del stack  # as new before the function is called
    return start_shared_function


@pytest.fixture
def start_function(stack: Stack) -> Iterator[StartFunction]:
    """Call it with the settings to change; gives back a function that nobody has called yet."""
    with ExitStack() as exits:

        def start(api_version: str = "v2", **env: str) -> WatchedFunction:
            return exits.enter_context(WatchedFunction(stack.function_env(api_version=api_version) | env))

        yield start
