"""The story of one run: for each period, list, compare, copy, clean up, and write the manifest last.

Two runs may work on one period at once, and Usercentrics may issue it anew meanwhile. Nobody locks: every change says
what it expects to find, and a run that finds something else compares the whole period again (a round). So the bucket
ends as the export service lists it, whoever wrote which file.
"""

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from random import uniform

from analytics_export.bucket.bucket import Landing
from analytics_export.bucket.csv_header import CsvFormat, compared
from analytics_export.bucket.header_rules import Columns
from analytics_export.bucket.manifest import Manifest, ManifestOnFile, StoredObject
from analytics_export.errors import (
    Conflict,
    DeadlineReached,
    ExportError,
    NotAvailableYet,
    TryAgainLater,
    worst,
)
from analytics_export.export_request import ExportRequest
from analytics_export.logs import Log
from analytics_export.periods import Aggregation, Period
from analytics_export.report import ExportResult, Status
from analytics_export.retries import Deadline
from analytics_export.source.download import Source
from analytics_export.source.export_service import ExportService
from analytics_export.source.links import Listing
from analytics_export.transfer import Landed, Transfer
from analytics_export.transfer_pool import Crew

PAUSES_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""The longest pause before each further round, drawn at random so that of two runs one gets ahead, in seconds."""


@dataclass(frozen=True)
class Exporter:
    """The collaborators of one run."""

    service: ExportService
    source: Source
    landing: Landing
    deadline: Deadline
    analytics_id: str
    parallel_transfers: int
    log: Log

    def run(self, request: ExportRequest) -> Iterator[ExportResult]:
        """Export each period, oldest first; one that fails does not stop the others."""
        for number, period in enumerate(request.periods):
            export = PeriodExport(self, request.aggregation, period, skip_complete=request.skip_complete)
            yield export.run(may_start=number == 0 or not self.deadline.is_over)


class PeriodExport:
    """One period on its way into the bucket."""

    def __init__(self, exporter: Exporter, aggregation: Aggregation, period: Period, *, skip_complete: bool) -> None:
        self._exporter = exporter
        self._landing = exporter.landing
        self._deadline = exporter.deadline
        self._aggregation = aggregation
        self._period = period
        self._skip_complete = skip_complete
        self._log = exporter.log.bind(
            aggregation=aggregation,
            frequency=period.frequency,
            start_date=period.start.isoformat(),
            end_date=period.end.isoformat(),
            file_prefix=period.file_prefix(aggregation),
        )
        self._manifest = ManifestOnFile(None, 0)
        self._taken_away: Manifest | None = None
        self._landed: dict[str, Landed] = {}
        self._bytes_copied = 0
        self._has_changed = False

    def run(self, *, may_start: bool) -> ExportResult:
        """Return how it ended; never raises an ExportError."""
        began = self._deadline.clock.monotonic()
        try:
            if not may_start:
                self._deadline.check()
            result = self._settled()
        except ExportError as error:
            result = self._failed(error)
        seconds = round(self._deadline.clock.monotonic() - began, 3)
        self._say(result, seconds)
        return result

    def _settled(self) -> ExportResult:
        """Repeat the round while something else changes the period."""
        for pause_s in PAUSES_S:
            try:
                return self._round()
            except Conflict as conflict:
                self._log.info("compared_anew", detail=conflict.detail)
                self._deadline.check()
                self._deadline.clock.sleep(uniform(0, pause_s))  # noqa: S311 - to spread, not to hide
        return self._round()

    def _round(self) -> ExportResult:
        self._manifest = self._landing.manifest(self._aggregation, self._period)
        manifest = self._manifest.manifest
        if self._skip_complete and manifest and self._is_ours(manifest) and not self._has_changed:
            return self._done(Status.COMPLETE, manifest, columns_changed=False)
        # the bucket first: what it holds and a later listing does not name is stale, and not what another run, with a
        # newer listing than ours, has just brought
        held = self._landing.held(self._aggregation, self._period)
        listing = self._exporter.service.listing(self._aggregation, self._period)
        names = {name: self._landing.object_name(self._aggregation, self._period, name) for name in listing.file_names}
        self._land(listing, names, held)
        self._remove([stored for name, stored in held.items() if name not in names])
        self._landed = {name: self._landed[name] for name in names}  # as listed: the first one's columns count
        objects = tuple(landed.stored for landed in self._landed.values())
        manifest = self._manifest.manifest
        if manifest is not None and self._fits(manifest, objects):
            status = Status.COPIED if self._has_changed else Status.UNCHANGED
            is_changed = self._says_changed([manifest.csv_format], self._columns_before())
            return self._done(status, manifest, columns_changed=is_changed)
        self._verify(objects)
        return self._completed(objects)

    def _land(self, listing: Listing, names: dict[str, str], held: dict[str, StoredObject]) -> None:
        """Bring every file in, those that are missing first; raises the worst error after all have ended."""
        self._landed = {}
        crew = Crew(self._deadline, self._exporter.parallel_transfers)
        for name in sorted(names, key=lambda name: name in held):
            crew.add(name, self._transfer(listing, name, names[name], held.get(name)))
        errors = crew.work()
        for name, landed in crew.landed.items():
            self._landed[name] = landed
            self._has_changed |= landed.is_copied
            self._bytes_copied += landed.stored.size if landed.is_copied else 0
        if errors:
            if not any(isinstance(error, TryAgainLater) for error in errors):
                self._restore_manifest()
            raise worst(errors)

    def _transfer(self, listing: Listing, name: str, object_name: str, held: StoredObject | None) -> Transfer:
        return Transfer(
            listing=listing,
            file_name=name,
            object_name=object_name,
            held=held,
            source=self._exporter.source,
            landing=self._landing,
            before_visible=lambda: self._before_change(replaces=held is not None),
            log=self._log,
        )

    def _before_change(self, *, replaces: bool) -> None:
        """Take the manifest away before the bucket stops being what it says.

        Where content is replaced or removed, the bucket is asked each time: another run may have written one since.
        """
        if replaces or self._manifest.generation:
            self._landing.remove(self._landing.manifest_name(self._aggregation, self._period))
            self._taken_away = self._manifest.manifest or self._taken_away
            self._manifest = ManifestOnFile(None, 0)

    def _restore_manifest(self) -> None:
        """Put a manifest back that was taken away for a change which was then refused, if the bucket is as it says.

        Only where every upload is known to have ended: one that was given up on may still become visible.
        """
        if self._taken_away is not None:
            with suppress(ExportError):  # the failure that led here is the one to tell
                self._verify(self._taken_away.objects)
                self._manifest = self._landing.write_manifest(self._taken_away, replaces_generation=0)

    def _remove(self, stale: list[StoredObject]) -> None:
        for stored in stale:
            self._before_change(replaces=True)
            self._landing.remove(stored.name, generation=stored.generation)
            self._has_changed = True
            self._log.info("object_removed", object=stored.name, size_bytes=stored.size)

    def _fits(self, manifest: Manifest, objects: tuple[StoredObject, ...]) -> bool:
        return self._is_ours(manifest) and set(manifest.objects) == set(objects)

    def _is_ours(self, manifest: Manifest) -> bool:
        """Say whether it is about this very period, and not of another analytics ID that had the bucket before."""
        told = (manifest.aggregation, manifest.period, manifest.analytics_id)
        return told == (self._aggregation, self._period, self._exporter.analytics_id)

    def _verify(self, objects: tuple[StoredObject, ...]) -> None:
        """See that the bucket holds what this run found and wrote, and nothing else; raises Conflict."""
        if set(self._landing.held(self._aggregation, self._period).values()) != set(objects):
            raise Conflict("Another run changed the period's files meanwhile.")

    def _completed(self, objects: tuple[StoredObject, ...]) -> ExportResult:
        """Write the manifest."""
        before = self._columns_before()
        formats = self._csv_formats(before)
        manifest = Manifest(
            aggregation=self._aggregation,
            period=self._period,
            analytics_id=self._exporter.analytics_id,
            completed_at=self._deadline.clock.now(),
            csv_format=next(iter(formats.values()), CsvFormat()),
            objects=objects,
        )
        self._manifest = self._landing.write_manifest(manifest, replaces_generation=self._manifest.generation)
        try:
            self._verify(objects)
        except Conflict:  # another run changed the files between the look above and the writing
            name = self._landing.manifest_name(self._aggregation, self._period)
            self._landing.remove(name, generation=str(self._manifest.generation))
            raise
        self._say_unusable(formats)
        columns_changed = self._says_changed([*formats.values()], before)
        return self._done(Status.COPIED, manifest, columns_changed=columns_changed)

    def _csv_formats(self, before: Columns) -> dict[str, CsvFormat]:
        """Return how each object that holds text is written; those that were there already are read from the bucket."""
        with ThreadPoolExecutor(self._exporter.parallel_transfers) as pool:
            found = pool.map(
                lambda landed: landed.csv_format or self._landing.csv_format(landed.stored),
                self._landed.values(),
            )
            names = [landed.stored.name for landed in self._landed.values()]
            written = {name: each for name, each in zip(names, found, strict=True) if each is not None}
        return dict(zip(written, compared([*written.values()], before), strict=True))

    def _say_unusable(self, formats: dict[str, CsvFormat]) -> None:
        """Warn once of first lines that are no header, by the rule alone: they may hold anything."""
        unusable = [(name, each.unusable) for name, each in formats.items() if each.unusable]
        for name, rule in unusable[:1]:
            self._log.warning("header_unusable", object=name, rule=rule, objects=len(unusable))

    def _says_changed(self, formats: list[CsvFormat], before: Columns) -> bool:
        """Say, and warn, whether the columns differ between the files or from the period before."""
        headers = [each.columns for each in formats if each.columns]
        differing = [(headers[0], columns) for columns in headers[1:] if columns != headers[0]]
        if headers and before and before != headers[0]:
            differing.append((before, headers[0]))
        for old, new in differing[:1]:
            self._log.warning(
                "columns_changed",
                columns_added=_shown(set(new) - set(old)),
                columns_removed=_shown(set(old) - set(new)),
            )
        return bool(differing)

    def _columns_before(self) -> Columns:
        """Return what the manifest of the period before says; () without one."""
        try:
            before = self._landing.manifest(self._aggregation, self._period.previous).manifest
        except OverflowError:  # the calendar begins with this period
            return ()
        return before.csv_format.columns if before else ()

    def _done(self, status: Status, manifest: Manifest, *, columns_changed: bool) -> ExportResult:
        return self._result(status, manifest.objects, columns_changed=columns_changed)

    def _failed(self, error: ExportError) -> ExportResult:
        match error:
            case NotAvailableYet():
                status = Status.NOT_AVAILABLE
            case DeadlineReached():
                status = Status.INCOMPLETE
            case _:
                status = Status.FAILED
        return self._result(status, [landed.stored for landed in self._landed.values()], error=error)

    def _result(
        self,
        status: Status,
        objects: Collection[StoredObject],
        *,
        columns_changed: bool = False,
        error: ExportError | None = None,
    ) -> ExportResult:
        name = self._landing.manifest_name(self._aggregation, self._period)
        return ExportResult(
            aggregation=self._aggregation,
            period=self._period,
            status=status,
            objects=len(objects),
            size_bytes=sum(stored.size for stored in objects),
            bytes_copied=self._bytes_copied,
            columns_changed=columns_changed,
            manifest=self._landing.uri(name) if error is None or self._manifest.manifest else None,
            error=error,
        )

    def _say(self, result: ExportResult, seconds: float) -> None:
        fields = {
            "status": result.status,
            "objects": result.objects,
            "size_bytes": result.size_bytes,
            "bytes_copied": result.bytes_copied,
            "seconds": seconds,
        }
        if result.error is None:
            self._log.info("export_complete", **fields)
            return
        fields |= {"error_type": result.error.type, "detail": result.error.detail}
        match result.status:
            case Status.NOT_AVAILABLE:
                self._log.warning("export_not_available", **fields)
            case Status.INCOMPLETE:
                self._log.warning("export_incomplete", **fields)
            case _:
                self._log.error("export_failed", **fields)


def _shown(names: set[str]) -> list[str]:
    return [name[:100] for name in sorted(names)[:50]]
