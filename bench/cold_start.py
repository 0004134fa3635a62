"""The time from the start of the process to its first answer under functions-framework, and where it is spent."""

import subprocess
import sys
import time
from dataclasses import dataclass
from statistics import median

from bench.project import ProjectPeer, request
from bench.servers import REPOSITORY, Servers
from bench.work import days
from local.function import FunctionProcess
from local.processes import memory_bytes, tree

COLLABORATORS = "import main; from analytics_export import app"
TOP = 8


@dataclass(frozen=True)
class ColdStart:
    """Medians."""

    import_main_s: float
    import_all_s: float
    """Including what the first request imports."""
    first_answer_s: float
    """From the start to the answer of a refused request (400), with the settings read and the clients open."""
    first_export_s: float
    """From the start to the answer of an export of one small file."""
    at_rest_bytes: int
    """The worker's memory before its first request."""
    after_export_bytes: int
    """The worker's memory after its first export."""
    entries: list[tuple[str, float]]
    """Packages and their own import time in seconds; the slowest first."""


def measure(project: ProjectPeer, servers: Servers, *, tries: int) -> ColdStart:
    """Start the function `tries` times for each figure."""
    refused = [_first_answer(project, {}) for _ in range(tries)]
    exported = []
    for _ in range(tries):
        servers.bucket.command(forget=True)
        exported.append(_first_answer(project, request(days(1))))
    return ColdStart(
        import_main_s=median(_python_s("import main") for _ in range(tries)),
        import_all_s=median(_python_s(COLLABORATORS) for _ in range(tries)),
        first_answer_s=median(seconds for seconds, _, _ in refused),
        first_export_s=median(seconds for seconds, _, _ in exported),
        at_rest_bytes=exported[-1][1],
        after_export_bytes=exported[-1][2],
        entries=_entries(),
    )


def _first_answer(project: ProjectPeer, body: dict[str, str]) -> tuple[float, int, int]:
    """Return the seconds, and the worker's memory before and after the request."""
    began = time.monotonic()
    with FunctionProcess(project.settings()) as function:
        listening = memory_bytes(max(tree(function.pid)), "VmRSS")
        function.post(body)
        return time.monotonic() - began, listening, memory_bytes(max(tree(function.pid)), "VmRSS")


def _python_s(code: str) -> float:
    """Return the seconds that the code takes in a new interpreter, without the interpreter's own start."""
    timed = f"import time; began = time.perf_counter(); {code}; print(time.perf_counter() - began)"
    return float(subprocess.check_output([sys.executable, "-c", timed], cwd=REPOSITORY))


def _entries() -> list[tuple[str, float]]:
    """Add up `-X importtime` by package."""
    output = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", COLLABORATORS],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    by_package: dict[str, float] = {}
    for line in output.splitlines()[1:]:
        own, _, module = (part.strip() for part in line.removeprefix("import time:").split("|"))
        parts = module.split(".")
        package = ".".join(
            parts[:3] if parts[:2] == ["google", "cloud"] else parts[:2] if parts[0] == "google" else parts[:1]
        )
        by_package[package] = by_package.get(package, 0.0) + int(own) / 1e6
    return sorted(by_package.items(), key=lambda entry: -entry[1])[:TOP]
