"""The summaries of all manifests, of several aggregations and frequencies side by side."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

from analytics_export.bucket.manifest import Summary
from analytics_export.bucket.manifests import ListedManifest, Manifests
from analytics_export.coverage import CoverageRequest, Kind, last_due
from analytics_export.periods import Export, Period
from analytics_export.survey import side_by_side

REQUESTS_AT_ONCE = 32
"""Each request mostly waits for its answer."""


def summaries(manifests: Manifests, request: CoverageRequest) -> dict[Kind, dict[Export, Summary]]:
    """Return the summaries of the manifests up to the last period that is due, in one request per thousand.

    A manifest whose metadata do not count is read, in one more request. An invalid one does not make a period complete.
    Raises as `Manifests.listed` does.
    """
    pool = ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="inventory")
    try:
        found = side_by_side(pool, lambda kind: _listed(manifests, kind, request), request.kinds)
        known = {export: each.summary for listed in found for export, each in listed.items() if each.summary}
        silent = [item for listed in found for item in listed.items() if item[1].summary is None]
        read = side_by_side(pool, lambda item: manifests.read(*item), silent)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    known |= {export: each.manifest.summary for (export, _), each in zip(silent, read, strict=True) if each.manifest}
    return {
        kind: {export: known[export] for export in listed if export in known}
        for kind, listed in zip(request.kinds, found, strict=True)
    }


def _listed(manifests: Manifests, kind: Kind, request: CoverageRequest) -> dict[Export, ListedManifest]:
    aggregation, frequency = kind
    last = last_due(frequency, request.as_of)
    if last is None:
        return {}
    first = Period.holding(frequency, date.min)
    return manifests.listed(Export(aggregation, first), Export(aggregation, last))
