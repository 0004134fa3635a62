"""Writes the Terraform variable `tables` from the manifests that the exports left in the bucket.

    gcloud storage cat 'gs://BUCKET/manifests/**.json' | python3 tables.py tables.auto.tfvars.json

Each aggregation and frequency gets the columns of its latest period, new ones as STRING, which never fails to read.
What the file said already about a table or a column, such as another type, stays. Without manifests nothing happens.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PARTITION = "start_date"
LEGAL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")


def manifests(text: str) -> Iterator[dict[str, Any]]:
    """Yield every JSON object in the text, whatever stands between them: `gcloud storage cat` adds no line ends."""
    decoder, position = json.JSONDecoder(), 0
    while (position := text.find("{", position)) >= 0:
        manifest, position = decoder.raw_decode(text, position)
        yield manifest


def is_usable(names: list[str]) -> bool:
    """Say whether BigQuery takes the header's names as they are: legal, distinct in any case, not the partition's."""
    lowered = {name.lower() for name in names}
    return all(LEGAL_NAME.fullmatch(name) for name in names) and len(lowered) == len(names) and PARTITION not in lowered


def legal_names(names: list[str]) -> list[str]:
    """Return a legal, distinct name for each, close to the header's."""
    taken, result = {PARTITION}, []
    for position, name in enumerate(names, start=1):
        legal = re.sub(r"\W", "_", name, flags=re.ASCII)[:280]
        legal = legal if LEGAL_NAME.fullmatch(legal) else f"column_{legal}"
        while legal.lower() in taken:
            legal = f"{legal}_{position}"
        taken.add(legal.lower())
        result.append(legal)
    return result


def table(names: list[str], before: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of `tables`, matched by name wherever that can be, so that a column which moves is no harm."""
    match, names = ("NAME", names) if is_usable(names) else ("POSITION", legal_names(names))
    known = {column["name"]: column for column in before.get("columns") or []}
    columns = [known.get(name, {"name": name, "type": "STRING"}) for name in names]
    return {**before, "column_match": match, "columns": columns}


def tables(found: Iterable[dict[str, Any]], before: dict[str, Any]) -> dict[str, Any]:
    """Return the whole variable; an export whose files are all empty has no columns and stays as it was."""
    latest = {
        f"{manifest['aggregation']}/{manifest['frequency']}": manifest["columns"]
        for manifest in sorted(found, key=lambda manifest: str(manifest["start_date"]))
        if manifest["columns"]
    }
    return before | {key: table(columns, before.get(key, {})) for key, columns in sorted(latest.items())}


def main(path: Path) -> None:
    """Read manifests from standard input and write or renew the file."""
    before = json.loads(path.read_text())["tables"] if path.exists() else {}
    made = tables(manifests(sys.stdin.read()), before)
    if not made:
        sys.exit(f"no manifest with columns on standard input, {path} is not written: run an export first")
    path.write_text(json.dumps({"tables": made}, indent=2) + "\n")
    sys.stdout.write(f"{path}: {', '.join(made)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
