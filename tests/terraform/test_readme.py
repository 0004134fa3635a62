"""terraform/README.md agrees with the code."""

import os
import re
from pathlib import Path

import pytest

from tests.docs.documents import Block, blocks
from tests.terraform import readme_tables
from tests.terraform.readme_tables import MODULE, README, renewed
from tests.terraform.terraform_cli import terraform


def test_the_tables_are_generated_from_the_code() -> None:
    """Otherwise: .venv/bin/python tests/terraform/readme_tables.py."""
    text = README.read_text()
    assert text.count("<!-- inputs -->") == text.count("<!-- outputs -->") == 1
    assert renewed(text) == text


def test_variables_and_outputs_are_in_alphabetical_order() -> None:
    for file, kind in (("variables.tf", "variable"), ("outputs.tf", "output")):
        names = list(readme_tables.blocks(file, kind))
        assert names == sorted(names)


def test_the_readme_names_every_api_that_the_module_enables() -> None:
    apis = re.findall(r'"(\w+)\.googleapis\.com"', (MODULE / "apis.tf").read_text())
    assert apis == sorted(apis)
    enabled = {api for path in MODULE.glob("*.tf") for api in re.findall(r'"(\w+)\.googleapis\.com"', path.read_text())}
    assert {api for api in enabled if f"`{api}`" not in README.read_text()} == set()


def test_the_readme_names_every_role_that_the_module_grants() -> None:
    granted = {role for path in MODULE.glob("*.tf") for role in re.findall(r'"(roles/[\w.]+)"', path.read_text())}
    assert {role for role in granted if f"`{role}`" not in README.read_text()} == set()


@pytest.mark.parametrize("block", blocks("hcl"), ids=str)
def test_terraform_accepts_every_configuration_in_the_documents(block: Block, tmp_path: Path) -> None:
    """A module is tested with its source filled in; the value of a variable inside a module."""
    source = os.path.relpath(MODULE, tmp_path)  # by an absolute path it would be copied without its neighbours
    required = 'project_id = "my-project"\n  region = "europe-west3"\n  analytics_id = "my-analytics-id"'
    configuration = re.sub(r'source( +)= ".*"', f'source\\1= "{source}"', block.text)
    if not block.text.startswith("module "):
        configuration = f'module "one" {{\n  source = "{source}"\n  {required}\n{block.text}}}\n'
    (tmp_path / "main.tf").write_text(configuration)
    assert "is valid" in terraform("validate", "-no-color", folder=tmp_path)
    variables = (MODULE / "variables.tf").read_text()  # Terraform ignores attributes that an object does not have
    named = re.findall(r"^ +(\w+) += ", block.text, re.MULTILINE)
    assert [
        name for name in named if name not in {"source", "for_each"} and not re.search(rf"\b{name}\b", variables)
    ] == []
