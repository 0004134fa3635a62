"""The manifests in the bucket: listed, read and written."""

from dataclasses import dataclass

from google.cloud.storage import Blob

from analytics_export.bucket.bucket import Bucket
from analytics_export.bucket.manifest import Manifest, Summary, from_metadata, to_metadata
from analytics_export.bucket.upload import UploadRefused
from analytics_export.errors import Misconfigured
from analytics_export.periods import Export

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
"""Enough for some 15,000 files; a longer object is not read and counts as no manifest."""


@dataclass(frozen=True)
class StoredManifest:
    """The object at the address of a period's manifest."""

    manifest: Manifest | None
    """None where there is no object, or one that is no manifest."""
    generation: int
    """0 where there is no object."""


NOTHING_STORED = StoredManifest(None, 0)


@dataclass(frozen=True)
class ListedManifest:
    """What a listing says of a manifest's object."""

    summary: Summary | None
    """None where the body must be read."""
    size_bytes: int
    generation: int


class Manifests:
    """The manifests of one bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def uri(self, export: Export) -> str:
        """Return the gs:// URI of a period's manifest."""
        return self._bucket.uri(self._name(export))

    def listed(self, first: Export, last: Export) -> dict[Export, ListedManifest]:
        """Return the manifests from one period to another, both included, in one request per thousand.

        Both must be of the same aggregation and frequency.
        """
        layout = self._bucket.layout
        found = self._bucket.listed(
            layout.manifest_folder(first.aggregation, first.period.frequency),
            lambda blob: _listed(layout.export_of(blob.name), blob),
            fields="name,size,crc32c,generation,metadata",
            start_offset=layout.manifest(first),
            end_offset=layout.manifest(last) + "0",  # the first name that is not listed
        )
        return dict(filter(None, found))

    def read(self, export: Export, listed: ListedManifest | None = None) -> StoredManifest:
        """Return a period's manifest. Its body counts, whatever its metadata say.

        `listed` is what a listing has just said of it; without it the newest generation is read.
        """
        if listed is not None and listed.size_bytes > MAX_MANIFEST_BYTES:
            return StoredManifest(None, listed.generation)
        expected = listed.generation if listed else None
        blob = self._bucket.blob(self._name(export), generation=expected)
        text = self._bucket.read(blob, 0, MAX_MANIFEST_BYTES + 1)
        if text is None:
            return NOTHING_STORED
        generation = blob.generation or self._bucket.generation(blob.name)  # the answer for an empty object has none
        is_too_long = len(text) > MAX_MANIFEST_BYTES
        return StoredManifest(None if is_too_long else Manifest.from_json(text), int(generation))

    def generation(self, export: Export) -> int:
        """Return the generation of a period's manifest; 0 where there is none."""
        return self._bucket.generation(self._name(export))

    def write(self, manifest: Manifest, *, replaces_generation: int) -> StoredManifest:
        """Write a manifest; raises Conflict where the bucket has another generation than `replaces_generation`."""
        body = manifest.to_json().encode()
        blob = self._bucket.blob(self._name(manifest.export))
        blob.metadata = to_metadata(manifest, body)
        blob.crc32c = blob.metadata["body_crc32c"]
        try:
            self._bucket.write(blob, body, content_type="application/json", replaces_generation=replaces_generation)
        except UploadRefused as exc:
            raise Misconfigured(f"BUCKET: Cloud Storage refused the manifest {blob.name} (400).") from exc
        return StoredManifest(manifest, int(blob.generation or self._bucket.generation(blob.name)))

    def remove(self, export: Export, *, generation: int) -> None:
        """Delete a period's manifest if it is there; raises Conflict where it is of another generation."""
        self._bucket.remove(self._name(export), generation=generation)

    def _name(self, export: Export) -> str:
        return self._bucket.layout.manifest(export)


def _listed(export: Export | None, blob: Blob) -> tuple[Export, ListedManifest] | None:
    if export is None:
        return None
    summary = from_metadata(export, blob.metadata or {}, crc32c=blob.crc32c)
    return export, ListedManifest(summary, blob.size or 0, int(blob.generation))
