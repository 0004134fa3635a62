"""The tables of inputs and outputs in terraform/README.md, generated from the code.

`.venv/bin/python tests/terraform/readme_tables.py` writes them again; a test compares the file with the code.
"""

import re
import sys
from pathlib import Path

MODULE = Path(__file__).parents[2] / "terraform"
README = MODULE / "README.md"
BETWEEN_MARKERS = re.compile(r"(<!-- (inputs|outputs) -->\n).*?(<!-- /\2 -->)", re.DOTALL)


def blocks(file: str, kind: str) -> dict[str, str]:
    """The bodies of a file's top-level blocks of this kind, by name, in the file's order."""
    text = (MODULE / file).read_text()
    return dict(re.findall(rf'^{kind} "(\w+)" \{{\n(.*?)^\}}', text, re.DOTALL | re.MULTILINE))


def description(body: str) -> str:
    match = re.search(r'^  description\s*= "(.*)"$', body, re.MULTILINE)
    if match is None:
        raise ValueError(f"no description in {body!r}")
    return match[1].replace('\\"', '"').replace("|", r"\|")


def default(body: str) -> str:
    """`required`, or the default on one line."""
    match = re.search(r"^  default\s*= (.*?)$(?=\n  \w|\n\n|\Z)", body, re.DOTALL | re.MULTILINE)
    if match is None:
        return "required"
    one_line = re.sub(r"\s+", " ", match[1]).replace("= {} ", "= {}, ")
    return f"`{one_line}`"


def tables() -> dict[str, str]:
    """The text between the markers, by marker."""
    inputs = ["| variable | meaning | default |", "| --- | --- | --- |"]
    for name, body in blocks("variables.tf", "variable").items():
        inputs.append(f"| `{name}` | {description(body)} | {default(body)} |")
    outputs = ["| output | meaning |", "| --- | --- |"]
    for name, body in blocks("outputs.tf", "output").items():
        outputs.append(f"| `{name}` | {description(body)} |")
    return {"inputs": "\n".join(inputs) + "\n", "outputs": "\n".join(outputs) + "\n"}


def renewed(text: str) -> str:
    """Return the README with new tables."""
    new = tables()
    return BETWEEN_MARKERS.sub(lambda match: match[1] + new[match[2]] + match[3], text)


if __name__ == "__main__":
    README.write_text(renewed(README.read_text()))
    sys.stdout.write(f"{README} is up to date\n")
