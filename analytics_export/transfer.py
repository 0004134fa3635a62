"""One link -> one object: the copy itself.

A short file is read whole and written in one request. A longer one is one GET streamed into one PUT of a resumable
session. Either way the source's checksum is declared, and Cloud Storage makes the object visible only if the bytes
match it. `SourceStream.read` resumes broken downloads; broken uploads are resumed here, from what the session has.
"""

from collections.abc import Callable
from dataclasses import dataclass

from analytics_export.bucket.bucket import Bucket
from analytics_export.bucket.cloud_storage import PreconditionFailed
from analytics_export.bucket.csv_header import CsvFormat, HeaderSniffer
from analytics_export.bucket.guard import ManifestGuard
from analytics_export.bucket.manifest import StoredObject
from analytics_export.bucket.upload import SessionLost, Upload, UploadInterrupted, UploadRefused
from analytics_export.errors import Conflict, IntegrityFailure, UpstreamUnavailable
from analytics_export.http import BLOCK_BYTES
from analytics_export.logs import Log
from analytics_export.retries import RetryBudget
from analytics_export.source.download import Mismatch, Source, SourceChanged, SourceStream
from analytics_export.source.links import Listing
from analytics_export.source.stored_headers import SourceFile

PROGRESS_EVERY_S = 20.0
MAX_VERSIONS = 3
"""How many versions of a changing file one copy starts; after that the whole period is compared again."""
SINGLE_REQUEST_BYTES = 1024 * 1024
"""Files up to this size are written in one request: half the requests, and starting over costs little."""


@dataclass(frozen=True)
class TransferResult:
    """A file that is in the bucket, complete and equal to the source."""

    stored: StoredObject
    is_copied: bool
    """False where the bucket had it already."""
    csv_format: CsvFormat | None
    """Found while copying; None where no text was copied."""


