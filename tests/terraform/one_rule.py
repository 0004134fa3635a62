"""One table for two rules: what the plan lets through, the function takes.

A value that passes the plan and that the function refuses would be answered 500 `misconfigured` on every call.
`.venv/bin/python tests/terraform/one_rule.py` writes the plan's side, terraform/tests/one_rule.tftest.hcl.
"""

import json
import sys
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parents[2] / "terraform/tests/one_rule.tftest.hcl"
HEAD = """\
# Made from the table in tests/terraform/one_rule.py in the repository, which holds the function's own rules to the same cases.
mock_provider "google" {}
mock_provider "archive" {}
mock_provider "time" {}

variables {
  project_id   = "my-project"
  region       = "europe-west3"
  analytics_id = "my-analytics-id"
}
"""


class Case(NamedTuple):
    """A value of a setting of the function, and whether both take it."""

    setting: str
    value: str
    is_taken: bool

    @property
    def variable(self) -> str:
        """The module's variable that carries it."""
        return {"ANALYTICS_ID": "analytics_id", "BUCKET": "bucket", "OBJECT_PREFIX": "bucket"}.get(
            self.setting, "function"
        )


def _cases(setting: str, *, taken: list[str], refused: list[str]) -> list[Case]:
    return [Case(setting, value, is_taken=True) for value in taken] + [
        Case(setting, value, is_taken=False) for value in refused
    ]


CASES = [
    *_cases(
        "OBJECT_PREFIX",
        taken=["", "usercentrics/", "a/b=c/~d/", "..a/", ".../", ".hidden/", "x" * 499 + "/"],
        refused=["../", "./a/", "a/../b/", "a/./", "a/..", "/", "/a/", "a//b/", "a", "a\n/", "x" * 500 + "/"],
    ),
    *_cases(
        "ANALYTICS_ID", taken=["acme", "a.b_c~d-1", "x" * 256], refused=["", ".", "..", "a/b", "a b", "a?b", "x" * 257]
    ),
    *_cases("BUCKET", taken=["my-exports", "a.b_c"], refused=["Exports", "gs://exports", "-exports", "ab"]),
    *_cases("EXPORT_API_VERSION", taken=["v1", "v2"], refused=["v3", "2", "V2"]),
    *_cases("PARALLEL_TRANSFERS", taken=["1", "9", "10", "59", "64"], refused=["0", "65", "100", "-1", "8.0", "eight"]),
    *_cases(
        "STALL_SECONDS",
        taken=["0.001", "0.5", "1", "60", "60.5", "999", "1000", "2999.999", "3599.999", "3600"],
        refused=["0", "0.000", "3601", "9999", "-1", "60s", "1e3"],
    ),
    *_cases(
        "EXPORT_SERVICE_URL",
        taken=["https://example.com", "http://127.0.0.1:8080/api", "HTTPS://example.com/a/b", "https://[::1]:443/"],
        refused=["example.com", "ftp://example.com", "https://user@example.com", "https://example.com?a=b", "https://"],
    ),
    *_cases(
        "DOWNLOAD_ORIGINS",
        taken=["https://storage.googleapis.com", "https://a.example,http://b.example:8080", "https://a.example/"],
        refused=["storage.googleapis.com", "https://a.example/path", "https://a.example,", "https://u@a.example"],
    ),
]


def _variables(cases: Iterable[Case]) -> str:
    """The module's variables with the values, in HCL."""
    values = {case.setting: json.dumps(case.value) for case in cases}
    lines = []
    if analytics_id := values.pop("ANALYTICS_ID", None):
        lines.append(f"analytics_id = {analytics_id}")
    attributes = {"name": values.pop("BUCKET", None), "object_prefix": values.pop("OBJECT_PREFIX", None)}
    if bucket := ", ".join(f"{name} = {value}" for name, value in attributes.items() if value):
        lines.append(f"bucket = {{ {bucket} }}")
    if settings := ", ".join(f"{name} = {value}" for name, value in values.items()):
        lines.append(f"function = {{ settings = {{ {settings} }} }}")
    return "\n\n".join(f"    {line}" for line in lines)  # apart, or `terraform fmt` would align them


def _run(name: str, cases: Iterable[Case], *, fails: str | None = None) -> str:
    expected = f"  expect_failures = [var.{fails}]\n" if fails else ""
    return f'run "{name}" {{\n  command = plan\n  variables {{\n{_variables(cases)}\n  }}\n{expected}}}\n'


def _taken() -> list[str]:
    """Values of different settings share their runs."""
    taken = [
        [case for case in CASES if case.is_taken and case.setting == setting]
        for setting in dict.fromkeys(case.setting for case in CASES)
    ]
    together = [[case for case in cases if case] for cases in zip_longest(*taken)]
    return [_run(f"taken_{number}", cases) for number, cases in enumerate(together)]


def _refused() -> list[str]:
    """A run for each value."""
    refused = [case for case in CASES if not case.is_taken]
    return [
        _run(f"refused_{number}_{case.setting.lower()}", [case], fails=case.variable)
        for number, case in enumerate(refused)
    ]


def text() -> str:
    """The text of the file."""
    return "\n".join([HEAD, *_taken(), *_refused()])


if __name__ == "__main__":
    FILE.write_text(text())
    sys.stdout.write(f"{len(CASES)} cases\n")
