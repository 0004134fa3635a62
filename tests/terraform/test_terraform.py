"""Terraform's own checks, offline."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.terraform.terraform_cli import EXAMPLES, MODULE, ROOT, outcome_of, terraform


def test_every_file_is_formatted() -> None:
    terraform("fmt", "-check", "-recursive", "-diff")


@pytest.mark.parametrize("folder", [MODULE, *EXAMPLES], ids=lambda folder: str(folder.relative_to(ROOT)))
def test_the_configuration_is_valid(folder: Path) -> None:
    terraform("validate", folder=folder)


VARIABLES_ALONE = ["one_rule.tftest.hcl", "validation.tftest.hcl"]
"""They need no resources: without them a plan takes milliseconds."""


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted({path.name for path in MODULE.glob("tests/*.tftest.hcl")} - {*VARIABLES_ALONE}))
def test_terraform_test_passes(file: str) -> None:
    printed, passes = outcome_of(file)
    assert passes, printed


@pytest.mark.parametrize("file", VARIABLES_ALONE)
def test_variables_accept_and_refuse_what_they_should(file: str, tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    for name in ("variables.tf", "forms.tf", "versions.tf", f"tests/{file}"):
        shutil.copy(MODULE / name, tmp_path / name)
    runs = re.split(r'(?m)^run "', (tmp_path / "tests" / file).read_text())[1:]
    others = [run for run in runs if not run.startswith("accepted_")]
    assert others
    assert [run for run in others if "expect_failures = [var." not in run] == []
    terraform("test", f"-filter=tests/{file}", folder=tmp_path)


def test_the_api_key_is_not_in_the_state() -> None:
    """key.tftest.hcl applies with the key; the test searches everything that terraform knows afterwards."""
    printed, _ = outcome_of("key.tftest.hcl")
    lines = [json.loads(line) for line in printed.splitlines()]
    assert any(line["type"] == "test_state" for line in lines)
    assert "key-that-must-not-be-kept" in (MODULE / "tests/key.tftest.hcl").read_text()
    assert "key-that-must-not-be-kept" not in printed


def test_the_api_key_is_used_in_only_one_place() -> None:
    """Other code reads only its version, not the key."""
    uses = [
        line.strip()
        for path in MODULE.glob("*.tf")
        for line in path.read_text().splitlines()
        if "var.api_key" in line.replace("var.api_key_version", "") and path.name != "variables.tf"
    ]
    assert [" ".join(use.split()) for use in uses] == ["secret_data_wo = var.api_key"]
