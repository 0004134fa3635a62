"""What the plan lets through, the function takes; `terraform test` runs the plan's side of the same table."""

import contextlib

import pytest

from analytics_export.config import Settings
from analytics_export.errors import Misconfigured
from tests.terraform.one_rule import CASES, FILE, Case, text
from tests.terraform.test_deployment import environment


def test_the_plans_side_is_made_from_the_table() -> None:
    """Otherwise: .venv/bin/python tests/terraform/one_rule.py."""
    assert FILE.read_text() == text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.setting}={case.value[:20]!r}")
def test_the_function_takes_what_the_plan_takes_and_refuses_what_it_refuses(case: Case) -> None:
    settings = {**environment("defaults"), case.setting: case.value}
    with contextlib.nullcontext() if case.is_taken else pytest.raises(Misconfigured, match=case.setting):
        Settings.from_env(settings)
