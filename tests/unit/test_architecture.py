"""Arrows between the modules point one way, and the pure ones import nothing that does I/O."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "analytics_export"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.stem != "__init__"
}
PURE = [
    "errors", "periods", "export_request", "report", "config", "bucket.header_rules", "bucket.csv_header",
    "bucket.layout", "bucket.manifest", "plan", "source.stored_headers", "source.links",
    "fields", "coverage", "check", "calendar_grid", "answers", "openapi",
]  # fmt: skip
DOES_IO = {
    "asyncio", "flask", "functions_framework", "glob", "google", "grpc", "http", "os", "pathlib", "requests", "select",
    "selectors", "shutil", "socket", "ssl", "subprocess", "tempfile", "urllib3",
}  # fmt: skip
ORDER = [
    "errors", "periods", "logs", "config", "fields", "export_request", "report", "answers", "retries", "time_limit", "http",
    "credentials", "tasks", "source.api_key", "source.links", "source.export_service", "source.stored_headers",
    "source.download", "bucket.header_rules", "bucket.csv_header", "bucket.layout", "bucket.manifest", "bucket.upload",
    "bucket.cloud_storage", "bucket.bucket", "bucket.manifests", "bucket.guard", "transfer", "transfer_pool", "services", "plan", "survey", "planning", "fan_out",
    "period_sync", "run", "coverage", "inventory", "app", "check", "trial", "page", "calendar_grid", "coverage_page",
    "check_page", "openapi",
]  # fmt: skip
"""From the ground up: a module imports only what stands before it."""


def imports(path: Path) -> set[str]:
    """Every module that is imported anywhere in a file, in full."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(path: Path) -> set[str]:
    """The modules of the package that a file imports."""
    return {name.removeprefix("analytics_export.") for name in imports(path)} & set(MODULES)


def test_every_module_has_its_place_in_the_order() -> None:
    assert sorted(ORDER) == sorted(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_those_below_it(module: str) -> None:
    assert ours(MODULES[module]) <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_imports_no_io(module: str) -> None:
    assert {name.partition(".")[0] for name in imports(MODULES[module])} & DOES_IO == set()
    assert ours(MODULES[module]) <= set(PURE)


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_the_doorway_or_the_stand_ins(module: str) -> None:
    assert {name.partition(".")[0] for name in imports(MODULES[module])} & {"main", "local", "tests"} == set()


def test_the_doorway_does_not_know_the_stand_ins() -> None:
    assert {name.partition(".")[0] for name in imports(REPOSITORY / "main.py")} & {"local", "tests"} == set()


def test_the_map_names_every_module() -> None:
    text = (REPOSITORY / "analytics_export" / "__init__.py").read_text()
    assert [module for module in MODULES if f"- `{module}`: " not in text] == []
