"""The function in a process of its own, run by functions-framework, as in the cloud."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from local.processes import memory_of_one, tree

REPOSITORY = Path(__file__).resolve().parent.parent
START_S = 30.0


@dataclass(frozen=True)
class Answer:
    """The function's answer."""

    status: int
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    text: str
    seconds: float

    def json(self) -> dict[str, object]:
        """The JSON object in the body. Raises ValueError for any other body."""
        value = json.loads(self.text)
        if not isinstance(value, dict):
            raise ValueError(f"expected a JSON object, got {self.text!r}")  # noqa: TRY004 - a wrong body
        return value


class FunctionProcess:
    """`functions-framework --target export_analytics --source main.py`; `with` starts and stops it.

    Its environment has only PATH, HOME and `env`. It runs in a process session of its own; a leash (a shell that
    waits on a pipe from this process) kills the whole session if this process dies, however it dies.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        source: Path = REPOSITORY / "main.py",
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        self._env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | dict(env)
        self._source = source
        self._host = host
        self._reservation = None if port else reserve_port()
        self.port = self._reservation.getsockname()[1] if self._reservation else port
        self._output = tempfile.NamedTemporaryFile(prefix="function-")  # noqa: SIM115 - closed in stop
        self._last_output = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._leash: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The first process of the tree; its session has the same number."""
        if self._process is None:
            raise RuntimeError("the function has not been started")
        return self._process.pid

    @property
    def output_path(self) -> Path:
        """The file with its output; `stop` deletes it."""
        return Path(self._output.name)

    @property
    def is_running(self) -> bool:
        """Whether its first process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it, also after `kill` or `terminate`. Return once it accepts connections.

        Raises RuntimeError with its output if it does not start.
        """
        self._release_leash()
        command = [
            str(Path(sys.executable).parent / "functions-framework"),
            "--target=export_analytics",
            f"--source={self._source}",
            f"--host={self._host}",
            f"--port={self.port}",
        ]
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            env=self._env,
            cwd=self._source.parent,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._leash = subprocess.Popen(  # noqa: S603 - our own command
            ["/bin/sh", "-c", 'read _; kill -KILL "-$0"', str(self.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_S
        while not self._is_listening():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the function did not start; its output:\n{self._last_output}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Kill it and every process that it started."""
        self.kill()
        self._release_leash()
        if self._reservation:
            self._reservation.close()
        if not self._output.closed:
            self._last_output = self.output()
            self._output.close()

    def _release_leash(self) -> None:
        """Let the leash kill what is left of the session; wait for its end."""
        if self._leash and self._leash.stdin:
            self._leash.stdin.close()
            self._leash.wait()
        self._leash = None

    def kill(self) -> None:
        """Send SIGKILL to the whole session."""
        self._signal(signal.SIGKILL)
        if self._process:
            self._process.wait()

    def terminate(self, timeout: float = 60.0) -> int:
        """Send SIGTERM to the first process, as Cloud Run does. Return its exit code."""
        if self._process is None:
            raise RuntimeError("the function has not been started")
        self._process.terminate()
        return self._process.wait(timeout)

    def post(
        self,
        body: object = None,
        *,
        raw: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
        path: str = "",
        timeout: float = 110.0,
    ) -> Answer:
        """Call it with `body` as JSON, with the bytes `raw`, or without a body."""
        data = raw if raw is not None or body is None else json.dumps(body).encode()
        started = time.monotonic()
        status, answered, text = self._send(method, path, data, query, headers, timeout)
        return Answer(status, answered, text, time.monotonic() - started)

    def _send(
        self,
        method: str,
        path: str,
        data: bytes | None,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        timeout: float,
    ) -> tuple[int, Mapping[str, str], str]:
        """Send a request. Return the answer's status, headers and text."""
        url = f"{self.url}/{path}"
        response = requests.request(
            method, url, data=data, params=query, headers=headers, timeout=timeout, allow_redirects=False
        )
        return response.status_code, response.headers, response.text

    def get(
        self, path: str = "", *, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Call it by GET."""
        return self.post(method="GET", path=path, query=query, headers=headers)

    def output(self) -> str:
        """Everything that it has written to stdout and stderr."""
        if self._output.closed:
            return self._last_output
        return Path(self._output.name).read_text(errors="replace")

    def logs(self) -> list[dict[str, object]]:
        """The lines of its output that are JSON objects, parsed."""
        return [line for line in map(_parsed, self.output().splitlines()) if line is not None]

    def peak_rss_bytes(self) -> int:
        """The peak resident memory of its largest process (gunicorn's worker, which does all the work)."""
        return max(map(memory_of_one, tree(self.pid)))

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _signal(self, number: int) -> None:
        if self._process and (self._process.poll() is None):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()


def reserve_port() -> socket.socket:
    """Return a UDP socket of 127.0.0.1; as long as it is open, only its owner's function listens on its port by TCP.

    A port that is merely free may be taken before the function binds it, or while it is killed. By another function:
    two cannot reserve one number. By the kernel for another socket: it hands out numbers from 32768 on.
    """
    while True:
        reservation = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        port = secrets.choice(range(20_000, 32_000))  # random also where tests fix the seed of `random`
        try:
            reservation.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
        else:
            return reservation


def _parsed(line: str) -> dict[str, object] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
