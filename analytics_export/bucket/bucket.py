"""The objects of the bucket: a period's files, reading, removing and writing them.

There is no lock. Every change names the generation that it expects (ifGenerationMatch), so of two runs at the same
time, neither can undo what the other did without noticing. Source: Cloud Storage, "Request preconditions".
"""

import io
from collections.abc import Callable
from typing import TypeVar

import requests
from google.api_core import exceptions
from google.cloud.storage import Blob

from analytics_export.bucket.cloud_storage import CloudStorage, raise_if_bucket_is_missing
from analytics_export.bucket.csv_header import LONGEST_HEADER_BYTES, CsvFormat, HeaderSniffer
from analytics_export.bucket.layout import Layout
from analytics_export.bucket.manifest import StoredObject
from analytics_export.bucket.upload import Upload, UploadRefused
from analytics_export.errors import Conflict, Misconfigured
from analytics_export.periods import Export
from analytics_export.source.stored_headers import SourceFile

T = TypeVar("T")

PERMISSIONS = ("storage.objects.list", "storage.objects.get", "storage.objects.create", "storage.objects.delete")
"""All that is done to the bucket; roles/storage.objectUser has them. Replacing takes create and delete."""


class Bucket:
    """One bucket, its names given by `layout`."""

    def __init__(
        self, cloud_storage: CloudStorage, uploads: requests.Session, *, layout: Layout, stall_s: float
    ) -> None:
        """Use `uploads` for the bytes of resumable sessions, which need no credentials.

        `stall_s` is how long a request may wait for a byte, in seconds.
        """
        self._storage = cloud_storage
        self._bucket = cloud_storage.bucket
        self._uploads = uploads
        self.layout = layout
        self._stall_s = stall_s

    def uri(self, name: str) -> str:
        """Return the gs:// form of a name."""
        return f"gs://{self._bucket.name}/{name}"

    def missing_permissions(self) -> list[str]:
        """Return which of `PERMISSIONS` the function's account lacks; raises Misconfigured where there is no bucket."""
        granted = self._storage.call(
            lambda: self._bucket.test_iam_permissions(list(PERMISSIONS), timeout=self._stall_s, retry=None),
            "storage.buckets.testIamPermissions",
        )
        return [permission for permission in PERMISSIONS if permission not in granted]

    def blob(self, name: str, *, generation: int | None = None) -> Blob:
        """Return Google's handle on an object; no request is made."""
        return self._bucket.blob(name, generation=generation)

    def listed(
        self,
        folder: str,
        read: Callable[[Blob], T],
        *,
        fields: str,
        start_offset: str | None = None,
        end_offset: str | None = None,
    ) -> list[T]:
        """Return what `read` returns for each object directly in a folder, in one request per thousand.

        `fields` are those that the objects have. Both offsets are names, the second excluded.
        """

        def found() -> list[T]:
            blobs = self._storage.client.list_blobs(
                self._bucket,
                prefix=folder,
                delimiter="/",
                start_offset=start_offset,
                end_offset=end_offset,
                fields=f"items({fields}),nextPageToken",
                timeout=self._stall_s,
                retry=None,
            )
            return [read(blob) for blob in blobs]

        return self._storage.call(found, "storage.objects.list")

    def files(self, export: Export) -> dict[str, StoredObject]:
        """Return a period's objects by file name, from one listing. Objects in deeper folders are left out."""
        folder = self.layout.folder(export)
        found = {
            stored.name.removeprefix(folder): stored
            for stored in self.listed(folder, _stored, fields="name,size,crc32c,generation")
        }
        return {name: stored for name, stored in found.items() if name}  # the folder itself may be an object

    def stat(self, name: str) -> StoredObject | None:
        """Return an object as it is now; None where there is none."""
        blob = self._storage.call(
            lambda: self._bucket.get_blob(name, timeout=self._stall_s, retry=None), "storage.objects.get"
        )
        return None if blob is None else _stored(blob)

    def generation(self, name: str) -> int:
        """Return an object's generation; 0 where there is none."""
        stored = self.stat(name)
        return int(stored.generation) if stored else 0

    def remove(self, name: str, *, generation: int) -> None:
        """Delete an object if it is there; raises Conflict where it is of another generation."""

        def delete() -> None:
            try:
                self.blob(name).delete(if_generation_match=generation, timeout=self._stall_s, retry=None)
            except exceptions.NotFound as exc:
                raise_if_bucket_is_missing(exc)

        self._storage.call(delete, "storage.objects.delete")

    def csv_format(self, stored: StoredObject) -> CsvFormat | None:
        """Return the format of an object's CSV, as `HeaderSniffer.csv_format` does."""
        sniffer = HeaderSniffer()
        if stored.size:
            block = self.read(self.blob(stored.name, generation=int(stored.generation)), 0, LONGEST_HEADER_BYTES)
            if block is None:
                raise Conflict(f"{stored.name} was replaced or removed while its first line was read.")
            sniffer.feed(0, block)
        return sniffer.csv_format()

    def read(self, blob: Blob, start: int, end: int) -> bytes | None:
        """Return the bytes from `start` to before `end` as they are stored; None where there is no object."""

        def download() -> bytes | None:
            try:
                block: bytes = blob.download_as_bytes(
                    start=start, end=end - 1, raw_download=True, checksum=None, timeout=self._stall_s, retry=None
                )
            except exceptions.NotFound as exc:
                raise_if_bucket_is_missing(exc)
                return None
            except exceptions.RequestRangeNotSatisfiable:  # an empty object
                return b""
            return block

        return self._storage.call(download, "storage.objects.get")

    def insert(self, name: str, file: SourceFile, data: bytes, *, replaces: StoredObject | None) -> StoredObject:
        """Write a short file in one request, in place of `replaces`.

        Cloud Storage compares the declared crc32c with what arrives and makes the object visible only if both agree.
        Raises UploadRefused or PreconditionFailed where only reading the object shows whether it was written.
        """
        blob = self._blob_like(name, file)
        self.write(blob, data, content_type=file.content_type, replaces_generation=_generation_of(replaces))
        if blob.generation is None or blob.crc32c is None:
            raise UploadRefused  # the answer does not say what was stored; reading the object shows it
        return _stored(blob)

    def begin_upload(self, name: str, file: SourceFile, *, replaces: StoredObject | None) -> Upload:
        """Open a resumable session for a file, in place of `replaces`; raises Conflict where another object is there.

        Cloud Storage compares the declared crc32c as in `insert`.
        """
        blob = self._blob_like(name, file)
        try:
            session_url = self._storage.call(
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
        return Upload(self._uploads, session_url, name, file.size, self._stall_s, self._storage.deadline)

    def _blob_like(self, name: str, file: SourceFile) -> Blob:
        blob = self.blob(name)
        blob.crc32c = file.crc32c
        blob.content_encoding = file.content_encoding
        return blob

    def write(self, blob: Blob, data: bytes, *, content_type: str | None, replaces_generation: int) -> None:
        """Write an object in one request; `blob` declares its crc32c. Raises as `CloudStorage.call` does."""
        self._storage.call(
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


def _stored(blob: Blob) -> StoredObject:
    return StoredObject(
        blob.name, blob.size or 0, blob.crc32c, str(blob.generation)
    )  # Google's testbench omits a size of 0


def _generation_of(replaced: StoredObject | None) -> int:
    """Return the generation that a write in its place must find; 0 means no object."""
    return int(replaced.generation) if replaced else 0
