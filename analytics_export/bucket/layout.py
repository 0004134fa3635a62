"""What objects are called: a period's files, its manifest. No I/O."""

import re
from dataclasses import dataclass
from datetime import date

from analytics_export.errors import LinkRefused
from analytics_export.periods import Aggregation, Export, Frequency, Period

MAX_OBJECT_NAME_BYTES = 1024
"""Source: Cloud Storage, "About objects": names are 1 to 1024 bytes of UTF-8."""

_MANIFEST = re.compile(r"(interaction|granular)/(daily|weekly|monthly)/start_date=([0-9]{4}-[0-9]{2}-[0-9]{2})\.json")


@dataclass(frozen=True)
class Layout:
    """The names below `prefix`, which is empty or ends in a slash."""

    prefix: str

    def folder(self, export: Export) -> str:
        """Return what the names of a period's objects begin with."""
        return f"{self.prefix}{export.aggregation}/{export.period.frequency}/start_date={export.period.start}/"

    def object_name(self, export: Export, file_name: str) -> str:
        """Return the name under which a file is stored; raises LinkRefused where Cloud Storage does not allow it."""
        name = self.folder(export) + file_name
        if len(name.encode()) > MAX_OBJECT_NAME_BYTES:
            raise LinkRefused(
                f"A download link's file name, {file_name[:80]!a}..., is too long: with its folder it must be at most "
                f"{MAX_OBJECT_NAME_BYTES} bytes. Nothing is fetched from it."
            )
        return name

    def manifest(self, export: Export) -> str:
        """Return the name of a period's manifest."""
        folder = self.manifest_folder(export.aggregation, export.period.frequency)
        return f"{folder}start_date={export.period.start}.json"

    def manifest_folder(self, aggregation: Aggregation, frequency: Frequency) -> str:
        """Return what the names of these manifests begin with; they sort by their period's first day."""
        return f"{self.prefix}manifests/{aggregation}/{frequency}/"

    def export_of(self, manifest_name: str) -> Export | None:
        """Return whose manifest has this name; None for any other object."""
        match = _MANIFEST.fullmatch(manifest_name.removeprefix(f"{self.prefix}manifests/"))
        try:
            start = date.fromisoformat(match[3]) if match else None
            period = Period.holding(Frequency(match[2]), start) if match and start else None
        except (ValueError, OverflowError):
            return None
        return Export(Aggregation(match[1]), period) if match and period and period.start == start else None
