"""The documents say what the code says, and every name in them exists."""

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from analytics_export import config, openapi
from analytics_export.answers import MethodNotAllowed
from analytics_export.errors import ExportError
from tests.docs.documents import (
    DOCUMENTS,
    ROOT,
    RUNBOOKS,
    anchors,
    blocks,
    code,
    indented_code,
    inline_code,
    links,
    rows,
    text_of,
)

COVERED_BY = {
    "": "test_pictures.py",
    "console": "../local/test_demo.py",
    "hcl": "../terraform/test_readme.py",
    "json": "test_requests.py",
    "sh": "test_commands.py",
    "sql": "../terraform/test_queries.py",
}
"""Language -> the test that runs, or compares, each of its blocks."""


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_block_is_covered_by_a_test() -> None:
    assert {block.language for block in blocks()} == set(COVERED_BY)
    for language, test in COVERED_BY.items():
        assert f'blocks("{language}")' in (Path(__file__).parent / test).read_text(), test


def test_only_runbooks_indent_commands() -> None:
    """Runbooks become e-mails; everywhere else a fenced block names its language, so that a test covers it."""
    assert {
        relative(path): indented_code(path) for path in DOCUMENTS if path not in RUNBOOKS and indented_code(path)
    } == {}


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_link_has_a_target(document: Path) -> None:
    for link in links(document):
        address, _, anchor = link.partition("#")
        if address.startswith("https://"):
            continue
        target = (document.parent / address).resolve() if address else document
        if target.is_dir():
            target /= "README.md"
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_links_every_page() -> None:
    mapped = {
        (ROOT / row[0].split("](")[1].rstrip(")")).resolve() for row in rows(ROOT / "README.md", "## Documentation")
    }
    assert mapped == {path for path in DOCUMENTS if path not in RUNBOOKS} - {ROOT / "README.md"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [re.search(r"^(?:\S+=\S+ )*make ([a-z -]+)", piece.removeprefix("$ ")) for piece in code(document)]
    assert {target for match in named if match for target in match[1].split()} <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_path_exists(document: Path) -> None:
    folders = "analytics_export|bench|docs|local|terraform|tests|[.]github|[.]ci"
    for piece in inline_code(document):
        if re.fullmatch(rf"(?:{folders})/[\w./-]*", piece):
            assert (ROOT / piece).exists(), piece


def test_every_terraform_output_exists() -> None:
    exist = set(re.findall(r'^output "(\w+)"', (ROOT / "terraform/outputs.tf").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        text = text_of(document)
        named = set(re.findall(r"terraform output (?:-raw )?(\w+)", text)) | set(re.findall(r"`(\w+_commands?)`", text))
        assert named <= exist, relative(document)


def test_the_placeholder_for_the_repositorys_address_is_in_one_place() -> None:
    others = [*(ROOT / "terraform").rglob("*.tf"), *(ROOT / ".github").rglob("*.yml"), ROOT / "pyproject.toml"]
    counts = {relative(path): path.read_text().count("OWNER/REPOSITORY") for path in [*DOCUMENTS, *others]}
    assert {path: count for path, count in counts.items() if count} == {"README.md": 1}


def test_the_version_is_the_same_everywhere() -> None:
    newest = re.search(r"^## (\S+) \(\d{4}-\d{2}-\d{2}\)$", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert project()["version"] == openapi.VERSION == newest[1]


def test_the_supported_python_versions_are_the_tested_ones() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    matrix = re.search(r"^ +python: \[(.*)\]$", workflow, re.MULTILINE)
    assert matrix is not None
    tested = re.findall(r'"([\d.]+)"', matrix[1])
    assert [name.rpartition(" ")[2] for name in project()["classifiers"]] == tested
    assert project()["requires-python"] == f">={tested[0]}"
    deployed = re.search(r'"python3(\d+)"', (ROOT / "terraform/function.tf").read_text())
    assert deployed is not None
    assert f"3.{deployed[1]}" in tested


def project() -> dict[str, Any]:
    made: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return made


def test_the_table_where_to_change_what_names_existing_code() -> None:
    questions = rows(ROOT / "docs/architecture.md", "## Where to change what")
    assert len(questions) == 6
    for question, answer in questions:
        for part in answer.split("; "):
            symbol, *paths = re.findall(r"`([^`]+)`", part)
            assert paths, question
            assert [path for path in paths if symbol not in (ROOT / path).read_text()] == [], f"{question}: {symbol}"


def test_the_documented_settings_are_those_of_the_code() -> None:
    read = r'read\(\s*"([A-Z_]+)",\s*(None|"[^"]*"|SERVICE_URL)'
    defaults = dict(re.findall(read, (ROOT / "analytics_export/config.py").read_text()))
    words = {"None": "required", '""': "empty", "SERVICE_URL": config.SERVICE_URL}
    expected = {name: words.get(default, default.strip('"')) for name, default in defaults.items()}
    table = {
        name.strip("`"): default.strip("`").replace("unset", "empty")
        for name, default, _ in rows(ROOT / "docs/settings.md", "# Settings")
    }
    assert len(expected) == 14
    assert table == expected


def test_the_documented_statuses_are_those_of_the_code() -> None:
    def subclasses(error: type[ExportError]) -> set[type[ExportError]]:
        return {error}.union(*(subclasses(child) for child in error.__subclasses__()))

    errors = {error for error in subclasses(ExportError) if hasattr(error, "type")}
    assert MethodNotAllowed in errors
    table = {
        (int(status), slug.strip("`"))
        for status, slugs, *_ in rows(ROOT / "docs/requests.md", "## Statuses")
        for slug in slugs.split(", ")
    }
    assert table == {(error.status, error.type) for error in errors}


def test_the_documented_fields_are_those_of_the_code() -> None:
    table = [name for row in rows(ROOT / "docs/requests.md", "## Fields") for name in re.findall(r"`(\w+)`", row[0])]
    assert table == list(openapi.EXPORT_FIELDS)
    coverage = text_of(ROOT / "docs/coverage.md")
    assert [name for name in openapi.COVERAGE_FIELDS if name not in coverage] == []


def test_the_documented_log_events_are_those_of_the_code() -> None:
    table = {
        event: set(severities.split(", "))
        for events, severities, _ in rows(ROOT / "docs/operate.md", "## The log")
        for event in re.findall(r"`(\w+)`", events)
    }
    assert table == logged()


def logged() -> dict[str, set[str]]:
    """Every event that the code logs, with its severities; a `write` is a warning or an error."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in [ROOT / "main.py", *(ROOT / "analytics_export").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(ast.Attribute(attr="info" | "warning" | "error" as severity), [ast.Constant(event), *_]):
                    found[str(event)].add(severity.upper())
                case ast.Call(ast.Name("write"), [ast.Constant(event), *_]):
                    found[str(event)] |= {"WARNING", "ERROR"}
                case ast.Call(ast.Attribute(attr="_write"), [ast.Constant(severity), ast.Constant(event), *_]):
                    found[str(event)].add(str(severity))
    return found
