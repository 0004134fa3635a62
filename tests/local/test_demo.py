"""`make demo` holds: a newcomer's first look."""

import subprocess
import sys

import pytest

from local.function import REPOSITORY


@pytest.mark.ours_only
def test_the_demo_holds() -> None:
    command = [sys.executable, "-m", "local", "demo"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert (done.returncode, "All of it held" in done.stdout) == (0, True), done.stdout[-2000:] + done.stderr[-2000:]
