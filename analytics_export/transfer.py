"""One link -> one object: the copy itself.

One GET is streamed into one PUT of a resumable session that declares the source's checksum. The source's side mends
itself below `SourceStream.read`; the bucket's side is mended here, by asking what the session keeps and going on there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from analytics_export.bucket.bucket import Landing, PreconditionFailed
from analytics_export.bucket.csv_header import CsvFormat, HeaderSniffer
from analytics_export.bucket.manifest import StoredObject
from analytics_export.bucket.upload import SessionLost, Upload, UploadInterrupted, UploadRefused
from analytics_export.errors import Conflict, IntegrityFailure, UpstreamUnavailable
from analytics_export.logs import Log
from analytics_export.retries import Deadline, Patience
from analytics_export.source.download import Mismatch, Source, SourceChanged, SourceStream
from analytics_export.source.links import Listing
from analytics_export.source.stored_headers import SourceFile

PROGRESS_EVERY_S = 20.0
MAX_VERSIONS = 3
"""How many versions of a file one copy follows before it leaves the rest to a new comparison."""


@dataclass(frozen=True)
class Landed:
    """A file that is in the bucket, whole and equal to the source."""

    stored: StoredObject
    is_copied: bool
    """False where it was there already."""
    csv_format: CsvFormat | None
    """As seen while copying; None where no text passed by."""


class Transfer:
    """Brings one file into the bucket."""

    def __init__(
        self,
        *,
        listing: Listing,
        file_name: str,
        object_name: str,
        held: StoredObject | None,
        source: Source,
        landing: Landing,
        before_visible: Callable[[], None],
        log: Log,
    ) -> None:
        """`held` is what the bucket has under the name; `before_visible` is called before that changes."""
        self._listing = listing
        self._file_name = file_name
        self._object_name = object_name
        self._held = held
        self._source = source
        self._landing = landing
        self._before_visible = before_visible
        self._log = log.bind(object=object_name)
        self._deadline: Deadline = source.deadline
        self._monotonic = source.deadline.clock.monotonic
        self._stream: SourceStream | None = None
        self._began = self._said = self._monotonic()
        self._is_stopped = False

    def run(self, before_copy: Callable[[], None]) -> Landed:
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
                        "ask Usercentrics to issue the export anew."
                    ) from mismatch
            except SourceChanged as change:
                changes += 1
                self._log.info("source_changed", detail=change.detail)
                if changes >= MAX_VERSIONS:
                    raise

    def stop(self) -> None:
        """End a running copy from another thread, with DeadlineReached."""
        self._is_stopped = True
        if self._stream is not None:
            self._stream.stop()

    def say_progress(self) -> None:
        """Log how far a long copy is, every `PROGRESS_EVERY_S`; called from another thread."""
        now, stream = self._monotonic(), self._stream
        if stream is not None and now - self._said >= PROGRESS_EVERY_S:
            self._said = now
            self._log.info(
                "copy_progress",
                copied_bytes=stream.position,
                size_bytes=stream.size_bytes,
                seconds=round(now - self._began, 1),
            )

    def _once(self, before_copy: Callable[[], None]) -> Landed:
        held = self._held
        if held is not None and held.size > 0 and _equal(held, self._source.look(self._listing, self._file_name)):
            return Landed(held, is_copied=False, csv_format=None)
        before_copy()
        with SourceStream(self._source, self._listing, self._file_name) as stream:
            self._stream = stream
            if self._is_stopped:
                stream.stop()
            file = stream.begin()
            if held is not None and _equal(held, file):
                return Landed(held, is_copied=False, csv_format=None)
            if file.size == 0:
                stream.check_stop()
                self._before_visible()
            landed = self._copied(stream)
        if landed.is_copied:
            seconds = round(self._monotonic() - self._began, 3)
            self._log.info("object_copied", size_bytes=landed.stored.size, seconds=seconds)
        return landed

    def _copied(self, stream: SourceStream) -> Landed:
        body = _Body(stream, self._before_visible)
        try:
            stored = self._uploaded(stream, body)
        except (UploadRefused, PreconditionFailed):
            stored = self._settled_by_another(stream.file)
        if not _equal(stored, stream.file):
            self._landing.remove(self._object_name, generation=stored.generation)
            raise Mismatch(f"{self._file_name}: Cloud Storage stored other bytes than the source declares.")
        is_sent = stream.position == stream.file.size
        return Landed(stored, is_copied=is_sent, csv_format=body.header.csv_format() if is_sent else None)

    def _uploaded(self, stream: SourceStream, body: "_Body") -> StoredObject:
        """Send until the object is there, in a new session where Cloud Storage loses one."""
        patience = Patience(self._deadline)
        while True:
            upload = self._landing.begin_upload(self._object_name, stream.file, replaces=self._held)
            try:
                return self._through(upload, stream, body, patience)
            except SessionLost:
                patience.wait(UpstreamUnavailable(f"{self._object_name}: Cloud Storage lost the upload session."))
            except UploadRefused:
                raise
            except BaseException:
                upload.cancel()
                raise

    def _through(self, upload: Upload, stream: SourceStream, body: "_Body", patience: Patience) -> StoredObject:
        """Send in one session; after an interruption, go on from what it keeps."""
        kept, furthest = 0, 0
        while True:
            stream.seek(kept)
            try:
                outcome = upload.send(body, kept)
                if outcome == kept:
                    raise UploadInterrupted(f"{self._object_name}: Cloud Storage keeps no more than {kept} bytes.")
            except UploadInterrupted as failure:
                self._log.info("upload_interrupted", detail=failure.detail)
                outcome = _asked(upload, patience, failure)
            if isinstance(outcome, StoredObject):
                return outcome
            kept = outcome
            if kept > furthest:
                furthest = kept
                patience.progressed()

    def _settled_by_another(self, file: SourceFile) -> StoredObject:
        """After a refusal, see what is there: the same bytes are as good as ours, and may be ours.

        Raises Conflict where somebody wrote other bytes, Mismatch where nobody wrote: then the checksum was refused.
        """
        now = self._landing.look(self._object_name)
        if now is not None and _equal(now, file):
            return now
        if now != self._held:
            raise Conflict(f"{self._object_name} was written by another run meanwhile.")
        raise Mismatch(f"{self._file_name}: the bytes do not fit the crc32c {file.crc32c} that the source declares.")


def _asked(upload: Upload, patience: Patience, failure: UploadInterrupted) -> StoredObject | int:
    while True:
        patience.wait(failure)
        try:
            return upload.status()
        except UploadInterrupted as again:
            failure = again


class _Body:
    """What an upload sends: the stream's bytes from where it stands, watched while they pass."""

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
        if self._stream.position == self._stream.file.size:
            self._before_visible()  # the object becomes visible when this block has arrived
        return block


def _equal(stored: StoredObject, file: SourceFile) -> bool:
    return (stored.size, stored.crc32c) == (file.size, file.crc32c)
