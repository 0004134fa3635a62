"""What is there and what a run has to do, from what one listing of the manifests tells. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analytics_export.bucket.manifest import Manifest, Summary
from analytics_export.periods import Export


@dataclass(frozen=True)
class PlannedExport:
    """One period of a plan."""

    export: Export
    complete: Summary | None
    """What its manifest says; None where the period is not complete, or is compared all the same."""


def plan(
    exports: Iterable[Export], summaries: Mapping[Export, Summary], *, analytics_id: str, skip_complete: bool
) -> tuple[PlannedExport, ...]:
    """Return what a run does with each export, in their order; `summaries` are those of the manifests that are there.

    A manifest of another analytics ID, which had the bucket before, completes nothing.
    """

    def complete(export: Export) -> Summary | None:
        summary = summaries.get(export) if skip_complete else None
        return summary if summary is not None and is_of(summary, export, analytics_id) else None

    return tuple(PlannedExport(export, complete(export)) for export in exports)


def is_of(manifest: Manifest | Summary, export: Export, analytics_id: str) -> bool:
    """Say whether a manifest is about this very export of this analytics ID."""
    return (manifest.export, manifest.analytics_id) == (export, analytics_id)
