"""The story of one period: list, compare, copy, remove what is stale, and write the manifest last.

Two runs may work on one period at once, and Usercentrics may issue it again meanwhile. There is no lock. Every write
carries a generation precondition; if one fails, the run compares the whole period again. So the bucket ends as the
export service lists it, whoever wrote which file.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import uniform

from analytics_export.bucket.csv_header import CsvFormat, compared
from analytics_export.bucket.guard import ManifestGuard
from analytics_export.bucket.header_rules import Columns
from analytics_export.bucket.manifest import Manifest, StoredObject
from analytics_export.bucket.manifests import ListedManifest
from analytics_export.errors import (
    Conflict,
    DeadlineReached,
    ExportError,
    NotAvailableYet,
    TryAgainLater,
    without_traces,
    worst,
)
from analytics_export.periods import Export
from analytics_export.plan import is_of
from analytics_export.report import ExportResult, Status
from analytics_export.services import Services
from analytics_export.source.links import Listing
from analytics_export.time_limit import because_time_is_over
from analytics_export.transfer import Transfer, TransferResult

PAUSES_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""The longest pause before each further attempt, in seconds; drawn at random, so that one of two runs gets ahead."""


@dataclass(frozen=True)
class Outcome:
    """How one period ended, and its columns."""

    result: ExportResult
    columns: Columns = ()
    """Of the first of its files that has a header; () where none has."""
    differing: Columns | None = None
    """The first header among the period's files that is not `columns`; None where all agree."""


