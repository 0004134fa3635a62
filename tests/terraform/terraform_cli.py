"""Runs `terraform` offline, with stub providers; it leaves nothing in the working tree."""

import atexit
import fcntl
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

from tests.terraform.stub_provider import StubProviders

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "terraform"
EXAMPLES = sorted(path.parent for path in MODULE.glob("examples/*/main.tf"))

OLDEST = (1, 11)  # write-only arguments


@cache
def _environment() -> dict[str, str]:
    """Start the stub providers once per process; skip the test if there is no usable terraform."""
    binary = shutil.which("terraform")
    if binary is None:
        pytest.skip("no `terraform` on the PATH: its checks are skipped")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("TF_", "GOOGLE_"))},
        "CHECKPOINT_DISABLE": "1",
        "GOGC": "off",  # a plan takes two thirds of the CPU time without garbage collection, which starts at the limit
        "GOMEMLIMIT": "800MiB",
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
    """Return an initialised TF_DATA_DIR for the folder, so that no .terraform appears in it."""
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
    """Return terraform's output. If terraform fails, an assertion fails that shows the output."""
    _environment()
    return _checked(_run(folder, _data_directory(folder), *arguments))


def set_shared_folder(folder: Path) -> None:
    """Set the folder for files that the processes of a test session share."""
    _shared_folders.append(folder)


_shared_folders: list[Path] = []


@cache
def outcome_of(file: str) -> tuple[str, bool]:
    """Return the output of `terraform test` for a file in terraform/tests, JSON lines with the plans; whether it passes.

    It runs once for all processes of a test session.
    """
    _environment()
    cached = _shared_folders[-1] / f"{file}.json"
    with cached.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not cached.exists():
            done = _run(MODULE, _data_directory(MODULE), "test", "-json", "-verbose", f"-filter=tests/{file}")
            partial = cached.with_suffix(".part")
            partial.write_text(json.dumps([done.stdout, done.returncode == 0]))
            partial.rename(cached)
    printed, passes = json.loads(cached.read_text())
    return printed, passes


@cache
def _test_runs(file: str) -> tuple[dict[str, dict[str, Any]], str]:
    """The plan of each run of a file in terraform/tests, and the whole output.

    A run whose own assertions fail has a plan too; only test_terraform.py reports the failure.
    """
    printed, _ = outcome_of(f"{file}.tftest.hcl")
    lines = [json.loads(line) for line in printed.splitlines()]
    return {line["@testrun"]: line["test_plan"] for line in lines if line["type"] == "test_plan"}, printed


def _plan(run: str, file: str) -> dict[str, Any]:
    plans, printed = _test_runs(file)
    assert run in plans, printed
    return plans[run]


def changes(run: str, kind: str, *, file: str = "deployment") -> dict[str, dict[str, Any]]:
    """The changes that a run plans for resources of this type, by NAME or NAME/INDEX: `actions`, `after` and so on."""
    return {
        f"{change['name']}/{change['index']}" if "index" in change else change["name"]: change["change"]
        for change in _plan(run, file)["resource_changes"]
        if change["type"] == kind
    }


def planned(run: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """The type and the values of every resource that a run would create, by address."""
    return {
        change["address"]: (change["type"], change["change"]["after"])
        for change in _plan(run, "deployment")["resource_changes"]
        if change["mode"] == "managed"
    }


def resources(run: str, kind: str, *, file: str = "deployment") -> dict[str, dict[str, Any]]:
    """The values of the resources of this type that a run would create, by NAME or NAME/INDEX."""
    return {name: change["after"] for name, change in changes(run, kind, file=file).items()}


def outputs(run: str, *, file: str = "deployment") -> dict[str, Any]:
    """The outputs of a run; None for those that are known only after the apply."""
    return {name: change.get("after") for name, change in _plan(run, file)["output_changes"].items()}


def applied(kind: str, *arguments: str) -> dict[str, dict[str, Any]]:
    """The resources of this type after a mocked apply (terraform/tests/key.tftest.hcl) with more variables."""
    printed = terraform("test", "-json", "-verbose", "-filter=tests/key.tftest.hcl", *arguments)
    (state,) = [line["test_state"] for line in map(json.loads, printed.splitlines()) if line["type"] == "test_state"]
    return {
        f"{resource['name']}/{resource['index']}" if "index" in resource else resource["name"]: resource["values"]
        for resource in state["root_module"]["resources"]
        if resource["type"] == kind
    }
