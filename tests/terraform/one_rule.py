"""One table of cases for two rules: the plan and the function accept the same values of a setting.

If the plan accepted a value that the function refuses, every call would be answered 500 `misconfigured`.
`.venv/bin/python tests/terraform/one_rule.py` writes the tests of the plan, terraform/tests/one_rule.tftest.hcl.
"""

import json
import sys
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parents[2] / "terraform/tests/one_rule.tftest.hcl"
HEAD = """\
# Generated from the table in tests/terraform/one_rule.py; the function is tested with the same table.
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
    """A value of a setting of the function, and whether both the plan and the function accept it."""

    setting: str
    value: str
    is_accepted: bool

    @property
    def variable(self) -> str:
        """The module's variable that sets it."""
        return {"ANALYTICS_ID": "analytics_id", "BUCKET": "bucket", "OBJECT_PREFIX": "bucket"}.get(
            self.setting, "function"
        )


def _cases(setting: str, *, accepted: list[str], refused: list[str]) -> list[Case]:
    return [Case(setting, value, is_accepted=True) for value in accepted] + [
        Case(setting, value, is_accepted=False) for value in refused
    ]


CASES = [
    *_cases(
        "OBJECT_PREFIX",
        accepted=["", "usercentrics/", "a/b=c/~d/", "..a/", ".../", ".hidden/", "x" * 499 + "/"],
        refused=["../", "./a/", "a/../b/", "a/./", "a/..", "/", "/a/", "a//b/", "a", "a\n/", "x" * 500 + "/"],
    ),
    *_cases(
        "ANALYTICS_ID",
        accepted=["acme", "a.b_c~d-1", "x" * 256],
        refused=["", ".", "..", "a/b", "a b", "a?b", "x" * 257],
    ),
    *_cases("BUCKET", accepted=["my-exports", "a.b_c"], refused=["Exports", "gs://exports", "-exports", "ab"]),
    *_cases("EXPORT_API_VERSION", accepted=["v1", "v2"], refused=["v3", "2", "V2"]),
    *_cases(
        "PARALLEL_TRANSFERS", accepted=["1", "9", "10", "59", "64"], refused=["0", "65", "100", "-1", "8.0", "eight"]
    ),
    *_cases(
        "STALL_SECONDS",
        accepted=["0.001", "0.5", "1", "60", "60.5", "999", "1000", "2999.999", "3599.999", "3600"],
        refused=["0", "0.000", "3601", "9999", "-1", "60s", "1e3"],
    ),
    *_cases(
        "EXPORT_SERVICE_URL",
        accepted=["https://example.com", "http://127.0.0.1:8080/api", "HTTPS://example.com/a/b", "https://[::1]:443/"],
        refused=["example.com", "ftp://example.com", "https://user@example.com", "https://example.com?a=b", "https://"],
    ),
    *_cases(
        "DOWNLOAD_ORIGINS",
        accepted=["https://storage.googleapis.com", "https://a.example,http://b.example:8080", "https://a.example/"],
        refused=["storage.googleapis.com", "https://a.example/path", "https://a.example,", "https://u@a.example"],
    ),
]


def _variables(cases: Iterable[Case]) -> str:
    """The module's variables with these values, in HCL."""
    values = {case.setting: json.dumps(case.value) for case in cases}
    lines = []
    if analytics_id := values.pop("ANALYTICS_ID", None):
        lines.append(f"analytics_id = {analytics_id}")
    attributes = {"name": values.pop("BUCKET", None), "object_prefix": values.pop("OBJECT_PREFIX", None)}
    if bucket := ", ".join(f"{name} = {value}" for name, value in attributes.items() if value):
        lines.append(f"bucket = {{ {bucket} }}")
    if settings := ", ".join(f"{name} = {value}" for name, value in values.items()):
        lines.append(f"function = {{ settings = {{ {settings} }} }}")
    return "\n\n".join(f"    {line}" for line in lines)  # with blank lines, or `terraform fmt` would align them


def _run(name: str, cases: Iterable[Case], *, fails: str | None = None) -> str:
    expected = f"  expect_failures = [var.{fails}]\n" if fails else ""
    return f'run "{name}" {{\n  command = plan\n  variables {{\n{_variables(cases)}\n  }}\n{expected}}}\n'


def _accepted() -> list[str]:
    """The runs of the accepted values; a run has one value of each setting."""
    accepted = [
        [case for case in CASES if case.is_accepted and case.setting == setting]
        for setting in dict.fromkeys(case.setting for case in CASES)
    ]
    combined = [[case for case in cases if case] for cases in zip_longest(*accepted)]
    return [_run(f"accepted_{number}", cases) for number, cases in enumerate(combined)]


def _refused() -> list[str]:
    """The runs of the refused values, one for each."""
    refused = [case for case in CASES if not case.is_accepted]
    return [
        _run(f"refused_{number}_{case.setting.lower()}", [case], fails=case.variable)
        for number, case in enumerate(refused)
    ]


def text() -> str:
    """The text of the generated file."""
    return "\n".join([HEAD, *_accepted(), *_refused()])


if __name__ == "__main__":
    FILE.write_text(text())
    sys.stdout.write(f"{len(CASES)} cases\n")
