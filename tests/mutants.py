"""Counts how many small changes to the package the tests notice, one line per module: `make mutants`.

mutmut makes the mutants and tries each with the tests that reach the function it changes (pyproject.toml,
`[tool.mutmut]`). Without arguments it tries a few mutants of every module, always the same ones; with names of modules,
all mutants of those. After `BOUND_S` it stops, and the table says how many were tried.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutmut.configuration import config
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name

PACKAGE = "analytics_export"
FOLDER = Path("mutants")
BOUND_S = 600
AT_ONCE = 2
SAMPLE = 12
"""How many mutants of each module are tried where no module is named."""
SEED = 1
SURVIVED = {0, 33}
"""mutmut's exit codes for a mutant with which all tests passed, and for one that no test reaches."""


@dataclass(frozen=True)
class Score:
    """The result for one module's mutants."""

    module: str
    mutants: int
    tried: int
    survivors: tuple[str, ...]

    @property
    def line(self) -> str:
        killed = self.tried - len(self.survivors)
        share = f"{killed / self.tried:5.0%}" if self.tried else "    -"
        return f"{self.module:28} {self.mutants:7} {self.tried:5} {killed:6} {len(self.survivors):8} {share}"


def mutants_of(path: Path) -> list[str]:
    """The names of all mutants of a file."""
    if not config().should_mutate(path):
        return []
    return [get_mutant_name(path, name) for name in mutate_file_contents(str(path), path.read_text()).mutant_names]


def chosen(modules: Sequence[str]) -> dict[str, list[str]]:
    """The mutants of these modules, or of all modules, by module. Exits if one does not exist."""
    paths = {
        str(path.relative_to(PACKAGE).with_suffix("")).replace("/", "."): path for path in Path(PACKAGE).rglob("*.py")
    }
    if unknown := set(modules) - set(paths):
        sys.exit(f"There is no {', '.join(sorted(unknown))}; expected some of {', '.join(sorted(paths))}.")
    made = {module: mutants_of(paths[module]) for module in sorted(modules or paths)}
    return {module: names for module, names in made.items() if names}


def sample(names: Sequence[str]) -> list[str]:
    """A few of a module's mutants, the same ones every time."""
    return random.Random(SEED).sample(list(names), min(SAMPLE, len(names)))


def try_all(names: Sequence[str]) -> None:
    """Let mutmut try these mutants, for at most `BOUND_S`."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    written = FOLDER / "mutmut.log"
    command = [str(Path(sys.executable).parent / "mutmut"), "run", "--max-children", str(AT_ONCE), *names]
    with written.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as running:
        try:
            running.wait(BOUND_S)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGINT)  # it saves the results so far
    if not any(result is not None for result in results().values()):
        sys.exit(
            f"mutmut tried no mutant; see {written}. If a test fails without any mutant, this shows which:\n"
            "  .venv/bin/pytest -p tests.in_process tests/unit tests/contract tests/situations/test_transfers.py"
        )


def results() -> Mapping[str, int | None]:
    """mutmut's exit code for each mutant; None for one that it did not try."""
    found: dict[str, int | None] = {}
    for path in FOLDER.rglob("*.meta"):
        found |= json.loads(path.read_text())["exit_code_by_key"]
    return found


def score(module: str, mutants: int, names: Sequence[str], found: Mapping[str, int | None]) -> Score:
    tried = [name for name in names if found.get(name) is not None]
    return Score(module, mutants, len(tried), tuple(name for name in tried if found[name] in SURVIVED))


def main() -> None:
    made = chosen(sys.argv[1:])
    wanted = made if sys.argv[1:] else {module: sample(names) for module, names in made.items()}
    try_all([name for names in wanted.values() for name in names])
    found = results()
    scores = [score(module, len(made[module]), names, found) for module, names in wanted.items()]
    print("module                       mutants tried killed survived score")
    for each in scores:
        print(each.line)
    survivors = tuple(name for each in scores for name in each.survivors)
    print(Score("all", sum(each.mutants for each in scores), sum(each.tried for each in scores), survivors).line)
    print("\nSurvivors; .venv-mutants/bin/mutmut show NAME prints the change:")
    print(*survivors, sep="\n")


if __name__ == "__main__":
    main()
