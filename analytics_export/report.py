"""How the export of one period ended, for the answer."""

from dataclasses import dataclass
from enum import StrEnum

from analytics_export.errors import ExportError
from analytics_export.periods import Export


class Status(StrEnum):
    """How the export of one period ended."""

    COPIED = "copied"
    UNCHANGED = "unchanged"
    COMPLETE = "complete"
    PLANNED = "planned"
    QUEUED = "queued"
    NOT_AVAILABLE = "not_available"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


@dataclass(frozen=True)
class ExportResult:
    """One period's entry in the answer."""

    export: Export
    status: Status
    objects: int
    """How many of the period's files are known to be in the bucket, complete."""
    size_bytes: int
    """Of those objects."""
    bytes_copied: int
    columns_changed: bool
    manifest: str | None
    """Its gs:// URI; None while there is none."""
    error: ExportError | None

    def to_json(self) -> dict[str, object]:
        """Return the form that the answer has."""
        period = self.export.period
        return {
            "aggregation": self.export.aggregation,
            "frequency": period.frequency,
            "start_date": period.start.isoformat(),
            "end_date": period.end.isoformat(),
            "file_prefix": self.export.file_prefix,
            "status": self.status,
            "objects": self.objects,
            "bytes": self.size_bytes,
            "bytes_copied": self.bytes_copied,
            "columns_changed": self.columns_changed,
            "manifest": self.manifest,
            "error": self.error and {"type": self.error.type, "detail": self.error.detail},
        }
