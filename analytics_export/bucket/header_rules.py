"""When the first line of a CSV file can be a header."""

import re
from collections.abc import Callable, Sequence
from enum import StrEnum

Columns = tuple[str, ...]

LONGEST_NAME, MOST_COLUMNS = 300, 10_000
"""In characters, and per table.

Source: BigQuery, "Specifying a schema" (column names) and "Quotas and limits" (tables).
"""

_VALUE = re.compile(
    r"""
    [\W\d_]*                                       # no letter: digits, numbers, dates, times, signs
    | [+-]?[\d.,]+e[+-]?\d+ | 0x[\da-f]+           # numbers with a letter
    | \d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\W?[T\s].*    # a date and time
    | [\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}       # a UUID
    | (?=.*\d)[\da-f]{16,}                         # an ID in hexadecimal
    | true | false | null | none | nan | n/a
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Unusable(StrEnum):
    """Why a first line is no header: the first of these rules that it breaks.

    A row of data must not be taken for a header: manifests are kept longer than the data, and logs are read by many.
    So of a line that breaks a rule only the rule's name is passed on. No rule recognizes a row that has only words, in
    the period's only file, if no row below repeats one of them.
    """

    BROKEN_GZIP = "broken_gzip"
    """It begins like gzip and cannot be decompressed."""
    BROKEN_QUOTES = "broken_quotes"
    """A quote is never closed, or more text follows one that is."""
    LINE_TOO_LONG = "line_too_long"
    """It does not end within `csv_header.LONGEST_HEADER_BYTES` of the (decompressed) file."""
    EMPTY_LINE = "empty_line"
    SEP_LINE = "sep_line"
    """`sep=;` or the like, with which Excel files name the delimiter."""
    TOO_MANY_COLUMNS = "too_many_columns"
    """More than `MOST_COLUMNS`."""
    EMPTY_NAME = "empty_name"
    """A name is empty, or blank."""
    NAME_TOO_LONG = "name_too_long"
    """A name has more than `LONGEST_NAME` characters."""
    NOT_TEXT = "not_text"
    """A name holds a control character, a line break or a byte that could not be decoded."""
    VALUE_AS_NAME = "value_as_name"
    """A name is a number, a date, an ID, an address, or a word such as `null`: this is a row."""
    DOUBLED_NAME = "doubled_name"
    """Two names are equal but for case, which BigQuery does not tell apart."""
    REPEATED_BELOW = "repeated_below"
    """One of the next rows has some of its words, though not all, in the same columns: this is a row, too."""
    UNLIKE_OTHER_FILES = "unlike_other_files"
    """It shares fewer than half of its names with the period's other files, see `csv_header.compared`."""


_NAME_RULES: dict[Unusable, Callable[[str], bool]] = {
    Unusable.EMPTY_NAME: lambda name: not name.strip(),
    Unusable.NAME_TOO_LONG: lambda name: len(name) > LONGEST_NAME,
    Unusable.NOT_TEXT: lambda name: not name.isprintable() or "\ufffd" in name,
    Unusable.VALUE_AS_NAME: lambda name: bool(_VALUE.fullmatch(name.strip())) or "://" in name or "@" in name,
}


def why_unusable(names: Sequence[str]) -> Unusable | None:
    """Return the rule that a line's names break; None where they can be a header."""
    if not names:
        return Unusable.EMPTY_LINE
    if len(names) > MOST_COLUMNS:
        return Unusable.TOO_MANY_COLUMNS
    for rule, is_broken_by in _NAME_RULES.items():
        if any(map(is_broken_by, names)):
            return rule
    return Unusable.DOUBLED_NAME if len({name.strip().casefold() for name in names}) < len(names) else None


def is_like(names: Columns, others: Columns) -> bool:
    """Return whether both lines share at least half of the names of the shorter one."""
    return 2 * len({*names} & {*others}) >= min(len(names), len(others))
