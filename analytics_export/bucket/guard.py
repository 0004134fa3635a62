"""Keeps a period's manifest true while a run changes its files."""

import threading
from contextlib import suppress

from analytics_export.bucket.bucket import Bucket
from analytics_export.bucket.cloud_storage import PreconditionFailed
from analytics_export.bucket.manifest import Manifest, StoredObject
from analytics_export.bucket.manifests import NOTHING_STORED, ListedManifest, Manifests
from analytics_export.errors import Conflict, ExportError
from analytics_export.periods import Export


class ManifestGuard:
    """Removes the manifest before the first change becomes visible, and writes it when the period is complete.

    The transfers of one period share it.
    """

    def __init__(self, bucket: Bucket, manifests: Manifests, export: Export) -> None:
        self._bucket = bucket
        self._manifests = manifests
        self._export = export
        self._lock = threading.Lock()
        self._stored = NOTHING_STORED
        self._is_withdrawn = False
        self._withdrawn: Manifest | None = None

    @property
    def manifest(self) -> Manifest | None:
        """The manifest in the bucket, as far as this run knows."""
        return self._stored.manifest

    def read(self, listed: ListedManifest | None = None) -> None:
        """Begin an attempt: read the manifest, of the generation that a listing has just found, or the newest."""
        self._stored = self._manifests.read(self._export, listed)
        self._is_withdrawn = False

    def withdraw_once(self, *, replaces: bool) -> None:
        """Remove the manifest before a file becomes visible; once per attempt, however many files there are.

        When a file is replaced, the bucket is asked even if no manifest was there: another run may have written one
        since.
        """
        with self._lock:
            if not self._is_withdrawn and (replaces or self._stored.generation):
                self.withdraw()

    def withdraw(self) -> None:
        """Remove the manifest if there is one; raises Conflict where another run has just written it."""
        generation = self._stored.generation or self._manifests.generation(self._export)
        if generation:
            try:
                # by generation: a late request must not remove a later manifest
                self._manifests.remove(self._export, generation=generation)
            except PreconditionFailed as exc:
                raise Conflict("Another run wrote the period's manifest meanwhile.") from exc
        self._withdrawn = self._stored.manifest or self._withdrawn
        self._stored = NOTHING_STORED
        self._is_withdrawn = True

    def restore(self) -> None:
        """Write the withdrawn manifest again after the change was refused, if its files are all still there.

        To be called only when every upload is known to have ended: one that was given up may still become visible.
        """
        if self._withdrawn is not None:
            with suppress(ExportError):  # the failure that led here is reported instead
                self.verify(self._withdrawn.objects)
                self._stored = self._manifests.write(self._withdrawn, replaces_generation=0)

    def verify(self, objects: tuple[StoredObject, ...]) -> None:
        """Raise Conflict unless the period's objects in the bucket are exactly these."""
        if set(self._bucket.files(self._export).values()) != set(objects):
            raise Conflict("Another run changed the period's files meanwhile.")

    def commit(self, manifest: Manifest) -> None:
        """Write the manifest of a complete period; raises Conflict where another run has changed it or a file.

        The files are listed before and after. If another run has replaced one in between, the manifest is deleted
        again.
        """
        self.verify(manifest.objects)
        self._stored = self._manifests.write(manifest, replaces_generation=self._stored.generation)
        try:
            self.verify(manifest.objects)
        except Conflict:
            self._manifests.remove(self._export, generation=self._stored.generation)
            raise
