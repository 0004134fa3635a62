"""Writes the Terraform variable `tables` from the manifests that the exports left in the bucket.

    gcloud storage cat 'gs://BUCKET/manifests/**.json' | python3 tables.py tables.auto.tfvars.json

Each aggregation and frequency gets the columns of all its periods, the newest period's first, each as STRING, which
never fails to read. What the file said already about a table or a column, such as another type, stays. How the files
are written (delimiter, encoding, compression) is taken from the newest manifest that says so.
What cannot be read, or reads wrong, is said in a line each; where nothing can be written, nothing is.
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]

PARTITION = "start_date"
LEGAL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
RESERVED = re.compile(r"_TABLE_|_FILE_|_PARTITION|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER|_CHANGE_", re.IGNORECASE)
"""What BigQuery lets no column's name begin with."""
LONGEST_NAME, MOST_COLUMNS = 300, 10_000
"""BigQuery's limits. A first line beyond them is a row, not a header: manifests of version 1.0.0 may hold such."""
VALUE = re.compile(
    r"""
    [\W\d_]*                                       # no letter: digits, numbers, dates, times, signs; or nothing
    | [+-]?[\d.,]+e[+-]?\d+ | 0x[\da-f]+           # numbers with a letter
    | \d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\W?[T\s].*    # a date and time
    | [\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}       # a UUID
    | (?=.*\d)[\da-f]{16,}                         # an ID in hexadecimal
    | true | false | null | none | nan | n/a
    | .*(://|@).*                                  # an address
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
"""Values that no header has, by the same rules as in analytics_export/bucket/header_rules.py."""

ENCODINGS = ("UTF-8", "ISO-8859-1")
"""What Terraform's provider can set. BigQuery itself also reads UTF-16 and UTF-32."""
FORMAT = {"field_delimiter": ",", "encoding": "UTF-8", "compression": "NONE"}
"""How files are written, with what it is where a manifest of version 1.0.0 does not say."""

DESCRIPTIONS = json.loads(Path(__file__).with_name("known_columns.json").read_text())
"""What is known of columns with these names; docs/columns.md says how sure it is."""


def manifests(text: str) -> Iterator[Manifest]:
    """Yield every manifest in the text, with any white space between them: `gcloud storage cat` adds no line ends.

    Raises ValueError (json) where the text breaks off; other people's JSON is passed over.
    """
    decoder, position = json.JSONDecoder(), 0
    while (position := text.find("{", position)) >= 0:
        found, position = decoder.raw_decode(text, position)
        words = [found.get(name) for name in ("aggregation", "frequency", "start_date")]
        if all(isinstance(word, str) for word in words) and isinstance(found.get("columns"), list):
            yield found


def is_header(columns: Sequence[str]) -> bool:
    """Say whether these can be the names of columns at all."""
    return 0 < len(columns) <= MOST_COLUMNS and not any(
        len(name) > LONGEST_NAME or not name.isprintable() or "\ufffd" in name or VALUE.fullmatch(name.strip())
        for name in columns
    )


def is_matched_by_name(manifest: Manifest) -> bool:
    """Say whether BigQuery finds the header's names in the files as they are.

    They have to be legal, distinct in any case, not the partition's; after a byte order mark the first is not found.
    """
    names = [name.lower() for name in manifest["columns"]]
    legal = all(LEGAL_NAME.fullmatch(name) and not RESERVED.match(name) for name in names)
    return legal and len({*names, PARTITION}) == len(names) + 1 and not manifest.get("byte_order_mark")


def legal_names(names: Sequence[str]) -> list[str]:
    """Return a legal, distinct name for each, close to the header's."""
    taken, result = {PARTITION}, []
    for position, name in enumerate(names, start=1):
        legal = re.sub(r"\W", "_", name, flags=re.ASCII)[:280]
        legal = legal if LEGAL_NAME.fullmatch(legal) and not RESERVED.match(legal) else f"column_{legal}"
        while legal.lower() in taken:
            legal = f"{legal}_{position}"
        taken.add(legal.lower())
        result.append(legal)
    return result


def united(headers: Iterable[Sequence[str]]) -> list[str]:
    """Return every name once, in the order and the spelling of the first header that has it."""
    names: dict[str, str] = {}
    for header in headers:
        for name in header:
            names.setdefault(name.lower(), name)
    return list(names.values())


def file_format(found: Sequence[Manifest]) -> dict[str, str]:
    """Return what the newest manifest that says so says of each; nothing for what none says."""
    return {
        field: next(manifest[field] for manifest in found if field in manifest)
        for field in FORMAT
        if any(field in manifest for manifest in found)
    }


def table(aggregation: str, found: Sequence[Manifest], before: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of `tables` from manifests with headers, newest first.

    Columns are matched by name wherever that can be, so that one which moves is no harm.
    """
    by_name = all(map(is_matched_by_name, found))
    headers = [manifest["columns"] for manifest in found]
    names = united(headers) if by_name else legal_names(headers[0])
    known = {column["name"].lower(): column for column in before.get("columns") or []}
    columns = []
    for name in names:
        column = {"name": name, "type": "STRING"}
        if description := DESCRIPTIONS.get(aggregation, {}).get(name.lower()):
            column["description"] = description
        columns.append({**column, **known.get(name.lower(), {}), "name": name})
    return {**before, **file_format(found), "column_match": "NAME" if by_name else "POSITION", "columns": columns}


def warnings(key: str, found: Sequence[Manifest], with_header: Sequence[Manifest]) -> Iterator[str]:
    """Yield a line for each thing that reads wrong without a word from BigQuery."""
    if without := [manifest for manifest in found if manifest not in with_header]:
        yield f"{_periods(key, without)}: the first line of its files is no usable header, so its columns are not known"
    newest = FORMAT | file_format(found)
    for field, value in newest.items():
        if others := [manifest for manifest in found if manifest.get(field, FORMAT[field]) != value]:
            yield f"{_periods(key, others)}: another {field} than the newest period's ({value!r}); a table has one"
    if all(map(is_matched_by_name, with_header)):
        return
    newest_header = with_header[0]["columns"]
    if moved := [
        m for m in with_header if any(old != new for old, new in zip(m["columns"], newest_header, strict=False))
    ]:
        yield (
            f"{_periods(key, moved)}: columns in another order or of other names than the newest period's; "
            "they are matched by position and read wrong"
        )


def tables(found: Iterable[Manifest], before: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the whole variable, and what is to be said; raises ValueError for files that no table can read.

    An export whose files are all empty, or have no usable header, has no columns and stays as it was.
    """
    made = dict(before)
    said: list[str] = []
    by_export = defaultdict(list)
    for manifest in sorted(found, key=lambda manifest: str(manifest["start_date"]), reverse=True):
        if manifest["columns"] or manifest.get("bytes"):
            by_export[f"{manifest['aggregation']}/{manifest['frequency']}"].append(manifest)
    for key, periods in sorted(by_export.items()):
        if strange := [each for each in periods if each.get("encoding", ENCODINGS[0]) not in ENCODINGS]:
            raise ValueError(
                f"{_periods(key, strange)}: its files are in {strange[0]['encoding']}, but Terraform's provider can "
                f"only set {' and '.join(ENCODINGS)}: ask Usercentrics for UTF-8, or leave these manifests out"
            )
        newest = FORMAT | file_format(periods)
        with_header = [each for each in periods if is_header(each["columns"])]
        said += warnings(key, periods, with_header)
        alike = [m for m in with_header if m.get("field_delimiter", ",") == newest["field_delimiter"]]
        if alike:
            made[key] = table(key.split("/")[0], alike, before.get(key, {}))
    return made, said


def read(path: Path) -> dict[str, Any]:
    """Return the variables in the file, `tables` among them; raises ValueError where it holds something else."""
    if not path.exists():
        return {"tables": {}}
    try:
        variables = json.loads(path.read_text())
        for entry in variables["tables"].values():
            [column["name"].lower() for column in entry.get("columns") or []]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not what this script writes: expected JSON with `tables` in it. "
            "Remove the file, or put it right"
        ) from error
    return dict(variables)


def main(path: Path) -> None:
    """Read manifests from standard input and write or renew the file, wholly or not at all."""
    try:
        variables = read(path)
        made, said = tables(manifests(sys.stdin.read()), variables["tables"])
    except ValueError as error:
        reason = "a manifest on standard input breaks off" if isinstance(error, json.JSONDecodeError) else str(error)
        sys.exit(f"{reason}; {path} is not written")
    for line in said:
        sys.stderr.write(f"{line}\n")
    if not made:
        sys.exit(f"no manifest with columns on standard input, {path} is not written: run an export first")
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(json.dumps({**variables, "tables": made}, indent=2) + "\n")
    beside.replace(path)
    sys.stdout.write(f"{path}: {', '.join(made)}\n")


def _periods(key: str, found: Sequence[Manifest]) -> str:
    """Name an export and its periods, three at most."""
    days = sorted(str(manifest["start_date"]) for manifest in found)
    more = f" and {len(days) - 3} more" if len(days) > 3 else ""  # noqa: PLR2004 - enough to find them
    return f"{key} {', '.join(days[:3])}{more}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
