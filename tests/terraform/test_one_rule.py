"""The function accepts and refuses the values of the table; `terraform test` tests the plan with the same table."""

import contextlib

import pytest

from analytics_export.config import Settings
from analytics_export.errors import Misconfigured
from tests.terraform.one_rule import CASES, FILE, Case, text
from tests.terraform.test_deployment import environment


def test_the_tests_of_the_plan_are_generated_from_the_table() -> None:
    """Otherwise: .venv/bin/python tests/terraform/one_rule.py."""
    assert FILE.read_text() == text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.setting}={case.value[:20]!r}")
def test_the_function_accepts_and_refuses_the_same_values_as_the_plan(case: Case) -> None:
    settings = {**environment("defaults"), case.setting: case.value}
    with contextlib.nullcontext() if case.is_accepted else pytest.raises(Misconfigured, match=case.setting):
        Settings.from_env(settings)
