"""The manifests that one listing of the bucket finds, for the periods asked for."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from analytics_export.bucket.manifest import Summary
from analytics_export.bucket.manifests import ListedManifest, Manifests
from analytics_export.errors import ExportError
from analytics_export.export_request import ExportRequest
from analytics_export.periods import Export
from analytics_export.services import Services
from analytics_export.time_limit import submit

T = TypeVar("T")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Survey:
    """What one listing found, and what had to be read because its metadata did not say it."""

    listed: Mapping[Export, ListedManifest]
    summaries: Mapping[Export, Summary]
    at_s: float
    """When it was listed, on the clock's monotonic seconds."""


def survey(services: Services, request: ExportRequest, pool: Executor) -> Survey:
    """List the manifests from the period before the first on; read those whose metadata do not say enough.

    `request` names at least one export. Raises as `Manifests.listed` does.
    """
    at_s = services.deadline.clock.monotonic()
    first, last = request.exports[0], request.exports[-1]
    manifests = services.manifests
    listed = manifests.listed(first.previous or first, last)
    summaries = {export: each.summary for export, each in listed.items() if each.summary is not None}
    if request.skip_complete:
        unknown = [export for export in request.exports if export in listed and export not in summaries]
        read = side_by_side(pool, lambda export: _summary(manifests, export, listed[export]), unknown)
        summaries |= {export: each for export, each in zip(unknown, read, strict=True) if each is not None}
    return Survey(listed, summaries, at_s)


def _summary(manifests: Manifests, export: Export, listed: ListedManifest) -> Summary | None:
    """Read one manifest; None where it is invalid or cannot be read. The work on its period finds out why."""
    with suppress(ExportError):
        stored = manifests.read(export, listed)
        return stored.manifest.summary if stored.manifest else None
    return None


def side_by_side(pool: Executor, call: Callable[[T], Result], values: Iterable[T]) -> list[Result]:
    """Return what `call` returns for each value, in their order; raises what the first of them raises."""
    futures = [submit(pool, call, value) for value in values]
    return [future.result() for future in futures]
