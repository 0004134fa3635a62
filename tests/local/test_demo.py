"""`make demo` passes, and prints what the README shows."""

import re
import subprocess
import sys

import pytest

from local.function import REPOSITORY
from tests.docs.documents import blocks

VARIES = re.compile(r"(?<=127\.0\.0\.1:)\d+|\d+\.\d+(?= s\b)")
"""Ports and seconds."""


@pytest.mark.ours_only
def test_the_demo_passes_and_prints_what_the_documents_show() -> None:
    command = [sys.executable, "-m", "local", "demo"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert (done.returncode, "All checks passed" in done.stdout) == (0, True), done.stdout[-2000:] + done.stderr[-2000:]
    printed = VARIES.sub("N", f"$ make demo\n{done.stdout}")
    assert blocks("console")
    for block in blocks("console"):
        end = 0
        for part in VARIES.sub("N", block.text).split("[...]\n"):
            start = printed.find(f"\n{part}" if end else part, max(0, end - 1))
            assert start >= 0, part
            end = start + len(part)
