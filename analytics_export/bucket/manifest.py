"""What a period wholly consists of, as one line of JSON that BigQuery reads."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime

from analytics_export.bucket.csv_header import CsvFormat
from analytics_export.bucket.header_rules import why_unusable
from analytics_export.periods import Aggregation, Frequency, Period


@dataclass(frozen=True)
class StoredObject:
    """An object as the bucket holds it, and as the manifest names it."""

    name: str
    size: int
    crc32c: str
    generation: str


@dataclass(frozen=True)
class Manifest:
    """What a period wholly consists of; its presence in the bucket says that the period is complete."""

    aggregation: Aggregation
    period: Period
    analytics_id: str
    completed_at: datetime
    csv_format: CsvFormat
    """Of the first file that holds any text; the defaults where none does."""
    objects: tuple[StoredObject, ...]

    def to_json(self) -> str:
        """Return one line, as BigQuery reads NEWLINE_DELIMITED_JSON."""
        value = {
            "aggregation": self.aggregation,
            "frequency": self.period.frequency,
            "start_date": self.period.start.isoformat(),
            "end_date": self.period.end.isoformat(),
            "file_prefix": self.period.file_prefix(self.aggregation),
            "analytics_id": self.analytics_id,
            "completed_at": self.completed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "bytes": sum(stored.size for stored in self.objects),
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
        """Return the manifest; None where the text is not one (somebody else's file, an older form)."""
        try:
            value = json.loads(text)
            return cls(
                aggregation=Aggregation(value["aggregation"]),
                period=Period(
                    Frequency(value["frequency"]),
                    date.fromisoformat(value["start_date"]),
                    date.fromisoformat(value["end_date"]),
                ),
                analytics_id=_text(value["analytics_id"]),
                completed_at=datetime.fromisoformat(value["completed_at"]),
                csv_format=_csv_format(value),
                objects=tuple(_stored_object(each) for each in value["objects"]),
            )
        except (ValueError, TypeError, KeyError, RecursionError):
            return None


@dataclass(frozen=True)
class ManifestOnFile:
    """What stands where a period's manifest belongs."""

    manifest: Manifest | None
    """None where nothing stands there, or nothing that can be read as a manifest."""
    generation: int
    """0 where nothing stands there."""


def _csv_format(value: Mapping[str, object]) -> CsvFormat:
    """Return what the manifest says; version 1.0.0 wrote only columns, whatever stood in the first line."""
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
