"""One period's manifest while a run may change what it names."""

import threading
from contextlib import suppress

from analytics_export.bucket.bucket import Bucket
from analytics_export.bucket.cloud_storage import PreconditionFailed
from analytics_export.bucket.manifest import Manifest, StoredObject
from analytics_export.bucket.manifests import NOTHING_STORED, ListedManifest, Manifests
from analytics_export.errors import Conflict, ExportError
from analytics_export.periods import Export


class ManifestGuard:
    """Takes the manifest away before the bucket stops being what it says, and writes it when the period is complete.

    Transfers of one period share it.
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
        """What stands there, as far as this run knows."""
        return self._stored.manifest

    def read(self, listed: ListedManifest | None = None) -> None:
        """Begin an attempt with what stands there now, or with what a listing has just told."""
        self._stored = self._manifests.read(self._export, listed)
        self._is_withdrawn = False

    def withdraw_once(self, *, replaces: bool) -> None:
        """Remove the manifest before a file becomes visible; once an attempt, however many files there are.

        Where content is replaced the bucket is asked even if no manifest was there: another run may have written one
        since.
        """
        with self._lock:
            if not self._is_withdrawn and (replaces or self._stored.generation):
                self.withdraw()

    def withdraw(self) -> None:
        """Remove the manifest if one is there by now; raises Conflict where another run has just written one."""
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
        """Put a manifest back that was withdrawn for a change which was then refused, if the bucket is as it says.

        Only where every upload is known to have ended: one that was given up on may still become visible.
        """
        if self._withdrawn is not None:
            with suppress(ExportError):  # the failure that led here is the one to report
                self.verify(self._withdrawn.objects)
                self._stored = self._manifests.write(self._withdrawn, replaces_generation=0)

    def verify(self, objects: tuple[StoredObject, ...]) -> None:
        """Check that the bucket holds these files for the period and no others; raises Conflict."""
        if set(self._bucket.files(self._export).values()) != set(objects):
            raise Conflict("Another run changed the period's files meanwhile.")

    def commit(self, manifest: Manifest) -> None:
        """Write the manifest of a complete period; raises Conflict where another run changed it or its files.

        The files are listed before and after: a manifest that another run made untrue in between is removed again.
        """
        self.verify(manifest.objects)
        self._stored = self._manifests.write(manifest, replaces_generation=self._stored.generation)
        try:
            self.verify(manifest.objects)
        except Conflict:
            self._manifests.remove(self._export, generation=self._stored.generation)
            raise
