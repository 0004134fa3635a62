"""Terraform and gcloud upload all that the function imports, and no more."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = {
    str(path.relative_to(REPOSITORY)): path
    for path in [REPOSITORY / "main.py", *(REPOSITORY / "analytics_export").rglob("*.py")]
}
IMPORT_ALL = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"


def uploaded_by_terraform() -> set[str]:
    """The files that terraform/function.tf puts into the archive: names and patterns of its `source_files`."""
    text = (REPOSITORY / "terraform" / "function.tf").read_text()
    found = re.search(r'source_files = setunion\(\[(.*?)\], fileset\(local\._source_root, "(.*?)"\)\)', text)
    assert found is not None
    named = set(re.findall(r'"(.*?)"', found[1]))
    return named | {str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob(found[2])}


def uploaded_by_gcloud(folder: Path) -> set[str]:
    """The files that `gcloud functions deploy` uploads: .gcloudignore has the syntax of .gitignore."""
    copy = folder / "checkout"
    ignored = shutil.ignore_patterns(".git", ".venv*", ".*_cache", ".hypothesis", "node_modules", ".local")
    shutil.copytree(REPOSITORY, copy, ignore=ignored)
    shutil.copy(copy / ".gcloudignore", copy / ".gitignore")
    git = [shutil.which("git") or "git", "-C", str(copy)]
    subprocess.run([*git, "init", "--quiet"], check=True)  # noqa: S603 - our own command
    listed = subprocess.run(  # noqa: S603 - likewise
        [*git, "ls-files", "--others", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    return set(listed.stdout.splitlines())


@pytest.mark.parametrize("tool", ["terraform", "gcloud"])
def test_the_uploaded_files_import_by_themselves(tool: str, tmp_path: Path) -> None:
    uploaded = uploaded_by_terraform() if tool == "terraform" else uploaded_by_gcloud(tmp_path)
    assert uploaded == {*SOURCES, "requirements.txt"}
    deployed = tmp_path / "deployed"
    for name in uploaded:
        target = deployed / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, target)
    modules = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in SOURCES]
    subprocess.run([sys.executable, "-c", IMPORT_ALL, *modules], cwd=deployed, check=True)  # noqa: S603 - our own code
