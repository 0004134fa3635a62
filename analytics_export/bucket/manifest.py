"""The list of all files of a complete period: one line of JSON for BigQuery, and a summary as metadata."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from functools import lru_cache

import google_crc32c

from analytics_export.bucket.csv_header import CsvFormat
from analytics_export.bucket.header_rules import Columns, why_unusable
from analytics_export.periods import Aggregation, Export, Frequency, Period

MAX_COLUMNS_BYTES = 4096
"""The longest list of columns in the metadata.

Source: Cloud Storage, "Quotas and limits": 8 KiB of custom metadata an object."""


@dataclass(frozen=True)
class StoredObject:
    """An object in the bucket, as the manifest names it."""

    name: str
    size: int
    crc32c: str
    generation: str


@dataclass(frozen=True)
class Summary:
    """What coverage and skipping need of a manifest."""

    export: Export
    analytics_id: str
    completed_at: datetime
    objects: int
    size_bytes: int
    columns: Columns | None
    """None where they are too long for the metadata; the body has them."""


@dataclass(frozen=True)
class Manifest:
    """All files of a period. Its presence in the bucket says that the period is complete."""

    export: Export
    analytics_id: str
    completed_at: datetime
    csv_format: CsvFormat
    """Of the first file that holds any text; the defaults where none does."""
    objects: tuple[StoredObject, ...]

    @property
    def size_bytes(self) -> int:
        """Of all its objects together."""
        return sum(stored.size for stored in self.objects)

    @property
    def summary(self) -> Summary:
        """The part that the metadata repeat."""
        return Summary(
            self.export,
            self.analytics_id,
            self.completed_at,
            len(self.objects),
            self.size_bytes,
            self.csv_format.columns,
        )

    def to_json(self) -> str:
        """Return one line, as BigQuery reads NEWLINE_DELIMITED_JSON."""
        period = self.export.period
        value = {
            "aggregation": self.export.aggregation,
            "frequency": period.frequency,
            "start_date": period.start.isoformat(),
            "end_date": period.end.isoformat(),
            "file_prefix": self.export.file_prefix,
            "analytics_id": self.analytics_id,
            "completed_at": _time(self.completed_at),
            "bytes": self.size_bytes,
            "columns": self.csv_format.columns,
            "field_delimiter": self.csv_format.field_delimiter,
            "encoding": self.csv_format.encoding,
            "byte_order_mark": self.csv_format.byte_order_mark,
            "compression": self.csv_format.compression,
            "objects": [asdict(stored) for stored in self.objects],
        }
        return json.dumps(value, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: bytes) -> "Manifest | None":
        """Return the manifest; None where the text is not one."""
        try:
            value = json.loads(text)
            period = Period(
                Frequency(value["frequency"]),
                date.fromisoformat(value["start_date"]),
                date.fromisoformat(value["end_date"]),
            )
            return cls(
                export=Export(Aggregation(value["aggregation"]), period),
                analytics_id=_text(value["analytics_id"]),
                completed_at=_moment(value["completed_at"]),
                csv_format=_csv_format(value),
                objects=tuple(_stored_object(each) for each in value["objects"]),
            )
        except (ValueError, TypeError, KeyError, RecursionError):
            return None


def to_metadata(manifest: Manifest, body: bytes) -> dict[str, str]:
    """Return the custom metadata of a manifest's object. A listing shows them, which saves reading the body.

    They count only as a whole and with this body: see `from_metadata`.
    """
    summary = manifest.summary
    fields = {
        "file_prefix": summary.export.file_prefix,
        "analytics_id": summary.analytics_id,
        "completed_at": _time(summary.completed_at),
        "objects": str(summary.objects),
        "bytes": str(summary.size_bytes),
        "columns": _if_short(json.dumps(manifest.csv_format.columns, ensure_ascii=False)),
        "body_crc32c": base64.b64encode(google_crc32c.value(body).to_bytes(4, "big")).decode(),
    }
    return fields | {"digest": _digest(fields)}


_METADATA = (
    "file_prefix",
    "analytics_id",
    "completed_at",
    "objects",
    "bytes",
    "columns",
    "body_crc32c",
)


def from_metadata(export: Export, metadata: Mapping[str, str], *, crc32c: str) -> Summary | None:
    """Return the summary in the metadata of the manifest of `export`; `crc32c` is the checksum of its body.

    None where the metadata do not count and the body must be read: they are missing (written by version 1.0.0, or
    copied by hand), were changed, or belong to another body or another period. Fields that other tools added do not
    matter.
    """
    try:
        fields = {name: metadata[name] for name in _METADATA}
        is_of_this_body = metadata["body_crc32c"] == crc32c and metadata["file_prefix"] == export.file_prefix
        if not is_of_this_body or metadata["digest"] != _digest(fields):
            return None
        return Summary(
            export,
            metadata["analytics_id"],
            _moment(metadata["completed_at"]),
            int(metadata["objects"]),
            int(metadata["bytes"]),
            _columns(metadata["columns"]),
        )
    except (KeyError, ValueError):
        return None


def _if_short(text: str) -> str:
    return text if len(text.encode()) <= MAX_COLUMNS_BYTES else ""


@lru_cache(maxsize=16)  # most periods have the same columns: keep one value in memory
def _columns(text: str) -> Columns | None:
    return tuple(map(str, json.loads(text))) if text else None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


def _csv_format(value: Mapping[str, object]) -> CsvFormat:
    """Return the CSV format; version 1.0.0 wrote only `columns`, even where the first line was no header."""
    columns = value["columns"]
    if not isinstance(columns, list):
        raise TypeError
    usual = CsvFormat()
    found = CsvFormat(
        columns=tuple(map(_text, columns)),
        field_delimiter=_text(value.get("field_delimiter", usual.field_delimiter)),
        encoding=_text(value.get("encoding", usual.encoding)),
        byte_order_mark=value.get("byte_order_mark", usual.byte_order_mark) is True,
        compression=_text(value.get("compression", usual.compression)),
    )
    return replace(found, columns=()) if why_unusable(found.columns) else found


def _stored_object(value: Mapping[str, object]) -> StoredObject:
    if type(value["size"]) is not int:
        raise TypeError
    return StoredObject(_text(value["name"]), value["size"], _text(value["crc32c"]), _text(value["generation"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
