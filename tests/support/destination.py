"""The destination, read through Google's own client, so that it may be any Cloud Storage."""

import json
from typing import Any

from google.cloud.storage import Blob, Client


class Bucket:
    """What a reader of the bucket sees."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self._bucket = client.bucket(name)

    def blobs(self, prefix: str = "") -> dict[str, Blob]:
        """The objects by name, with their metadata."""
        return {blob.name: blob for blob in self._bucket.list_blobs(prefix=prefix)}

    def names(self, prefix: str = "") -> list[str]:
        return list(self.blobs(prefix))

    def read(self, name: str) -> bytes:
        """The stored bytes, not decompressed."""
        data: bytes = self._bucket.blob(name).download_as_bytes(raw_download=True)
        return data

    def contents(self, prefix: str = "") -> dict[str, bytes]:
        return {name: self.read(name) for name in self.names(prefix)}

    def manifest(self, path: str) -> dict[str, Any]:
        """`path` has neither folder nor extension, such as `granular/daily/start_date=2022-04-01`."""
        value = json.loads(self.read(f"manifests/{path}.json"))
        assert isinstance(value, dict)
        return value

    def put(self, name: str, data: bytes) -> None:
        """Write an object as another program than the function would."""
        self._bucket.blob(name).upload_from_string(data, content_type="text/csv")

    def write(self, name: str, data: bytes, *, metadata: dict[str, str] | None) -> None:
        """Write JSON with custom metadata, or without any."""
        blob = self._bucket.blob(name)
        blob.metadata = metadata
        blob.upload_from_string(data, content_type="application/json")

    def delete(self, name: str) -> None:
        self._bucket.blob(name).delete()
