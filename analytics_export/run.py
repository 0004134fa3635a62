"""One call: its plan, its periods side by side, and in the end what their columns say."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import TypeVar

from analytics_export.bucket.bucket import ListedManifest
from analytics_export.bucket.header_rules import Columns
from analytics_export.bucket.manifest import Summary, columns_digest
from analytics_export.errors import DeadlineReached, ExportError
from analytics_export.export_request import ExportRequest
from analytics_export.period_sync import Outcome, PeriodSync, log_fields
from analytics_export.periods import Export
from analytics_export.plan import PlannedExport, plan
from analytics_export.report import ExportResult, Status
from analytics_export.services import Services

T = TypeVar("T")
Result = TypeVar("Result")

PERIODS_AT_ONCE = 32
"""Periods of short files only wait for answers; what moves bytes is bounded by the pool of transfers."""
FRESH_S = 15.0
"""For so long, what the listing at the start told of a period's manifest is taken for what is there, in seconds."""


@dataclass(frozen=True)
class _Manifests:
    """What the run's one listing told."""

    listed: Mapping[Export, ListedManifest]
    summaries: Mapping[Export, Summary]
    at_s: float


class Run:
    """The exports of one call. `work` brings them in; `results` may be asked at any time."""

    def __init__(self, services: Services, request: ExportRequest) -> None:
        self._services = services
        self._request = request
        self._clock = services.deadline.clock
        self._periods = ThreadPoolExecutor(PERIODS_AT_ONCE, thread_name_prefix="period")
        self._outcomes: dict[Export, Outcome] = {}

    def work(self) -> None:
        """Bring every period in, as far as the time goes; one that fails does not stop the others."""
        if not self._request.exports:
            return
        try:
            manifests = self._manifests()
        except ExportError as error:
            for export in self._request.exports:
                self._end(export, Outcome(self._without_a_try(export, error)), self._clock.monotonic())
            return
        planned = plan(
            self._request.exports,
            manifests.summaries,
            analytics_id=self._services.analytics_id,
            skip_complete=self._request.skip_complete,
        )
        self._side_by_side(lambda numbered: self._one(*numbered, manifests), enumerate(planned))
        self._compare_columns(manifests)

    def results(self, *, unfinished: ExportError | None = None) -> list[ExportResult]:
        """Return how each export ended, oldest first; `unfinished` is the error of those that have not."""
        results = []
        for export in self._request.exports:
            if export not in self._outcomes and unfinished is not None:
                self._end(export, Outcome(self._without_a_try(export, unfinished)), self._clock.monotonic())
            if export in self._outcomes:
                results.append(self._outcomes[export].result)
        return results

    def close(self) -> None:
        """Start nothing any more; what is under way ends by itself."""
        self._periods.shutdown(wait=False, cancel_futures=True)

    def _manifests(self) -> _Manifests:
        """Look at the bucket once, from the period before the span to its last; read what the listing cannot tell."""
        at_s = self._clock.monotonic()
        first, last = self._request.exports[0], self._request.exports[-1]
        bucket = self._services.bucket
        listed = bucket.manifests(first.previous or first, last)
        summaries = {export: each.summary for export, each in listed.items() if each.summary is not None}
        if self._request.skip_complete:
            unknown = [export for export in listed if export not in summaries]
            stored = self._side_by_side(lambda export: bucket.manifest(export, listed[export]), unknown)
            summaries |= {
                export: each.manifest.summary for export, each in zip(unknown, stored, strict=True) if each.manifest
            }
        return _Manifests(listed, summaries, at_s)

    def _one(self, number: int, planned: PlannedExport, manifests: _Manifests) -> None:
        began_s = self._clock.monotonic()
        export = planned.export
        if planned.complete is not None:
            outcome = Outcome(self._skipped(planned.complete))
        elif number > 0 and self._services.deadline.is_over:  # the first goes on, so that every call makes progress
            error = DeadlineReached("The run's time is over. Call again: it goes on from what is done.")
            outcome = Outcome(self._without_a_try(export, error))
        else:
            sync = PeriodSync(self._services, export, skip_complete=self._request.skip_complete)
            is_fresh = began_s - manifests.at_s < FRESH_S
            outcome = sync.run(is_fresh=is_fresh, listed=manifests.listed.get(export))
        self._end(export, outcome, began_s)

    def _side_by_side(self, call: Callable[[T], Result], values: Iterable[T]) -> list[Result]:
        # each in a context of its own: the call's time limit and functions-framework's execution id are found there
        futures = [self._periods.submit(copy_context().run, call, value) for value in values]
        return [future.result() for future in futures]

    def _skipped(self, complete: Summary) -> ExportResult:
        return ExportResult(
            export=complete.export,
            status=Status.COMPLETE,
            objects=complete.objects,
            size_bytes=complete.size_bytes,
            bytes_copied=0,
            columns_changed=False,
            manifest=self._uri(complete.export),
            error=None,
        )

    def _without_a_try(self, export: Export, error: ExportError) -> ExportResult:
        status = Status.INCOMPLETE if isinstance(error, DeadlineReached) else Status.FAILED
        return ExportResult(export, status, 0, 0, 0, columns_changed=False, manifest=None, error=error)

    def _uri(self, export: Export) -> str:
        bucket = self._services.bucket
        return bucket.uri(bucket.layout.manifest(export))

    def _end(self, export: Export, outcome: Outcome, began_s: float) -> None:
        """Keep an outcome and log it; one that comes after the answer went out without it is too late."""
        if self._outcomes.setdefault(export, outcome) is not outcome:
            return
        result, log = outcome.result, self._services.log.bind(**log_fields(export))
        fields: dict[str, object] = {
            "status": result.status,
            "objects": result.objects,
            "size_bytes": result.size_bytes,
            "bytes_copied": result.bytes_copied,
            "seconds": round(self._clock.monotonic() - began_s, 3),
        }
        if result.error is None:
            log.info("export_complete", **fields)
            return
        fields |= {"error_type": result.error.type, "detail": result.error.detail}
        match result.status:
            case Status.NOT_AVAILABLE:
                log.warning("export_not_available", **fields)
            case Status.INCOMPLETE:
                log.warning("export_incomplete", **fields)
            case _:
                log.error("export_failed", **fields)

    # Columns, once all periods have ended, so that it does not matter which ends first

    def _compare_columns(self, manifests: _Manifests) -> None:
        """Compare each period that was worked on with the one before it, oldest first."""
        for export in self._request.exports:
            outcome = self._outcomes[export]
            if outcome.result.status not in {Status.COPIED, Status.UNCHANGED}:
                continue
            old, new = outcome.columns, outcome.differing
            if new is None:
                old, new = self._columns_before(export, outcome.columns, manifests), outcome.columns
            if old and new and old != new:
                self._outcomes[export] = replace(outcome, result=replace(outcome.result, columns_changed=True))
                self._services.log.bind(**log_fields(export)).warning(
                    "columns_changed",
                    columns_added=_shown(set(new) - set(old)),
                    columns_removed=_shown(set(old) - set(new)),
                )

    def _columns_before(self, export: Export, columns: Columns, manifests: _Manifests) -> Columns:
        """Return the columns of the period before; () where there is none."""
        before = export.previous
        if before is None:
            return ()
        if before in self._outcomes and self._outcomes[before].columns:
            return self._outcomes[before].columns
        summary = manifests.summaries.get(before)
        if before not in manifests.listed:
            return ()
        if summary is not None and summary.columns_digest in {"", columns_digest(columns)}:
            return columns if summary.columns_digest else ()
        with suppress(ExportError):
            stored = self._services.bucket.manifest(before, manifests.listed[before])
            return stored.manifest.csv_format.columns if stored.manifest else ()
        return ()


def _shown(names: set[str]) -> list[str]:
    return [name[:100] for name in sorted(names)[:50]]
