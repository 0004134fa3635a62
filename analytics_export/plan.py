"""Which periods are complete, and which a run has to work on. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analytics_export.bucket.manifest import Manifest, Summary
from analytics_export.periods import Export


@dataclass(frozen=True)
class PlannedExport:
    """One period of a plan."""

    export: Export
    complete: Summary | None
    """The summary of its manifest; None where the period is not complete, or is to be compared anyway."""


def plan(
    exports: Iterable[Export], summaries: Mapping[Export, Summary], *, analytics_id: str, skip_complete: bool
) -> tuple[PlannedExport, ...]:
    """Return the plan for each export, in their order; `summaries` are those of the manifests in the bucket.

    A manifest of another analytics ID, which used the bucket before, does not make a period complete.
    """

    def complete(export: Export) -> Summary | None:
        summary = summaries.get(export) if skip_complete else None
        return summary if summary is not None and is_of(summary, export, analytics_id) else None

    return tuple(PlannedExport(export, complete(export)) for export in exports)


def is_of(manifest: Manifest | Summary, export: Export, analytics_id: str) -> bool:
    """Return whether a manifest is of this export and this analytics ID."""
    return (manifest.export, manifest.analytics_id) == (export, analytics_id)
