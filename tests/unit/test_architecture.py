"""Imports between the modules go one way, and the pure modules import nothing that does I/O."""

import ast
import re
from graphlib import TopologicalSorter
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
"""From the bottom up: a module imports only those before it."""


def imports(path: Path) -> set[str]:
    """The full name of every module that is imported anywhere in a file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imports_within_the_package(path: Path) -> set[str]:
    """The modules of the package that a file imports."""
    return {name.removeprefix("analytics_export.") for name in imports(path)} & set(MODULES)


def test_every_module_has_its_place_in_the_order() -> None:
    assert sorted(ORDER) == sorted(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_those_below_it(module: str) -> None:
    assert imports_within_the_package(MODULES[module]) <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_imports_no_io(module: str) -> None:
    assert {name.partition(".")[0] for name in imports(MODULES[module])} & DOES_IO == set()
    assert imports_within_the_package(MODULES[module]) <= set(PURE)


def test_the_package_docstring_names_every_module() -> None:
    text = (REPOSITORY / "analytics_export" / "__init__.py").read_text()
    assert [module for module in MODULES if f"- `{module}`: " not in text] == []


MAY_IMPORT = {
    "analytics_export": set(),
    "main": {"analytics_export"},
    "local": set(),
    "bench": {"local"},
    "tests": {"analytics_export", "main", "local", "bench"},
}
"""In addition to itself. The stand-ins do not know what they test; nothing imports the tests."""
EVERYTHING = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
    for root in MAY_IMPORT
    for path in [*(REPOSITORY / root).rglob("*.py"), *REPOSITORY.glob(f"{root}.py")]
}
PURE_STAND_INS = ["local.report_period", "local.reports", "local.storage.fields"]
DESCRIBED = ["local", "local.http", "local.storage", "local.tasks", "bench"]
"""Packages whose docstring names their modules."""


def test_the_whole_repository_imports_without_circles() -> None:
    graph = {name: (imports(path) & set(EVERYTHING)) - {name} for name, path in EVERYTHING.items()}
    list(TopologicalSorter(graph).static_order())  # CycleError names the circle


@pytest.mark.parametrize("root", MAY_IMPORT)
def test_each_part_imports_only_allowed_parts(root: str) -> None:
    allowed = MAY_IMPORT[root] | {root}
    for name, path in EVERYTHING.items():
        if name.partition(".")[0] == root:
            assert {found.partition(".")[0] for found in imports(path)} & set(MAY_IMPORT) <= allowed, name


@pytest.mark.parametrize("module", PURE_STAND_INS)
def test_a_pure_stand_in_imports_no_io(module: str) -> None:
    assert {name.partition(".")[0] for name in imports(EVERYTHING[module])} & DOES_IO == set()


@pytest.mark.parametrize("package", DESCRIBED)
def test_the_docstring_of_a_package_names_each_of_its_modules(package: str) -> None:
    folder = EVERYTHING[package].parent
    existing = {path.stem for path in folder.glob("*.py")} | {
        f"{path.parent.name}/" for path in folder.glob("*/__init__.py")
    }
    named = set(re.findall(r"`([\w/]+)`", EVERYTHING[package].read_text()))
    assert existing - {"__init__", "__main__"} - named == set()
    assert {name for name in named if name.endswith("/")} <= existing
