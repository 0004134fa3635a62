"""A function in a process of its own leaves no process behind, however it ends."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.function import REPOSITORY, FunctionProcess

SOURCE = """
import json, os
def export_analytics(request):
    print(json.dumps({"severity": "INFO", "message": "called"}), flush=True)
    print("not json", flush=True)
    data = bytearray(30_000_000)
    data[::4096] = b"1" * len(data[::4096])
    return {"body": request.get_data(as_text=True), "query": dict(request.args), "env": dict(os.environ)}, 200
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "main.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def function(source: Path) -> Iterator[FunctionProcess]:
    with FunctionProcess({"BUCKET": "b"}, source=source) as started:
        yield started


def test_the_function_can_be_called_and_its_logs_read(function: FunctionProcess) -> None:
    answer = function.post({"a": 1}, query={"q": "2"})
    assert (answer.status, answer.json()["body"], answer.json()["query"]) == (200, '{"a": 1}', {"q": "2"})
    env = answer.json()["env"]
    assert isinstance(env, dict)
    assert env["BUCKET"] == "b"
    assert "PYTEST_CURRENT_TEST" not in env
    assert function.post(raw=b"\xff{").status == 200
    assert [line["message"] for line in function.logs()] == ["called", "called"]
    assert "not json" in function.output()
    assert function.peak_rss_bytes() > 40_000_000
    assert function.terminate() == 0


def test_killing_the_function_ends_its_workers(function: FunctionProcess) -> None:
    pid = function.pid
    function.kill()
    until = time.monotonic() + 10
    while _session(pid) and time.monotonic() < until:  # the kernel removes an orphan a moment after its end
        time.sleep(0.02)
    assert _session(pid) == []


def test_two_functions_never_get_the_same_port(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while none listens on it: before the start, and after a kill."""
    first = FunctionProcess({}, source=source)
    choices = iter([first.port, *range(31_999, 31_900, -1)])
    monkeypatch.setattr("local.function.secrets.choice", lambda _: next(choices))
    second = FunctionProcess({}, source=source)
    for function in (first, second):
        function.stop()
    assert second.port != first.port


def test_a_function_that_cannot_start_shows_why(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("raise RuntimeError('cannot be imported')")
    with pytest.raises(RuntimeError, match="cannot be imported"):
        FunctionProcess({}, source=tmp_path / "main.py").start()


def test_the_function_ends_with_the_process_that_started_it(source: Path) -> None:
    script = (
        "import os, signal, pathlib; from local.function import FunctionProcess\n"
        f"f = FunctionProcess({{}}, source=pathlib.Path({str(source)!r})).start()\n"
        "print(f.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    pid, deadline = int(done.stdout), time.monotonic() + 5
    while _session(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _session(pid) == []


def _session(pid: int) -> list[str]:
    """The running processes of a session, from /proc."""
    running = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, session = path.read_text().rpartition(") ")[2].split()[:4]
            if session == str(pid) and state != "Z":
                running.append(path.parent.name)
    return running
