"""terraform/README.md says what the code says."""

import re

from tests.terraform.readme_tables import MODULE, README, blocks, renewed


def test_the_tables_are_those_of_the_code() -> None:
    """Otherwise: .venv/bin/python tests/terraform/readme_tables.py."""
    text = README.read_text()
    assert text.count("<!-- inputs -->") == text.count("<!-- outputs -->") == 1
    assert renewed(text) == text


def test_variables_and_outputs_stand_in_alphabetical_order() -> None:
    for file, kind in (("variables.tf", "variable"), ("outputs.tf", "output")):
        names = list(blocks(file, kind))
        assert names == sorted(names)


def test_every_api_that_is_switched_on_is_named() -> None:
    apis = re.findall(r'"(\w+)\.googleapis\.com"', (MODULE / "apis.tf").read_text())
    assert apis == sorted(apis)
    switched_on = {
        api for path in MODULE.glob("*.tf") for api in re.findall(r'"(\w+)\.googleapis\.com"', path.read_text())
    }
    assert {api for api in switched_on if f"`{api}`" not in README.read_text()} == set()


def test_every_role_that_the_module_grants_is_named() -> None:
    granted = {role for path in MODULE.glob("*.tf") for role in re.findall(r'"(roles/[\w.]+)"', path.read_text())}
    assert {role for role in granted if f"`{role}`" not in README.read_text()} == set()
