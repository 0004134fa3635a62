"""The buckets and their objects: bytes in files, everything else in memory."""

import bisect
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from local.storage.files import Draft, Files, blocks_of
from local.storage.objects import ANYTHING, Change, NoSuchBucketError, ObjectInfo, Precondition

MD5_LIMIT_BYTES = 8 << 20
"""Larger objects have no MD5, like composite objects in the real Cloud Storage."""


@dataclass
class _Bucket:
    objects: dict[str, ObjectInfo] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    """Sorted."""


class ObjectStore:
    """Buckets and their objects. Every change is atomic; observers are called before the next change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = threading.RLock()
        self._buckets: dict[str, _Bucket] = {}
        self._observers: list[Callable[[Change], object]] = []
        self._last_generation = 0
        self._files = Files(root)

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket, if it does not exist."""
        with self.lock:
            self._buckets.setdefault(bucket, _Bucket())

    def remove_bucket(self, bucket: str) -> None:
        """Remove a bucket and its objects; observers are not called."""
        with self.lock:
            self._buckets.pop(bucket, None)

    def buckets(self) -> list[str]:
        """The names of the buckets."""
        with self.lock:
            return sorted(self._buckets)

    def on_change(self, observer: Callable[[Change], object]) -> None:
        """Call `observer` after every change, in the thread that made it, before the next change."""
        with self.lock:
            self._observers.append(observer)

    def forget_observers(self) -> None:
        """Remove every observer."""
        with self.lock:
            self._observers.clear()

    def objects(self, bucket: str, prefix: str = "") -> dict[str, ObjectInfo]:
        """Return the objects that exist now, by name, sorted; a consistent snapshot."""
        with self.lock:
            found = self._bucket(bucket)
            return {name: found.objects[name] for name in found.names if name.startswith(prefix)}

    def names_from(self, bucket: str, start: str) -> Iterator[str]:
        """Return the names from `start` on, in order. The caller holds `lock` while iterating."""
        names = self._bucket(bucket).names
        for index in range(bisect.bisect_left(names, start), len(names)):
            yield names[index]

    def get(self, bucket: str, name: str) -> ObjectInfo | None:
        """Return the object, or None."""
        with self.lock:
            return self._bucket(bucket).objects.get(name)

    def open(self, bucket: str, name: str) -> tuple[ObjectInfo, BinaryIO] | None:
        """Return the object and its bytes, which stay readable if the object is replaced or deleted; or None."""
        with self.lock:
            info = self.get(bucket, name)
            return (info, info.path.open("rb")) if info else None

    def draft(self) -> Draft:
        """Create an empty draft."""
        return self._files.draft()

    def commit(
        self,
        draft: Draft,
        *,
        bucket: str,
        name: str,
        precondition: Precondition = ANYTHING,
        content_type: str | None = None,
        content_encoding: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> ObjectInfo:
        """Make the draft the object `name`, atomically. Raises PreconditionFailedError, NoSuchBucketError."""
        draft.file.close()
        md5 = draft.md5() if draft.size <= MD5_LIMIT_BYTES else None
        with self.lock:
            before = self.get(bucket, name)
            precondition.check(before)
            path = self._files.place(draft.path, before.path if before else None, bucket, name)
            self._last_generation = max(self._last_generation + 1, time.time_ns() // 1000)
            after = ObjectInfo(
                bucket=bucket,
                name=name,
                size=draft.size,
                crc32c=draft.crc32c,
                generation=self._last_generation,
                content_type=content_type,
                content_encoding=content_encoding,
                md5=md5,
                metadata=metadata or {},
                updated=datetime.now(UTC),
                path=path,
            )
            found = self._bucket(bucket)
            found.objects[name] = after
            if before is None:
                bisect.insort(found.names, name)
            self._notify(Change(bucket, name, before, after))
            return after

    def put(
        self,
        bucket: str,
        name: str,
        data: bytes | Path | Iterable[bytes],
        *,
        content_type: str | None = "text/csv",
        content_encoding: str | None = None,
    ) -> ObjectInfo:
        """Write an object directly; a Path is copied."""
        draft = self.draft()
        for block in blocks_of(data):
            draft.append(block)
        return self.commit(
            draft, bucket=bucket, name=name, content_type=content_type, content_encoding=content_encoding
        )

    def delete(self, bucket: str, name: str, precondition: Precondition = ANYTHING) -> bool:
        """Delete an object. Return False if it does not exist. Raises PreconditionFailedError, NoSuchBucketError."""
        with self.lock:
            before = self.get(bucket, name)
            precondition.check(before)
            if before is None:
                return False
            found = self._bucket(bucket)
            del found.objects[name]
            found.names.pop(bisect.bisect_left(found.names, name))
            self._files.remove(before.path)
            self._notify(Change(bucket, name, before, None))
            return True

    def _bucket(self, bucket: str) -> _Bucket:
        try:
            return self._buckets[bucket]
        except KeyError:
            raise NoSuchBucketError(bucket) from None

    def _notify(self, change: Change) -> None:
        for observer in self._observers:
            observer(change)
