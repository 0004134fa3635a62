"""`import main` is cheap and has no side effects: a cold instance loads what it needs with its first request."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

CHILD = """
import _collections_abc as abc, os, sys

reads, sockets = [], []


class Watched(abc.MutableMapping):
    # records which names are read; the standard library may read its own switches
    def __init__(self, environ):
        self.environ = dict(environ)

    def record(self, name):
        frame = sys._getframe(2)
        while frame.f_code.co_filename.startswith(("<frozen", abc.__file__)):
            frame = frame.f_back
        if "/lib/python" not in frame.f_code.co_filename or "site-packages" in frame.f_code.co_filename:
            reads.append(name)

    def __getitem__(self, name):
        self.record(name)
        return self.environ[name]

    def __iter__(self):
        self.record("all of it")
        return iter(self.environ)

    def __len__(self):
        return len(self.environ)

    def __setitem__(self, name, value):
        self.record(name)

    __delitem__ = __getitem__


os.environ = Watched(os.environ)
sys.addaudithook(lambda event, args: sockets.append(event) if event.startswith("socket.") else None)
import main

heavy = {
    "google.api_core", "google.auth", "google.cloud.storage", "google.cloud.tasks_v2", "requests", "urllib3", "grpc",
    "flask",
}
print("reads", reads)
print("sockets", sockets)
print("heavy", sorted(heavy & set(sys.modules)))
"""


def imported(source: Path = REPOSITORY) -> dict[str, str]:
    """What importing `main` in a new interpreter did, by kind."""
    run = subprocess.run(  # noqa: S603 - this interpreter, our own code
        [sys.executable, "-c", CHILD], cwd=source, capture_output=True, text=True, check=True, timeout=30
    )
    return dict(line.split(" ", 1) for line in run.stdout.splitlines())


def test_importing_main_reads_no_environment_opens_no_socket_and_loads_no_client_library() -> None:
    assert imported() == {"reads": "[]", "sockets": "[]", "heavy": "[]"}


@pytest.mark.parametrize(
    ("line", "kind", "seen"),
    [
        ("import os; os.environ.get('BUCKET')", "reads", "BUCKET"),
        ("import os; os.environ['PATH']", "reads", "PATH"),
        ("import os; os.getenv('BUCKET')", "reads", "BUCKET"),
        ("import os; dict(os.environ.items())", "reads", "all of it"),
        ("import socket; socket.socket()", "sockets", "socket.__new__"),
        ("import requests", "heavy", "requests"),
        ("import google.cloud.storage", "heavy", "google.cloud.storage"),
        ("import google.cloud.tasks_v2", "heavy", "google.cloud.tasks_v2"),
    ],
)
def test_a_main_module_that_does_more_at_import_is_detected(tmp_path: Path, line: str, kind: str, seen: str) -> None:
    (tmp_path / "main.py").write_text(f"{line}\n")
    assert seen in imported(source=tmp_path)[kind]


def test_an_export_without_tasks_does_not_load_the_client_of_cloud_tasks() -> None:
    """It costs memory and part of a cold start."""
    child = "import sys, analytics_export.app; print('google.cloud.storage' in sys.modules, 'google.cloud.tasks_v2' in sys.modules)"
    run = subprocess.run(  # noqa: S603 - this interpreter, our own code
        [sys.executable, "-c", child], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=30
    )
    assert run.stdout.split() == ["True", "False"]


def test_importing_main_is_quick() -> None:
    """Under 0.6 s on a warm disk; the best of three, as the machine may be busy."""
    took_s = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import main"], cwd=REPOSITORY, check=True, timeout=30)
        took_s.append(time.perf_counter() - began)
    assert min(took_s) < 0.6


def test_an_export_does_not_load_the_modules_of_pages_and_checks() -> None:
    """So a page costs an export neither time nor memory."""
    code = "import main, sys, analytics_export.app; print(*sorted(sys.modules))"
    run = subprocess.run(  # noqa: S603 - this interpreter, our own code
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=30
    )
    loaded = {name.removeprefix("analytics_export.") for name in run.stdout.split()}
    assert "run" in loaded
    assert (
        loaded & {"page", "coverage_page", "calendar_grid", "check", "check_page", "trial", "openapi", "jinja2"}
        == set()
    )
