"""The stack and the function, one of each per test process; every test finds them as if they had just started."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from local.stack import BUCKET, Stack
from tests.support.destination import Bucket
from tests.support.functions import Functions, ScannedFunction, StartFunction
from tests.support.secret_scan import requests_with_the_key
from tests.support.world import World, let_late_requests_end

COSTLY = (
    "tests/browser/",
    "tests/terraform/test_googlesql.py",
    "tests/terraform/test_sql.py",
    "tests/terraform/test_watching.py",
)
"""Their fixtures take seconds (a browser, the analyzed views, a full bucket), so one test process runs each group."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the slow tests first, so that the others fill the gaps; skip `ours_only` tests on another Cloud Storage."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        if group := next((each for each in COSTLY if item.nodeid.startswith(each)), None):
            item.add_marker(pytest.mark.xdist_group(group))
    elsewhere = os.environ.get("STORAGE_EMULATOR_HOST")
    if elsewhere:
        reason = f"the bucket is at {elsewhere} (STORAGE_EMULATOR_HOST); this test looks into the local stand-in"
        for item in items:
            if item.get_closest_marker("ours_only"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shared_stack(worker_id: str) -> Iterator[Stack]:
    """The stack of this test process, with a bucket of its own: all test processes share an external Cloud Storage."""
    with Stack(rows=20, shards=3, bucket=f"{BUCKET}-{worker_id}") as stack:
        yield stack


@pytest.fixture(scope="session")
def functions(shared_stack: Stack) -> Iterator[Functions]:
    """The function processes of this test process."""
    with Functions(shared_stack) as functions:
        yield functions


@pytest.fixture
def stack(shared_stack: Stack, functions: Functions) -> Iterator[Stack]:
    """The stack, as after its start. After every test: no log line contains a secret, and no link was sent the key."""
    shared_stack.reset()
    yield shared_stack
    let_late_requests_end(shared_stack)
    for service in (shared_stack.storage, shared_stack.exports):
        mistakes = service.mistakes[:]
        service.mistakes.clear()  # they must not fail the next test
        assert mistakes == []
    assert requests_with_the_key(shared_stack) == []
    functions.scan()


@pytest.fixture
def bucket(stack: Stack) -> Bucket:
    """The destination."""
    return Bucket(stack.client(), stack.bucket)


@pytest.fixture
def function(stack: Stack, functions: Functions) -> ScannedFunction:
    """The function with the stack's settings. It is warm: other tests may have called it, so it may know the key."""
    del stack  # reset before the function is called
    return functions.shared({})


@pytest.fixture
def function_with(stack: Stack, functions: Functions) -> StartFunction:
    """Call it with the settings to change; returns a warm function, like `function`."""
    del stack  # reset before the function is called

    def shared(api_version: str = "v2", **env: str) -> ScannedFunction:
        return functions.shared(env, api_version=api_version)

    return shared


@pytest.fixture
def start_function(stack: Stack, functions: Functions) -> Iterator[StartFunction]:
    """Call it with the settings to change; returns a function that has not been called yet."""
    del stack  # reset before the function is called
    with ExitStack() as exits:

        def start(api_version: str = "v2", **env: str) -> ScannedFunction:
            return exits.enter_context(functions.fresh(env, api_version=api_version))

        yield start


@pytest.fixture
def world(stack: Stack, functions: Functions) -> Iterator[World]:
    """The stack, a function, and a watcher that fails the test if it saw a partial object or a wrong manifest."""
    with World(stack, functions) as world:
        yield world
    assert world.violations == []
