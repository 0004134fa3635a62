"""One listing of the bucket: what the manifests of the periods asked for say."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TypeVar

from analytics_export.bucket.bucket import ListedManifest
from analytics_export.bucket.manifest import Summary
from analytics_export.export_request import ExportRequest
from analytics_export.periods import Export
from analytics_export.services import Services

T = TypeVar("T")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Survey:
    """What one listing said, and what was read because it did not."""

    listed: Mapping[Export, ListedManifest]
    summaries: Mapping[Export, Summary]
    at_s: float
    """When, on the clock's own count of seconds."""


def survey(services: Services, request: ExportRequest, pool: Executor) -> Survey:
    """List the manifests once, from the period before the first; read, side by side, what the listing does not say.

    `request` names at least one export. Raises as `Bucket.manifests` does.
    """
    at_s = services.deadline.clock.monotonic()
    first, last = request.exports[0], request.exports[-1]
    bucket = services.bucket
    listed = bucket.manifests(first.previous or first, last)
    summaries = {export: each.summary for export, each in listed.items() if each.summary is not None}
    if request.skip_complete:
        unknown = [export for export in listed if export not in summaries]
        stored = side_by_side(pool, lambda export: bucket.manifest(export, listed[export]), unknown)
        summaries |= {
            export: each.manifest.summary for export, each in zip(unknown, stored, strict=True) if each.manifest
        }
    return Survey(listed, summaries, at_s)


def side_by_side(pool: Executor, call: Callable[[T], Result], values: Iterable[T]) -> list[Result]:
    """Return what `call` returns for each value, in their order; raises what the first of them raises.

    Each runs in a context of its own: the call's time limit and functions-framework's execution id are found there.
    """
    futures = [pool.submit(copy_context().run, call, value) for value in values]
    return [future.result() for future in futures]
