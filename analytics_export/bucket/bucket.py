"""The bucket: what objects are called, what a period holds, its manifest. Cloud Storage's errors end here.

Everything that changes the bucket says what it expects to find (ifGenerationMatch): two runs at once cannot undo each
other unseen. Source: Cloud Storage, "Request preconditions".
"""

from collections.abc import Callable
from typing import TypeVar

import requests
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Blob, Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from analytics_export.bucket.csv_header import LONGEST_HEADER_BYTES, CsvFormat, HeaderSniffer
from analytics_export.bucket.manifest import Manifest, ManifestOnFile, StoredObject
from analytics_export.bucket.upload import Upload
from analytics_export.errors import Conflict, ExportError, LinkRefused, Misconfigured, UpstreamUnavailable
from analytics_export.http import BLOCK_BYTES, NETWORK_ERRORS, adapter
from analytics_export.periods import Aggregation, Period
from analytics_export.retries import Deadline, Patience, retry_after_s
from analytics_export.source.stored_headers import SourceFile

MAX_OBJECT_NAME_BYTES = 1024
"""Source: Cloud Storage, "About objects": names are 1 to 1024 bytes of UTF-8."""

T = TypeVar("T")


class PreconditionFailed(Conflict):
    """Cloud Storage found something else than this run expected to find."""


