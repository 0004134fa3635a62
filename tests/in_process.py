"""A pytest plugin for `make mutants`: the function runs in the tests' process, and its retries do not wait.

    pytest -p tests.in_process tests/contract

A mutant exists in one process only, so tests that call the function over HTTP would not reach it. With this plugin they
call `main.export_analytics` directly; tests that need a separate process (its memory, exit or address) are skipped.
"""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, Self
from unittest.mock import patch

import flask
import pytest
from requests.structures import CaseInsensitiveDict

import local.function
import main
from analytics_export import app, logs
from analytics_export.retries import Clock

_called: ContextVar["FunctionInProcess"] = ContextVar("called")


class FunctionInProcess(local.function.FunctionProcess):
    """A warm instance of the function; stands in for `FunctionProcess`, without a process."""

    def __init__(self, env: Mapping[str, str], **_: Any) -> None:
        self._env = dict(env)
        self._written = tempfile.NamedTemporaryFile("w", prefix="function-")  # noqa: SIM115 - lives as long as the tests
        self._app_lock = threading.Lock()
        server = flask.Flask("function")
        server.before_request(self._answer)  # for every path and method
        self._client = server.test_client

    def _answer(self) -> flask.typing.ResponseReturnValue:
        called = _called.set(self)
        try:
            return main.export_analytics(flask.request)
        finally:
            _called.reset(called)

    @cache  # noqa: B019 - lives as long as the tests
    def app(self) -> app.App:
        with self._app_lock, patch.dict(os.environ, self._env):
            return app.App.from_env()

    def write(self, text: str) -> None:
        self._written.write(text)
        self._written.flush()

    def _send(
        self,
        method: str,
        path: str,
        data: bytes | None,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        timeout: float,
    ) -> tuple[int, Mapping[str, str], str]:
        del timeout
        answer = self._client().open(f"/{path}", method=method, data=data, query_string=query, headers=headers)
        return answer.status_code, CaseInsensitiveDict(answer.headers.items()), answer.text

    @property
    def output_path(self) -> Path:
        return Path(self._written.name)

    def output(self) -> str:
        return self.output_path.read_text()

    is_running = True

    def start(self) -> Self:
        return self

    def stop(self) -> None:
        """It ends with the tests."""

    kill = stop

    def _needs_a_process(self, *_: object, **__: object) -> NoReturn:
        pytest.skip("needs the function in a process of its own")

    pid = url = property(_needs_a_process)
    terminate = peak_rss_bytes = _needs_a_process


class _Waits(threading.local):
    """How long each thread would have slept."""

    slept_s = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self.slept_s


def _clock() -> Clock:
    waits = _Waits()
    return Clock(monotonic=waits.monotonic, sleep=waits.sleep)


class _Output:
    """Standard output as `Log` sees it: a call's lines go to the function that was called."""

    def write(self, text: str) -> None:
        called = _called.get(None)
        (called or sys.stdout).write(text)

    def flush(self) -> None:
        sys.stdout.flush()


# Patched at import, because pytest imports the conftests before it calls any hook.
patch.object(local.function, "FunctionProcess", FunctionInProcess).start()
patch.object(main, "_app", lambda: _called.get().app()).start()
patch.object(app, "Clock", _clock).start()
patch.object(logs, "sys", SimpleNamespace(stdout=_Output())).start()
