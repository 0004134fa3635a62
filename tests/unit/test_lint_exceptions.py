"""Every exception from a lint rule has a reason, and every deselected test exists."""

import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("analytics_export", "local", "bench", "tests", "terraform")
SOURCES = [REPOSITORY / "main.py", *(path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py"))]
EXCEPTION = re.compile(r"# (?:noqa|type: ignore)\b(?P<rest>.*)")
WITH_REASON = re.compile(r"(?:: [A-Z]+\d+(?:, [A-Z]+\d+)* - |\[[a-z-]+(?:, [a-z-]+)*\] # )\w.*")


def without_reason(source: str) -> list[str]:
    """The exceptions of a module that do not say why."""
    return [match[0] for match in EXCEPTION.finditer(source) if not WITH_REASON.fullmatch(match["rest"])]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_exception_from_a_rule_says_why(path: Path) -> None:
    if path != Path(__file__):
        assert without_reason(path.read_text()) == []


@pytest.mark.parametrize("line", ["x  # noqa", "x  # noqa: S101", "x  # type: ignore[arg-type]", "x  # type: ignore"])
def test_an_exception_without_a_reason_is_detected(line: str) -> None:
    assert without_reason(f"{line}\ny = 1\n") == [line.removeprefix("x  ")]


def test_every_test_that_is_deselected_for_mutants_exists() -> None:
    config = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["mutmut"]
    deselected = [
        arg.removeprefix("--deselect=") for arg in config["pytest_add_cli_args"] if arg.startswith("--deselect=")
    ]
    assert deselected
    for test in deselected:
        path, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}" in (REPOSITORY / path).read_text(), test
