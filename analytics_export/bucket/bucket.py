"""The bucket: what a period holds, its manifest, uploads. Cloud Storage's errors end here.

Everything that changes the bucket says what it expects to find (ifGenerationMatch): two runs at once cannot undo each
other unseen. Source: Cloud Storage, "Request preconditions".
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import requests
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Blob, Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from analytics_export.bucket.csv_header import LONGEST_HEADER_BYTES, CsvFormat, HeaderSniffer
from analytics_export.bucket.layout import Layout
from analytics_export.bucket.manifest import Manifest, StoredObject, Summary, from_metadata, to_metadata
from analytics_export.bucket.upload import Upload, UploadRefused
from analytics_export.credentials import no_credentials
from analytics_export.errors import Conflict, ExportError, Misconfigured, UpstreamUnavailable
from analytics_export.http import BLOCK_BYTES, NETWORK_ERRORS, adapter
from analytics_export.periods import Export
from analytics_export.retries import (
    LEAST_FAILURES,
    CircuitBreaker,
    Deadline,
    RetryBudget,
    is_retryable,
    retry_after_s,
)
from analytics_export.source.stored_headers import SourceFile

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
"""A manifest of some 15,000 files; what is longer is not read and counts as no manifest."""

PERMISSIONS = ("storage.objects.list", "storage.objects.get", "storage.objects.create", "storage.objects.delete")
"""All that is done to the bucket, whose role roles/storage.objectUser has them; replacing takes create and delete."""

T = TypeVar("T")


class PreconditionFailed(Conflict):
    """Cloud Storage found something else than this run expected to find."""


@dataclass(frozen=True)
class StoredManifest:
    """What stands where a period's manifest belongs."""

    manifest: Manifest | None
    """None where nothing stands there, or nothing that can be read as a manifest."""
    generation: int
    """0 where nothing stands there."""


NOTHING_STORED = StoredManifest(None, 0)


@dataclass(frozen=True)
class ListedManifest:
    """What a listing tells of a manifest's object."""

    summary: Summary | None
    """None where only the body can tell."""
    size_bytes: int
    generation: int


