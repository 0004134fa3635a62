"""The Terraform variable `tables`, made from the manifests that the exports left in the bucket.

Reads manifests from standard input, one after the other, and writes a .tfvars.json: for each aggregation
and frequency the columns of its latest period, all of type STRING, which never fails to read. Change the
types in the file to suit; they are yours from then on.
"""

import json
import re
import sys
from collections.abc import Iterator
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
        legal = re.sub(r"\W", "_", name, flags=re.ASCII)[:290]
        legal = legal if LEGAL_NAME.fullmatch(legal) else f"column_{legal}"
        if legal.lower() in taken:
            legal = f"{legal}_{position}"
        taken.add(legal.lower())
        result.append(legal)
    return result


def table(names: list[str]) -> dict[str, Any]:
    """Return an entry of `tables`, matched by name, so that a column which moves is no harm, wherever that can be."""
    match, names = ("NAME", names) if is_usable(names) else ("POSITION", legal_names(names))
    return {"column_match": match, "columns": [{"name": name, "type": "STRING"} for name in names]}


def tables(found: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Return the whole variable; entries whose files are all empty have no columns and are left out."""
    latest = {
        f"{manifest['aggregation']}/{manifest['frequency']}": manifest["columns"]
        for manifest in sorted(found, key=lambda manifest: str(manifest["start_date"]))
        if manifest["columns"]
    }
    return {"tables": {key: table(columns) for key, columns in sorted(latest.items())}}


if __name__ == "__main__":
    variable = tables(manifests(sys.stdin.read()))
    if not variable["tables"]:
        sys.exit("no manifest with columns on standard input: run an export first, then this again")
    json.dump(variable, sys.stdout, indent=2)
    sys.stdout.write("\n")
