"""The source and the bucket, in processes of their own."""

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.processes import cpu_s

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHON = REPOSITORY / ".venv-bench" / "bin" / "python"


class ServerProcess:
    """One stand-in; `url` is its address."""

    def __init__(self, module: str, certificate: Path) -> None:
        self._process = subprocess.Popen(
            [PYTHON, "-m", module, certificate],
            cwd=REPOSITORY,
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.url: str = self._answer()["url"]

    def command(self, **fields: object) -> dict[str, Any]:
        """Call `on_command` of the server, and return its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(fields) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def stop(self) -> None:
        """Close its input, at which it ends, and wait for its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        value: dict[str, Any] = json.loads(self._process.stdout.readline())
        return value


class Servers:
    """The stand-ins of one run of the bench, started at once; the end of `with` stops them."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([PYTHON, "-m", "bench.certificate", folder], cwd=REPOSITORY, check=True)
        self.authority = folder / "authority.pem"
        self.source = ServerProcess("bench.source", folder / "server.pem")
        self.bucket = ServerProcess("bench.bucket_server", folder / "server.pem")

    def cpu_s(self) -> float:
        """Return the processor time of both servers so far, in seconds."""
        return cpu_s(self.source.pid) + cpu_s(self.bucket.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.source.stop()
        self.bucket.stop()
