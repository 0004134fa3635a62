"""One call that exports: its plan, its periods side by side, and a comparison of their columns at the end."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from analytics_export.bucket.header_rules import Columns
from analytics_export.bucket.manifest import Summary
from analytics_export.errors import DeadlineReached, Defect, ExportError, without_traces
from analytics_export.export_request import ExportRequest
from analytics_export.period_sync import Outcome, PeriodSync, log_fields
from analytics_export.periods import Export
from analytics_export.plan import PlannedExport, plan
from analytics_export.report import ExportResult, Status
from analytics_export.services import Services
from analytics_export.survey import Survey, side_by_side, survey
from analytics_export.time_limit import because_time_is_over

PERIODS_AT_ONCE = 32
"""Periods of short files mostly wait for answers; the pool of transfers bounds what moves bytes."""
FRESH_S = 15.0
"""How long the listing at the start is trusted about a period's manifest, in seconds; later it is read again."""


class Run:
    """The exports of one call. `work` copies them; `results` may be called at any time."""

    def __init__(self, services: Services, request: ExportRequest) -> None:
        self._services = services
        self._request = request
        self._clock = services.deadline.clock
        self._periods = ThreadPoolExecutor(PERIODS_AT_ONCE, thread_name_prefix="period")
        self._outcomes: dict[Export, Outcome] = {}

    def work(self) -> None:
        """Work on every period until the deadline; one that fails does not stop the others."""
        if not self._request.exports:
            return
        try:
            found = survey(self._services, self._request, self._periods)
        except ExportError as error:
            reason = without_traces(because_time_is_over(error))
            for export in self._request.exports:
                self._end(export, Outcome(self._not_started(export, reason)), self._clock.monotonic())
            return
        planned = plan(
            self._request.exports,
            found.summaries,
            analytics_id=self._services.analytics_id,
            skip_complete=self._request.skip_complete,
        )
        first = next((each for each in planned if each.complete is None), None)
        side_by_side(self._periods, lambda each: self._work_on(each, found, is_first=each is first), planned)
        self._compare_columns(found)

    def results(self, *, unfinished: ExportError | None = None) -> list[ExportResult]:
        """Return how each export ended, oldest first; `unfinished` is the error of those that have not."""
        results = []
        for export in self._request.exports:
            if export not in self._outcomes and unfinished is not None:
                self._end(export, Outcome(self._not_started(export, unfinished)), self._clock.monotonic())
            if export in self._outcomes:
                results.append(self._outcomes[export].result)
        return results

    def close(self) -> None:
        """Start no more work; what is running ends by itself."""
        self._periods.shutdown(wait=False, cancel_futures=True)

    def _work_on(self, planned: PlannedExport, found: Survey, *, is_first: bool) -> None:
        """Work on one period; a defect in it does not stop the others."""
        began_s = self._clock.monotonic()
        export = planned.export
        try:
            outcome = self._outcome(planned, found, is_first=is_first)
        except Exception as error:  # noqa: BLE001 - a defect in one period must not stop the others
            self._services.log.bind(**log_fields(export)).defect(error)
            outcome = Outcome(self._not_started(export, Defect()))
        self._end(export, outcome, began_s)

    def _outcome(self, planned: PlannedExport, found: Survey, *, is_first: bool) -> Outcome:
        export = planned.export
        if planned.complete is not None:
            return Outcome(self._skipped(planned.complete))
        if (
            not is_first and self._services.deadline.is_over
        ):  # the first period is worked on anyway, so that every call makes progress
            error = DeadlineReached("The run's time is over. Call again: it goes on from what is done.")
            return Outcome(self._not_started(export, error))
        sync = PeriodSync(self._services, export, skip_complete=self._request.skip_complete)
        is_fresh = self._clock.monotonic() - found.at_s < FRESH_S
        return sync.run(is_fresh=is_fresh, listed=found.listed.get(export))

    def _skipped(self, complete: Summary) -> ExportResult:
        return ExportResult(
            export=complete.export,
            status=Status.COMPLETE,
            objects=complete.objects,
            size_bytes=complete.size_bytes,
            bytes_copied=0,
            columns_changed=False,
            manifest=self._services.manifests.uri(complete.export),
            error=None,
        )

    def _not_started(self, export: Export, error: ExportError) -> ExportResult:
        status = Status.INCOMPLETE if isinstance(error, DeadlineReached) else Status.FAILED
        return ExportResult(export, status, 0, 0, 0, columns_changed=False, manifest=None, error=error)

    def _end(self, export: Export, outcome: Outcome, began_s: float) -> None:
        """Keep an outcome and log it; only the first of a period counts, which may be the one that was answered."""
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

    # Columns are compared when all periods have ended, so that their order does not matter

    def _compare_columns(self, found: Survey) -> None:
        """Compare each period that was worked on with the one before it, oldest first."""
        for export in self._request.exports:
            outcome = self._outcomes[export]
            if outcome.result.status not in {Status.COPIED, Status.UNCHANGED}:
                continue
            old, new = outcome.columns, outcome.differing
            if new is None:
                old, new = self._columns_before(export, found), outcome.columns
            if old and new and old != new:
                self._outcomes[export] = replace(outcome, result=replace(outcome.result, columns_changed=True))
                self._services.log.bind(**log_fields(export)).warning(
                    "columns_changed",
                    columns_added=_shown(set(new) - set(old)),
                    columns_removed=_shown(set(old) - set(new)),
                )

    def _columns_before(self, export: Export, found: Survey) -> Columns:
        """Return the columns of the period before; () where there is none."""
        before = export.previous
        if before is None:
            return ()
        if before in self._outcomes and self._outcomes[before].columns:
            return self._outcomes[before].columns
        summary = found.summaries.get(before)
        if summary is not None and summary.columns is not None:
            return summary.columns
        if before in found.listed:
            with suppress(ExportError):
                stored = self._services.manifests.read(before, found.listed[before])
                return stored.manifest.csv_format.columns if stored.manifest else ()
        return ()


def _shown(names: set[str]) -> list[str]:
    return [name[:100] for name in sorted(names)[:50]]