class Transfer:
    """Brings one file into the bucket."""

    def __init__(
        self,
        *,
        listing: Listing,
        file_name: str,
        object_name: str,
        existing: StoredObject | None,
        source: Source,
        bucket: Bucket,
        guard: ManifestGuard,
        log: Log,
    ) -> None:
        """`existing` is the object that the bucket has under this name."""
        self._listing = listing
        self._file_name = file_name
        self._object_name = object_name
        self._existing = existing
        self._source = source
        self._bucket = bucket
        self._guard = guard
        self._log = log.bind(object=object_name)
        self._deadline = source.deadline
        self._monotonic = source.deadline.clock.monotonic
        self._stream: SourceStream | None = None
        self._began = self._reported = self._monotonic()

    def run(self, before_copy: Callable[[], None]) -> TransferResult:
        """Compare, and copy where needed; `before_copy` may raise to prevent it.

        Raises Conflict where the bucket or the listing changed meanwhile, IntegrityFailure after a second mismatch,
        LinkRefused, ExportServiceError, Misconfigured, DeadlineReached and UpstreamUnavailable.
        """
        mismatches = changes = 0
        while True:
            try:
                return self._once(before_copy)
            except Mismatch as mismatch:
                mismatches += 1
                self._log.warning("integrity_mismatch", detail=mismatch.detail, tries=mismatches)
                if mismatches > 1:
                    raise IntegrityFailure(
                        f"{mismatch.detail} It was read twice; nothing of it is stored. Call again; if it stays so, "
                        "ask Usercentrics to issue the export again."
                    ) from mismatch
            except SourceChanged as change:
                changes += 1
                self._log.info("source_changed", detail=change.detail)
                if changes >= MAX_VERSIONS:
                    raise

    def report_progress(self) -> None:
        """Log the progress of a long copy, every `PROGRESS_EVERY_S`; called from another thread."""
        now, stream = self._monotonic(), self._stream
        if stream is not None and now - self._reported >= PROGRESS_EVERY_S:
            self._reported = now
            self._log.info(
                "copy_progress",
                copied_bytes=stream.position,
                size_bytes=stream.size_bytes,
                seconds=round(now - self._began, 1),
            )

    def _once(self, before_copy: Callable[[], None]) -> TransferResult:
        existing = self._existing
        if existing is not None and existing.size > 0 and self._is_at_source(existing):
            return TransferResult(existing, is_copied=False, csv_format=None)
        before_copy()
        with SourceStream(self._source, self._listing, self._file_name) as stream:
            self._stream = stream
            file = stream.begin()
            if existing is not None and _equal(existing, file):
                return TransferResult(existing, is_copied=False, csv_format=None)
            result = self._copied(stream)
        if result.is_copied:
            seconds = round(self._monotonic() - self._began, 3)
            self._log.info("object_copied", size_bytes=result.stored.size, seconds=seconds)
        return result

    def _is_at_source(self, existing: StoredObject) -> bool:
        return _equal(existing, self._source.stat(self._listing, self._file_name))

    def _copied(self, stream: SourceStream) -> TransferResult:
        body = _Body(stream, self._before_visible)
        is_short = stream.file.size <= SINGLE_REQUEST_BYTES
        try:
            stored = self._in_one_request(stream.file, body) if is_short else self._in_a_session(stream, body)
        except (UploadRefused, PreconditionFailed):
            stored = self._object_after_refusal(stream.file)
        if not _equal(stored, stream.file):
            self._bucket.remove(self._object_name, generation=int(stored.generation))
            raise Mismatch(f"{self._file_name}: Cloud Storage stored other bytes than the source declares.")
        is_sent = stream.position == stream.file.size
        return TransferResult(stored, is_copied=is_sent, csv_format=body.header.csv_format() if is_sent else None)

    def _before_visible(self) -> None:
        self._guard.withdraw_once(replaces=self._existing is not None)

    def _in_one_request(self, file: SourceFile, body: "_Body") -> StoredObject:
        if file.size == 0:
            self._before_visible()
        data = b"".join(iter(lambda: body.read(BLOCK_BYTES), b""))
        return self._bucket.insert(self._object_name, file, data, replaces=self._existing)

    def _in_a_session(self, stream: SourceStream, body: "_Body") -> StoredObject:
        """Send the file in a resumable session, and in a new one where Cloud Storage loses it."""
        budget = RetryBudget(self._deadline)
        while True:
            upload = self._bucket.begin_upload(self._object_name, stream.file, replaces=self._existing)
            try:
                return self._through(upload, stream, body, budget)
            except SessionLost:
                budget.wait(UpstreamUnavailable(f"{self._object_name}: Cloud Storage lost the upload session."))
            except UploadRefused:
                raise
            except BaseException:
                upload.cancel()
                raise

    def _through(self, upload: Upload, stream: SourceStream, body: "_Body", budget: RetryBudget) -> StoredObject:
        """Send in one session; after an interruption, continue from the bytes that it has kept."""
        kept, furthest = 0, 0
        while True:
            stream.seek(kept)
            try:
                outcome = upload.send(body, kept)
                if outcome == kept:
                    raise UploadInterrupted(f"{self._object_name}: Cloud Storage keeps no more than {kept} bytes.")
            except UploadInterrupted as failure:
                self._log.info("upload_interrupted", detail=failure.detail)
                outcome = _status_after(failure, upload, budget)
            if isinstance(outcome, StoredObject):
                return outcome
            kept = outcome
            if kept > furthest:
                furthest = kept
                budget.progressed()

    def _object_after_refusal(self, file: SourceFile) -> StoredObject:
        """Read the object to learn why the upload was refused.

        Equal bytes mean success: another run's, or ours with a lost answer. Raises Conflict where another run wrote
        other bytes, and Mismatch where the object is unchanged: then the checksum was refused.
        """
        now = self._bucket.stat(self._object_name)
        if now is not None and _equal(now, file):
            return now
        if now != self._existing:
            raise Conflict(f"{self._object_name} was written by another run meanwhile.")
        raise Mismatch(f"{self._file_name}: the bytes do not fit the crc32c {file.crc32c} that the source declares.")


def _status_after(failure: UploadInterrupted, upload: Upload, budget: RetryBudget) -> StoredObject | int:
    while True:
        budget.wait(failure)
        try:
            return upload.status()
        except UploadInterrupted as again:
            failure = again


class _Body:
    """What an upload sends: the bytes of the stream from its position on. The CSV header is read on the way."""

    def __init__(self, stream: SourceStream, before_visible: Callable[[], None]) -> None:
        self._stream = stream
        self._before_visible = before_visible
        self.header = HeaderSniffer()

    def __len__(self) -> int:
        return self._stream.file.size - self._stream.position

    def read(self, limit: int) -> bytes:
        position = self._stream.position
        block = self._stream.read(limit)
        if not self.header.is_done:
            self.header.feed(position, block)
        if block and self._stream.position == self._stream.file.size:
            self._before_visible()  # the object becomes visible when this last block has arrived
        return block


def _equal(stored: StoredObject, file: SourceFile) -> bool:
    return (stored.size, stored.crc32c) == (file.size, file.crc32c)
