"""Runs `terraform` offline, with stub providers, leaving nothing in the working tree."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from stub_provider import StubProviders

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "terraform"
EXAMPLES = sorted(path.parent for path in MODULE.glob("examples/*/main.tf"))

OLDEST = (1, 11)  # write-only arguments


@cache
def _environment() -> dict[str, str]:
    """Start the stub providers once a process; skip where there is no usable terraform."""
    binary = shutil.which("terraform")
    if binary is None:
        pytest.skip("no `terraform` on the PATH: its checks are left out")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("TF_", "GOOGLE_"))},
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": os.devnull,
        "TF_IN_AUTOMATION": "1",
    }
    version = subprocess.run([binary, "version"], env=environment, capture_output=True, text=True, check=True).stdout
    found = re.search(r"v(\d+)\.(\d+)", version)
    if found is None or tuple(map(int, found.groups())) < OLDEST:
        pytest.skip(f"terraform {'.'.join(map(str, OLDEST))} or later is needed, got {version.splitlines()[0]}")
    providers = StubProviders(Path(__file__).parent / "schemas")
    atexit.register(providers.close)
    return {**environment, "TF_REATTACH_PROVIDERS": providers.reattach_providers}


@cache
def _data_directory(folder: Path) -> str:
    """An initialised TF_DATA_DIR for the folder, so that no .terraform appears in it."""
    directory = tempfile.mkdtemp(prefix="terraform-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    _checked(_run(folder, directory, "init", "-backend=false", "-input=false", "-no-color"))
    return directory


def _run(folder: Path, data_directory: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["terraform", f"-chdir={folder}", *arguments],
        env={**_environment(), "TF_DATA_DIR": data_directory},
        capture_output=True,
        text=True,
        check=False,
    )


def _checked(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def terraform(*arguments: str, folder: Path = MODULE) -> str:
    """Return what terraform prints; an assertion fails with all of it when terraform does."""
    _environment()
    return _checked(_run(folder, _data_directory(folder), *arguments))


@cache
def deployment(run: str) -> list[dict[str, Any]]:
    """The resources that the module makes in a run of terraform/tests/deployment.tftest.hcl.

    Each as `terraform show -json` has it: `type`, `name`, `index`, `values`.
    """
    printed = terraform("test", "-json", "-verbose", "-filter=tests/deployment.tftest.hcl")
    for line in map(json.loads, printed.splitlines()):
        if line["type"] == "test_state" and line["@testrun"] == run:
            resources: list[dict[str, Any]] = line["test_state"]["values"]["root_module"]["resources"]
            return resources
    raise ValueError(f"no run {run!r} in deployment.tftest.hcl")


def values(run: str, kind: str) -> dict[str, dict[str, Any]]:
    """The values of a run's resources of that type, by NAME or NAME/INDEX."""
    return {
        f"{resource['name']}/{resource['index']}" if "index" in resource else resource["name"]: resource["values"]
        for resource in deployment(run)
        if resource["type"] == kind
    }
