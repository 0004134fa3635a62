"""One call that copies nothing: `dry_run` says what a run would do, `enqueue` turns it into tasks.

Usercentrics is not asked and the API key is not read. The call writes one log line, and none of those that a run writes
per period: what is planned or queued is not in the bucket yet.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from analytics_export.errors import DeadlineReached, ExportError, TryAgainLater
from analytics_export.export_request import ExportRequest
from analytics_export.periods import Export
from analytics_export.plan import PlannedExport, plan
from analytics_export.report import ExportResult, Status
from analytics_export.services import Services
from analytics_export.survey import Survey, survey

READS_AT_ONCE = 32
"""Of manifests whose metadata do not say enough; each read mostly waits for its answer."""


Enqueue = Callable[[Sequence[Export], Callable[[Export], object]], ExportError | None]
"""Queues exports and calls back for each that is queued; returns the error that stopped it, or None."""


class Planning:
    """The plan of one call, and what was queued. `work` makes it; `results` may be called at any time."""

    def __init__(self, services: Services, request: ExportRequest, enqueue: Enqueue | None) -> None:
        """`enqueue` queues what is to do; without it, the plan is only reported."""
        self._services = services
        self._request = request
        self._enqueue = enqueue
        self._reads = ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="plan")
        self._survey = Survey({}, {}, 0)
        self._planned: tuple[PlannedExport, ...] = ()
        self._queued: set[Export] = set()
        self._error: ExportError | None = None

    def work(self) -> None:
        """List the manifests, plan, and queue; an error is kept for `results`."""
        if not self._request.exports:
            return
        try:
            self._survey = survey(self._services, self._request, self._reads)
        except ExportError as error:
            self._end(error)
            return
        self._planned = plan(
            self._request.exports,
            self._survey.summaries,
            analytics_id=self._services.analytics_id,
            skip_complete=self._request.skip_complete,
        )
        to_do = [planned.export for planned in self._planned if planned.complete is None]
        if self._enqueue is None:
            self._services.log.info("periods_planned", **self._counts(planned=len(to_do)))
            return
        ended_by = self._enqueue(to_do, self._queued.add) if to_do else None
        if ended_by is None:
            self._services.log.info("periods_queued", **self._counts(queued=len(to_do)))
        else:
            self._end(ended_by)

    def results(self, *, unfinished: ExportError | None = None) -> list[ExportResult]:
        """Return the state of each export, oldest first; `unfinished` is the error where `work` has not ended."""
        if unfinished is not None:
            self._end(unfinished)
        planned = self._planned or [PlannedExport(export, None) for export in self._request.exports]
        return [self._result(each) for each in planned]

    def close(self) -> None:
        """Start no more work; what is running ends by itself."""
        self._reads.shutdown(wait=False, cancel_futures=True)

    def _end(self, error: ExportError) -> None:
        """Keep the error and log it; only the first counts, which may be the one that was answered."""
        if self._error is not None:
            return
        self._error = error
        write = self._services.log.warning if isinstance(error, TryAgainLater) else self._services.log.error
        counts = self._counts(queued=len(self._queued))
        write("planning_broken_off", **counts, error_type=error.type, detail=error.detail)

    def _counts(self, **counts: int) -> dict[str, object]:
        first, last = self._request.exports[0], self._request.exports[-1]
        return {
            "aggregation": first.aggregation,
            "frequency": first.period.frequency,
            "first_start_date": first.period.start.isoformat(),
            "last_start_date": last.period.start.isoformat(),
            "periods": len(self._request.exports),
            **counts,
        }

    def _result(self, planned: PlannedExport) -> ExportResult:
        status, error = self._status(planned)
        found = self._survey.summaries.get(planned.export)
        return ExportResult(
            export=planned.export,
            status=status,
            objects=found.objects if found else 0,
            size_bytes=found.size_bytes if found else 0,
            bytes_copied=0,
            columns_changed=False,
            manifest=self._services.manifests.uri(planned.export) if found else None,
            error=error,
        )

    def _status(self, planned: PlannedExport) -> tuple[Status, ExportError | None]:
        if planned.complete is not None:
            return Status.COMPLETE, None
        if planned.export in self._queued:
            return Status.QUEUED, None
        if self._error is not None:
            status = Status.INCOMPLETE if isinstance(self._error, DeadlineReached) else Status.FAILED
            return status, self._error
        return Status.PLANNED, None
