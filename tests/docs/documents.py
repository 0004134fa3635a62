"""The project's documents: their fenced blocks, their code in running text, their links and headings."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FILES = ("README.md", "SECURITY.md", "CHANGELOG.md", "terraform/README.md")
DOCUMENTS = sorted([*(ROOT / name for name in _FILES), *(ROOT / "docs").rglob("*.md")])
RUNBOOKS = [path for path in (ROOT / "docs/runbooks").glob("*.md") if path.name != "README.md"]

_FENCED = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    document: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}: {self.text.strip().splitlines()[0][:60]}"


@cache
def text_of(document: Path) -> str:
    return document.read_text()


def blocks(language: str | None = None) -> list[Block]:
    """All blocks of that language, or all blocks."""
    found = [
        Block(str(document.relative_to(ROOT)), match[1], match[2])
        for document in DOCUMENTS
        for match in _FENCED.finditer(text_of(document))
    ]
    return [block for block in found if language is None or block.language == language]


def prose(document: Path) -> str:
    """The document without its blocks."""
    return _FENCED.sub("", text_of(document))


def inline_code(document: Path) -> list[str]:
    """The code between backticks in running text, on one line each."""
    return [code.replace("\n", " ") for code in re.findall(r"`([^`]+)`", prose(document))]


def indented_code(document: Path) -> list[str]:
    """The lines of indented blocks; the continuation lines of a list are indented less."""
    return re.findall(r"^    (\S.*)$", prose(document), re.MULTILINE)


def code(document: Path) -> list[str]:
    """Every piece of code, blocks line by line; a line that ends in a backslash continues."""
    fenced = [match[2].replace("\\\n", " ") for match in _FENCED.finditer(text_of(document))]
    return [*(line for text in fenced for line in text.splitlines()), *inline_code(document), *indented_code(document)]


def rows(document: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    section = f"\n{text_of(document)}".split(f"\n{heading}\n", maxsplit=1)[1]
    table = re.search(r"((?:^\|.*\|\n)+)", section, re.MULTILINE)
    assert table is not None, heading
    return [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in table[1].splitlines()[2:]]


def links(document: Path) -> list[str]:
    """The targets of links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(document))


@cache
def anchors(document: Path) -> frozenset[str]:
    """The names under which GitHub links a document's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)