class Bucket:
    """One bucket, seen through the tool's names for things."""

    def __init__(
        self,
        client: Client,
        uploads: requests.Session,
        *,
        bucket: str,
        layout: Layout,
        stall_s: float,
        deadline: Deadline,
    ) -> None:
        """Use `uploads` for the bytes of resumable sessions, which need no credentials, and `client` for all else."""
        self._client = client
        self._uploads = uploads
        self._bucket = client.bucket(bucket)
        self.layout = layout
        self._stall_s = stall_s
        self._deadline = deadline
        self._circuit = CircuitBreaker(failures=LEAST_FAILURES)

    def uri(self, name: str) -> str:
        """Return the gs:// form of a name."""
        return f"gs://{self._bucket.name}/{name}"

    def missing_permissions(self) -> list[str]:
        """Return which of `PERMISSIONS` the function's account lacks; raises Misconfigured where there is no bucket."""
        granted = self._call(
            lambda: self._bucket.test_iam_permissions(list(PERMISSIONS), timeout=self._stall_s, retry=None),
            "storage.buckets.testIamPermissions",
        )
        return [permission for permission in PERMISSIONS if permission not in granted]

    def manifest_uri(self, export: Export) -> str:
        """Return the gs:// form of the name of a period's manifest."""
        return self.uri(self.layout.manifest(export))

    # A period's files

    def files(self, export: Export) -> dict[str, StoredObject]:
        """Return the period's objects by file name, learnt from one listing.

        Deeper folders are not the tool's and not listed.
        """
        folder = self.layout.folder(export)

        def listed() -> dict[str, StoredObject]:
            blobs = self._client.list_blobs(
                self._bucket,
                prefix=folder,
                delimiter="/",
                fields="items(name,size,crc32c,generation),nextPageToken",
                timeout=self._stall_s,
                retry=None,
            )
            return {blob.name.removeprefix(folder): _stored(blob) for blob in blobs}

        found = self._call(listed, "storage.objects.list")
        return {name: stored for name, stored in found.items() if name}  # the folder itself may be an object

    def stat(self, name: str) -> StoredObject | None:
        """Return one object as it is now; None where there is none."""
        blob = self._call(lambda: self._bucket.get_blob(name, timeout=self._stall_s, retry=None), "storage.objects.get")
        return None if blob is None else _stored(blob)

    def generation(self, name: str) -> int:
        """Return an object's generation; 0 where there is none."""
        stored = self.stat(name)
        return int(stored.generation) if stored else 0

    def remove(self, name: str, *, generation: int) -> None:
        """Delete an object if it is there; raises Conflict where it is of another generation than the given."""

        def delete() -> None:
            try:
                self._bucket.blob(name).delete(if_generation_match=generation, timeout=self._stall_s, retry=None)
            except exceptions.NotFound as exc:
                self._raise_if_bucket_is_missing(exc)

        self._call(delete, "storage.objects.delete")

    def csv_format(self, stored: StoredObject) -> CsvFormat | None:
        """Return how an object is written, as `HeaderSniffer.csv_format` does."""
        sniffer, start = HeaderSniffer(), 0
        while start < min(stored.size, LONGEST_HEADER_BYTES) and not sniffer.is_done:
            blob = self._bucket.blob(stored.name, generation=int(stored.generation))
            block = self._range(blob, start, start + BLOCK_BYTES)
            if block is None:
                raise Conflict(f"{stored.name} was replaced or removed while its first line was read.")
            if not block:
                break
            sniffer.feed(start, block)
            start += BLOCK_BYTES
        return sniffer.csv_format()

    def _range(self, blob: Blob, start: int, end: int) -> bytes | None:
        """Return the bytes from `start` to before `end` as stored; None where there is no such object."""

        def download() -> bytes | None:
            try:
                block: bytes = blob.download_as_bytes(
                    start=start, end=end - 1, raw_download=True, checksum=None, timeout=self._stall_s, retry=None
                )
            except exceptions.NotFound as exc:
                self._raise_if_bucket_is_missing(exc)
                return None
            except exceptions.RequestRangeNotSatisfiable:  # an empty object
                return b""
            return block

        return self._call(download, "storage.objects.get")

    # Manifests

    def manifests(self, first: Export, last: Export) -> dict[Export, ListedManifest]:
        """Return the manifests from one period to another, both included, at the price of one request a thousand.

        Both must be of the same aggregation and frequency.
        """
        layout = self.layout

        def listed() -> dict[Export, ListedManifest]:
            blobs = self._client.list_blobs(
                self._bucket,
                prefix=layout.manifest_folder(first.aggregation, first.period.frequency),
                start_offset=layout.manifest(first),
                end_offset=layout.manifest(last) + "0",  # the first name that is not listed
                delimiter="/",
                fields="items(name,size,crc32c,generation,metadata),nextPageToken",
                timeout=self._stall_s,
                retry=None,
            )
            return {export: _listed(export, blob) for blob in blobs if (export := layout.export_of(blob.name))}

        return self._call(listed, "storage.objects.list")

    def manifest(self, export: Export, listed: "ListedManifest | None" = None) -> StoredManifest:
        """Return what stands where the period's manifest belongs; the body is believed, whatever the metadata say.

        `listed` is what a listing has just told of it; without it the bucket is asked for the newest.
        """
        if listed is not None and listed.size_bytes > MAX_MANIFEST_BYTES:
            return StoredManifest(None, listed.generation)
        blob = self._bucket.blob(self.layout.manifest(export), generation=listed and listed.generation)
        text = self._range(blob, 0, MAX_MANIFEST_BYTES + 1)
        if text is None:
            return NOTHING_STORED
        generation = blob.generation or self.generation(blob.name)  # an answer may lack it: an empty object's does
        is_too_long = len(text) > MAX_MANIFEST_BYTES
        return StoredManifest(None if is_too_long else Manifest.from_json(text), int(generation))

    def write_manifest(self, manifest: Manifest, *, replaces_generation: int) -> StoredManifest:
        """Write a manifest; raises Conflict where another than `replaces_generation` stands there by now."""
        body = manifest.to_json().encode()
        blob = self._bucket.blob(self.layout.manifest(manifest.export))
        blob.metadata = to_metadata(manifest, body)
        blob.crc32c = blob.metadata["body_crc32c"]
        try:
            self._insert(blob, body, content_type="application/json", replaces_generation=replaces_generation)
        except UploadRefused as exc:
            raise Misconfigured(f"BUCKET: Cloud Storage refused the manifest {blob.name} (400).") from exc
        return StoredManifest(manifest, int(blob.generation or self.generation(blob.name)))

    # Uploads

    def insert(self, name: str, file: SourceFile, data: bytes, *, replaces: StoredObject | None) -> StoredObject:
        """Write a short file in one request; it replaces exactly what was seen.

        Cloud Storage compares the declared crc32c with what arrives and makes the object visible only if both agree.
        Raises UploadRefused or PreconditionFailed where only the object itself tells what became of it.
        """
        blob = self._blob_like(name, file)
        self._insert(blob, data, content_type=file.content_type, replaces_generation=_generation_of(replaces))
        if blob.generation is None or blob.crc32c is None:
            raise UploadRefused  # an answer that does not say what was stored; the object itself does
        return _stored(blob)

    def begin_upload(self, name: str, file: SourceFile, *, replaces: StoredObject | None) -> Upload:
        """Open a resumable session for a file that replaces exactly what was seen; raises Conflict otherwise.

        Cloud Storage proves the declared crc32c as in `insert`.
        """
        blob = self._blob_like(name, file)
        try:
            session_url = self._call(
                lambda: blob.create_resumable_upload_session(
                    content_type=file.content_type,
                    size=file.size,
                    if_generation_match=_generation_of(replaces),
                    timeout=self._stall_s,
                    retry=None,
                ),
                "storage.objects.create",
            )
        except UploadRefused as exc:
            raise Misconfigured(f"BUCKET: Cloud Storage refused to begin the upload of {name} (400).") from exc
        return Upload(self._uploads, session_url, name, file.size, self._stall_s, self._deadline)

    def _blob_like(self, name: str, file: SourceFile) -> Blob:
        blob = self._bucket.blob(name)
        blob.crc32c = file.crc32c
        blob.content_encoding = file.content_encoding
        return blob

    def _insert(self, blob: Blob, data: bytes, *, content_type: str | None, replaces_generation: int) -> None:
        self._call(
            lambda: blob.upload_from_file(
                io.BytesIO(data),
                size=len(data),
                content_type=content_type,
                checksum=None,  # the blob declares it already
                if_generation_match=replaces_generation,
                timeout=self._stall_s,
                retry=None,
            ),
            "storage.objects.create",
        )

    # Every request

    def _call(self, call: Callable[[], T], permission: str) -> T:
        """Do one thing to the bucket, again where that may heal it, and translate what goes wrong."""
        with self._circuit.attempt():
            budget = RetryBudget(self._deadline)
            while True:
                try:
                    return call()
                except (
                    exceptions.GoogleAPIError,
                    GoogleAuthError,
                    InvalidResponse,
                    DataCorruption,
                    *NETWORK_ERRORS,
                ) as exc:
                    error = self._error_for(exc, permission)
                    try:
                        if not isinstance(error, UpstreamUnavailable):
                            raise error from exc
                        budget.wait(error)
                    finally:
                        del error  # else it keeps this frame, which keeps it, and both what was to be sent

    def _error_for(self, exc: Exception, permission: str) -> ExportError | UploadRefused:
        response = getattr(exc, "response", None)
        status = getattr(response, "status_code", None) or getattr(exc, "code", None)
        if isinstance(status, int) and (status == 304 or 400 <= status < 500) and not is_retryable(status):  # noqa: PLR2004 - RFC 9110
            return self._refusal(status, permission)
        if isinstance(exc, GoogleAuthError) and not exc.retryable:
            return no_credentials(exc)
        asked_s = (
            retry_after_s(response.headers.get("Retry-After"), self._deadline.clock) if response is not None else None
        )
        return UpstreamUnavailable(
            f"Cloud Storage did not do {permission} on {self._bucket.name} ({status or type(exc).__name__}).",
            asked_to_wait_s=asked_s,
        )

    def _refusal(self, status: int, permission: str) -> ExportError | UploadRefused:
        bucket = self._bucket.name
        match status:
            case 401 | 403:
                return Misconfigured(
                    f"BUCKET: Cloud Storage denied {permission} on {bucket}. Grant the function's service account "
                    "roles/storage.objectUser on the bucket, and see whether a hold or a retention policy forbids it."
                )
            case 404:
                return Misconfigured(f"BUCKET: the bucket {bucket} does not exist. Create it or correct the setting.")
            case 412 | 304:
                return PreconditionFailed(f"Another run writes the same period into {bucket}.")
            case 400 if permission == "storage.objects.create":
                return UploadRefused()
        return Misconfigured(f"BUCKET: Cloud Storage answered {status} to {permission} on {bucket}.")

    def _raise_if_bucket_is_missing(self, exc: exceptions.NotFound) -> None:
        """Tell the two 404s apart by Cloud Storage's words, and without them by nothing: the object is missing."""
        if "bucket does not exist" in exc.message:
            raise exc