class PeriodSync:
    """Brings one period into the bucket."""

    def __init__(self, services: Services, export: Export, *, skip_complete: bool) -> None:
        self._services = services
        self._export = export
        self._skip_complete = skip_complete
        self._bucket = services.bucket
        self._deadline = services.deadline
        self._log = services.log.bind(**log_fields(export))
        self._guard = ManifestGuard(services.bucket, services.manifests, export)
        self._transferred: list[TransferResult] = []
        self._bytes_copied = 0
        self._has_changed = False

    def run(self, *, is_fresh: bool, listed: ListedManifest | None) -> Outcome:
        """Bring the period into the bucket and return how it ended; never raises an ExportError.

        `listed` is what a listing said of its manifest, None where it found none. It is used only if it `is_fresh`.
        """
        try:
            return self._until_stable(is_fresh=is_fresh, listed=listed)
        except ExportError as error:
            return Outcome(self._failed(without_traces(because_time_is_over(error))))

    def _until_stable(self, *, is_fresh: bool, listed: ListedManifest | None) -> Outcome:
        """Repeat the attempt while another run, or a new issue of the export, changes the period."""
        if not is_fresh or listed is not None:
            self._guard.read(listed if is_fresh else None)
        for pause_s in PAUSES_S:
            try:
                return self._attempt()
            except Conflict as conflict:
                self._log.info("compared_anew", detail=conflict.detail)
                self._deadline.check()
                self._deadline.clock.sleep(uniform(0, pause_s))  # noqa: S311 - to spread, not to hide
                self._guard.read()
        return self._attempt()

    def _attempt(self) -> Outcome:
        manifest = self._guard.manifest
        if self._skip_complete and manifest and self._is_ours(manifest) and not self._has_changed:
            return self._complete(Status.COMPLETE, manifest, [manifest.csv_format])
        # The bucket is listed before the source: an object that a later listing of the source does not name is stale.
        # In the other order it could be new, brought by another run with a newer listing.
        existing = self._bucket.files(self._export)
        listing = self._services.service.listing(self._export)
        objects = self._transfer(listing, existing)
        listed = set(listing.file_names)
        self._remove([stored for name, stored in existing.items() if name not in listed])
        manifest = self._guard.manifest
        if manifest is not None and self._is_ours(manifest) and set(manifest.objects) == set(objects):
            status = Status.COPIED if self._has_changed else Status.UNCHANGED
            return self._complete(status, manifest, [manifest.csv_format])
        formats = self._csv_formats()
        manifest = Manifest(
            export=self._export,
            analytics_id=self._services.analytics_id,
            completed_at=self._deadline.clock.now(),
            csv_format=next(iter(formats.values()), CsvFormat()),
            objects=objects,
        )
        self._guard.commit(manifest)
        self._warn_of_unusable_headers(formats)
        return self._complete(Status.COPIED, manifest, list(formats.values()))

    def _transfer(self, listing: Listing, existing: Mapping[str, StoredObject]) -> tuple[StoredObject, ...]:
        """Transfer every file, those that are missing first; raises the worst error after all have ended."""
        names = sorted(listing.file_names, key=lambda name: name in existing)
        transfers = {name: self._transfer_of(listing, name, existing.get(name)) for name in names}
        results = dict(zip(names, self._services.pool.run(transfers.values()), strict=True))
        in_order = [results[name] for name in listing.file_names]
        self._transferred = [result for result in in_order if isinstance(result, TransferResult)]
        copied = [result for result in self._transferred if result.is_copied]
        self._has_changed |= bool(copied)
        self._bytes_copied += sum(result.stored.size for result in copied)
        errors = [result for result in in_order if isinstance(result, ExportError)]
        if errors:
            if not any(isinstance(error, TryAgainLater) for error in errors):
                self._guard.restore()
            raise worst(errors)
        return tuple(result.stored for result in self._transferred)

    def _transfer_of(self, listing: Listing, name: str, existing: StoredObject | None) -> Transfer:
        return Transfer(
            listing=listing,
            file_name=name,
            object_name=self._bucket.layout.object_name(self._export, name),
            existing=existing,
            source=self._services.source,
            bucket=self._bucket,
            guard=self._guard,
            log=self._log,
        )

    def _remove(self, stale: Collection[StoredObject]) -> None:
        if stale:
            self._guard.withdraw()
        for stored in stale:
            self._bucket.remove(stored.name, generation=int(stored.generation))
            self._has_changed = True
            self._log.info("object_removed", object=stored.name, size_bytes=stored.size)

    def _is_ours(self, manifest: Manifest) -> bool:
        return is_of(manifest, self._export, self._services.analytics_id)

    def _csv_formats(self) -> dict[str, CsvFormat]:
        """Return the CSV format of each object with text; of those that were not copied now, from the bucket.

        Only these reads wait for a place in the pool: a copied period does not wait for another period's transfers.
        """
        unseen = [result.stored for result in self._transferred if result.csv_format is None]
        read = dict(zip(unseen, self._services.pool.map(self._bucket.csv_format, unseen), strict=True))
        found = [result.csv_format or read[result.stored] for result in self._transferred]
        names = [result.stored.name for result in self._transferred]
        written = {name: each for name, each in zip(names, found, strict=True) if each is not None}
        return dict(zip(written, compared(list(written.values())), strict=True))

    def _warn_of_unusable_headers(self, formats: Mapping[str, CsvFormat]) -> None:
        """Warn once of first lines that are no header; name the rule and not the line, which may hold personal data."""
        unusable = [(name, each.unusable) for name, each in formats.items() if each.unusable]
        for name, rule in unusable[:1]:
            self._log.warning("header_unusable", object=name, rule=rule, objects=len(unusable))

    def _complete(self, status: Status, manifest: Manifest, formats: Sequence[CsvFormat]) -> Outcome:
        headers = [each.columns for each in formats if each.columns]
        columns = headers[0] if headers else ()
        differing = next((header for header in headers if header != columns), None)
        return Outcome(self._result(status, manifest.objects), columns, differing)

    def _failed(self, error: ExportError) -> ExportResult:
        match error:
            case NotAvailableYet():
                status = Status.NOT_AVAILABLE
            case DeadlineReached():
                status = Status.INCOMPLETE
            case _:
                status = Status.FAILED
        return self._result(status, [result.stored for result in self._transferred], error=error)

    def _result(
        self, status: Status, objects: Collection[StoredObject], *, error: ExportError | None = None
    ) -> ExportResult:
        has_manifest = error is None or self._guard.manifest is not None
        return ExportResult(
            export=self._export,
            status=status,
            objects=len(objects),
            size_bytes=sum(stored.size for stored in objects),
            bytes_copied=self._bytes_copied,
            columns_changed=False,
            manifest=self._services.manifests.uri(self._export) if has_manifest else None,
            error=error,
        )


def log_fields(export: Export) -> dict[str, str]:
    """Return the fields that every log line about an export has."""
    return {
        "aggregation": export.aggregation,
        "frequency": export.period.frequency,
        "start_date": export.period.start.isoformat(),
        "end_date": export.period.end.isoformat(),
        "file_prefix": export.file_prefix,
    }