class Landing:
    """One bucket, seen through the tool's names for things."""

    def __init__(
        self,
        client: Client,
        uploads: requests.Session,
        *,
        bucket: str,
        prefix: str,
        stall_s: float,
        deadline: Deadline,
    ) -> None:
        self._client = client
        self._uploads = uploads
        self._bucket = client.bucket(bucket)
        self._prefix = prefix
        self._stall_s = stall_s
        self._deadline = deadline

    def folder(self, aggregation: Aggregation, period: Period) -> str:
        """Return what the names of a period's objects begin with."""
        return f"{self._prefix}{aggregation}/{period.frequency}/start_date={period.start}/"

    def object_name(self, aggregation: Aggregation, period: Period, file_name: str) -> str:
        """Return the name under which a file lands; raises LinkRefused where Cloud Storage does not allow it."""
        name = self.folder(aggregation, period) + file_name
        if len(name.encode()) > MAX_OBJECT_NAME_BYTES:
            raise LinkRefused(
                f"A download link's file name, {file_name[:80]!a}..., is too long: with its folder it must be at most "
                f"{MAX_OBJECT_NAME_BYTES} bytes. Nothing is fetched from it."
            )
        return name

    def manifest_name(self, aggregation: Aggregation, period: Period) -> str:
        """Return the name of a period's manifest."""
        return f"{self._prefix}manifests/{aggregation}/{period.frequency}/start_date={period.start}.json"

    def uri(self, name: str) -> str:
        """Return the gs:// form of a name."""
        return f"gs://{self._bucket.name}/{name}"

    def held(self, aggregation: Aggregation, period: Period) -> dict[str, StoredObject]:
        """Return the period's objects by file name, learnt from one listing.

        Deeper folders are somebody else's and left out.
        """
        folder = self.folder(aggregation, period)

        def listed() -> dict[str, StoredObject]:
            blobs = self._client.list_blobs(
                self._bucket,
                prefix=folder,
                fields="items(name,size,crc32c,generation),nextPageToken",
                timeout=self._stall_s,
                retry=None,
            )
            return {blob.name.removeprefix(folder): _stored(blob) for blob in blobs}

        held = self._call(listed, "storage.objects.list")
        return {name: stored for name, stored in held.items() if name and "/" not in name}

    def look(self, name: str) -> StoredObject | None:
        """Return one object as it is now; None where there is none."""
        blob = self._call(lambda: self._bucket.get_blob(name, timeout=self._stall_s, retry=None), "storage.objects.get")
        return None if blob is None else _stored(blob)

    def remove(self, name: str, *, generation: str | None = None) -> None:
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
            end = start + BLOCK_BYTES
            block = self._call(lambda start=start, end=end: self._range(stored, start, end), "storage.objects.get")  # type: ignore[misc] # mypy#12557
            if not block:
                break
            sniffer.feed(start, block)
            start = end
        return sniffer.csv_format()

    def _range(self, stored: StoredObject, start: int, end: int) -> bytes:
        blob = self._bucket.blob(stored.name, generation=int(stored.generation))
        try:
            block: bytes = blob.download_as_bytes(
                start=start, end=end - 1, raw_download=True, checksum=None, timeout=self._stall_s, retry=None
            )
        except exceptions.NotFound as exc:
            self._raise_if_bucket_is_missing(exc)
            raise Conflict(f"{stored.name} was replaced or removed while its first line was read.") from exc
        return block

    def manifest(self, aggregation: Aggregation, period: Period) -> ManifestOnFile:
        """Return what stands where the period's manifest belongs."""
        blob = self._bucket.blob(self.manifest_name(aggregation, period))

        def download() -> bytes | None:
            try:
                text: bytes = blob.download_as_bytes(timeout=self._stall_s, retry=None)
            except exceptions.NotFound as exc:
                self._raise_if_bucket_is_missing(exc)
                return None
            return text

        text = self._call(download, "storage.objects.get")
        if text is None:
            return ManifestOnFile(None, 0)
        stored = blob if blob.generation else self.look(blob.name)  # a stand-in may not tell it along with the bytes
        return ManifestOnFile(Manifest.from_json(text), int(stored.generation) if stored else 0)

    def write_manifest(self, manifest: Manifest, *, replaces_generation: int) -> ManifestOnFile:
        """Write a manifest; raises Conflict where another than `replaces_generation` stands there by now."""
        blob = self._bucket.blob(self.manifest_name(manifest.aggregation, manifest.period))
        self._call(
            lambda: blob.upload_from_string(
                manifest.to_json().encode(),
                content_type="application/json",
                if_generation_match=replaces_generation,
                timeout=self._stall_s,
                retry=None,
            ),
            "storage.objects.create",
        )
        return ManifestOnFile(manifest, int(blob.generation))

    def begin_upload(self, name: str, file: SourceFile, *, replaces: StoredObject | None) -> "Upload":
        """Open a resumable session for a file that replaces exactly what was seen; raises Conflict otherwise.

        Cloud Storage holds the declared crc32c against what arrives and makes the object visible only if both agree.
        """
        blob = self._bucket.blob(name)
        blob.crc32c = file.crc32c
        blob.content_encoding = file.content_encoding
        session_url = self._call(
            lambda: blob.create_resumable_upload_session(
                content_type=file.content_type,
                size=file.size,
                if_generation_match=int(replaces.generation) if replaces else 0,
                timeout=self._stall_s,
                retry=None,
            ),
            "storage.objects.create",
        )
        return Upload(self._uploads, session_url, name, file.size, self._stall_s, self._deadline)

    def _call(self, call: Callable[[], T], permission: str) -> T:
        """Do one thing to the bucket, again where that may mend it, and translate what goes wrong."""
        patience = Patience(self._deadline)
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
                error = self._meaning_of(exc, permission)
                if not isinstance(error, UpstreamUnavailable):
                    raise error from exc
                patience.wait(error)

    def _meaning_of(self, exc: Exception, permission: str) -> ExportError:
        response = getattr(exc, "response", None)
        status = getattr(response, "status_code", None) or getattr(exc, "code", None)
        bucket = self._bucket.name
        match status:
            case 401 | 403:
                return Misconfigured(
                    f"BUCKET: Cloud Storage denied {permission} on {bucket}. Grant the function's service account "
                    "roles/storage.objectUser on the bucket, and see whether a hold or a retention policy forbids it."
                )
            case 404:
                return Misconfigured(f"BUCKET: the bucket {bucket} does not exist. Create it or mend the setting.")
            case 412 | 304:
                return PreconditionFailed(f"Something else writes the same period into {bucket}.")
            case int() if 400 <= status < 500 and status not in {408, 429}:  # noqa: PLR2004 - RFC 9110: client error
                return Misconfigured(f"BUCKET: Cloud Storage answered {status} to {permission} on {bucket}.")
        if isinstance(exc, GoogleAuthError) and not exc.retryable:
            return Misconfigured("No Google credentials were found or accepted; give the function a service account.")
        asked_s = (
            retry_after_s(response.headers.get("Retry-After"), self._deadline.clock) if response is not None else None
        )
        return UpstreamUnavailable(
            f"Cloud Storage did not do {permission} on {bucket} ({status or type(exc).__name__}).",
            asked_to_wait_s=asked_s,
        )

    def _raise_if_bucket_is_missing(self, exc: exceptions.NotFound) -> None:
        """Tell the two 404s apart by Cloud Storage's words, and without them by nothing: the object is missing."""
        if "bucket does not exist" in exc.message:
            raise exc


def _stored(blob: Blob) -> StoredObject:
    return StoredObject(blob.name, blob.size or 0, blob.crc32c, str(blob.generation))  # a testbench leaves out a 0


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
        client._http.mount(scheme, adapter(connections=connections))  # noqa: SLF001 - the way Google documents it
    return client