def _stored(blob: Blob) -> StoredObject:
    return StoredObject(blob.name, blob.size or 0, blob.crc32c, str(blob.generation))  # a testbench leaves out a 0


def _listed(export: Export, blob: Blob) -> ListedManifest:
    summary = from_metadata(export, blob.metadata or {}, crc32c=blob.crc32c)
    return ListedManifest(summary, blob.size or 0, int(blob.generation))


def _generation_of(replaced: StoredObject | None) -> int:
    """Return what a write that replaces it must find there: 0 stands for nothing."""
    return int(replaced.generation) if replaced else 0


def connect(*, connections: int) -> Client:
    """Return a client that keeps `connections` open; raises Misconfigured without usable Google credentials.

    It honours STORAGE_EMULATOR_HOST by itself. No project is needed to read and write a bucket.
    """
    try:
        client = Client(project=None)
    except GoogleAuthError as exc:
        raise Misconfigured(
            "No Google credentials were found; give the function a service account, or set STORAGE_EMULATOR_HOST."
        ) from exc
    client._bucket_metadata_cache = None  # noqa: SLF001 - else it asks for the bucket after each 404, to name trace spans
    for scheme in ("https://", "http://"):
        bounded = adapter(connections=connections, bounds_streams=True)
        client._http.mount(scheme, bounded)  # noqa: SLF001 - the way Google documents it
    return client
