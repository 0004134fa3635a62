"""The objects of the Cloud Storage stand-in: bytes in files, everything else in memory.

`root/BUCKET/granular/daily/start_date=2022-04-01/file.csv` is a file to look at, when the name allows it.
Names that a file system cannot hold (`..`, `//`, a trailing `/`, parts over 200 bytes, control characters, an
object that stands where another one needs a folder) are kept in `root/.odd/BUCKET/` under a hash. Bytes on
their way are in `root/.partial/`; an object appears by one rename, whole.
"""

import base64
import bisect
import contextlib
import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import google_crc32c

MD5_LIMIT_BYTES = 8 << 20
"""Larger objects have no md5, like the composite objects of the real one."""
_PART_LIMIT_BYTES = 200
_TAME = re.compile(r"[^\x00-\x1f\x7f\\]+")


class NoSuchBucketError(LookupError):
    """There is no bucket of this name."""


class PreconditionFailedError(Exception):
    """The object that is there is not the one that the request wants to be there."""


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    """One object as it is visible now."""

    bucket: str
    name: str
    size: int
    crc32c: str
    """Base64 of the big-endian checksum, as the API writes it."""
    generation: int
    content_type: str | None
    content_encoding: str | None
    md5: str | None
    metadata: dict[str, str] = field(default_factory=dict)
    updated: datetime
    path: Path
    """The file; a later generation of the same name takes its place."""

    def read_bytes(self) -> bytes:
        """The stored bytes, whole."""
        return self.path.read_bytes()


@dataclass(frozen=True)
class Change:
    """What has just changed. `before` is None for a new object, `after` for a deleted one."""

    bucket: str
    name: str
    before: ObjectInfo | None
    after: ObjectInfo | None


@dataclass(frozen=True, kw_only=True)
class Precondition:
    """What a request demands of the object that is there; None demands nothing. Generation 0: no object."""

    generation: int | None = None
    generation_not: int | None = None

    def check(self, current: ObjectInfo | None) -> None:
        """Raise PreconditionFailedError if the demand is not met."""
        generation = current.generation if current else 0
        if self.generation is not None and self.generation != generation:
            raise PreconditionFailedError
        if self.generation_not is not None and self.generation_not == generation:
            raise PreconditionFailedError


ANYTHING = Precondition()


@dataclass(kw_only=True)
class Draft:
    """Bytes on their way to becoming an object.

    A file outside every bucket, its size and its running checksum.
    """

    path: Path
    file: BinaryIO
    size: int = 0
    crc: int = 0

    def append(self, data: bytes) -> None:
        """Write some more."""
        view = memoryview(data)
        while view:
            view = view[self.file.write(view) :]
        self.crc = google_crc32c.extend(self.crc, data)
        self.size += len(data)

    @property
    def crc32c(self) -> str:
        """The checksum as the API writes it."""
        return base64.b64encode(self.crc.to_bytes(4, "big")).decode()

    def md5(self) -> str:
        """Base64 of the MD5 of it all, read again from the file."""
        with self.path.open("rb") as file:
            return base64.b64encode(hashlib.file_digest(file, "md5").digest()).decode()

    def discard(self) -> None:
        """Forget it."""
        self.file.close()
        self.path.unlink(missing_ok=True)


@dataclass
class _Bucket:
    objects: dict[str, ObjectInfo] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    """Sorted."""


class ObjectStore:
    """Buckets and their objects.

    Every change is atomic; observers are called before the next one can happen.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = threading.RLock()
        self._buckets: dict[str, _Bucket] = {}
        self._observers: list[Callable[[Change], object]] = []
        self._last_generation = 0
        self._partial = root / ".partial"
        self._partial.mkdir(parents=True, exist_ok=True)

    def create_bucket(self, bucket: str) -> None:
        """Make a bucket; nothing happens if it is there."""
        with self.lock:
            self._buckets.setdefault(bucket, _Bucket())

    def remove_bucket(self, bucket: str) -> None:
        """Forget a bucket and its objects, without telling observers."""
        with self.lock:
            self._buckets.pop(bucket, None)

    def buckets(self) -> list[str]:
        """Their names."""
        with self.lock:
            return sorted(self._buckets)

    def on_change(self, observer: Callable[[Change], object]) -> None:
        """Call `observer` after every change, in the thread that made it, before anyone can see another."""
        with self.lock:
            self._observers.append(observer)

    def forget_observers(self) -> None:
        """Call none of them any more."""
        with self.lock:
            self._observers.clear()

    def objects(self, bucket: str, prefix: str = "") -> dict[str, ObjectInfo]:
        """What is visible now, by name, sorted; all of one instant."""
        with self.lock:
            found = self._bucket(bucket)
            return {name: found.objects[name] for name in found.names if name.startswith(prefix)}

    def names_from(self, bucket: str, start: str) -> Iterator[str]:
        """The names from `start` on, in order. Hold `lock` while iterating."""
        names = self._bucket(bucket).names
        for index in range(bisect.bisect_left(names, start), len(names)):
            yield names[index]

    def get(self, bucket: str, name: str) -> ObjectInfo | None:
        """The object, or None."""
        with self.lock:
            return self._bucket(bucket).objects.get(name)

    def open(self, bucket: str, name: str) -> tuple[ObjectInfo, BinaryIO] | None:
        """The object and its bytes, which stay its own whatever happens to the name.

        None if it is not there.
        """
        with self.lock:
            info = self.get(bucket, name)
            return (info, info.path.open("rb")) if info else None

    def draft(self) -> Draft:
        """A place for new bytes."""
        handle, path = tempfile.mkstemp(dir=self._partial)
        return Draft(path=Path(path), file=os.fdopen(handle, "wb", buffering=0))

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
        """Make a draft the object `name`, at once and whole.

        Raises PreconditionFailedError, NoSuchBucketError.
        """
        draft.file.close()
        md5 = draft.md5() if draft.size <= MD5_LIMIT_BYTES else None
        with self.lock:
            before = self.get(bucket, name)
            precondition.check(before)
            path = self._place(draft.path, before, bucket, name)
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
            self._tell(Change(bucket, name, before, after))
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
        for block in _blocks(data):
            draft.append(block)
        return self.commit(
            draft, bucket=bucket, name=name, content_type=content_type, content_encoding=content_encoding
        )

    def delete(self, bucket: str, name: str, precondition: Precondition = ANYTHING) -> bool:
        """Delete an object; False if it is not there. Raises PreconditionFailedError, NoSuchBucketError."""
        with self.lock:
            before = self.get(bucket, name)
            precondition.check(before)
            if before is None:
                return False
            found = self._bucket(bucket)
            del found.objects[name]
            found.names.pop(bisect.bisect_left(found.names, name))
            before.path.unlink(missing_ok=True)
            self._prune(before.path.parent)
            self._tell(Change(bucket, name, before, None))
            return True

    def _bucket(self, bucket: str) -> _Bucket:
        try:
            return self._buckets[bucket]
        except KeyError:
            raise NoSuchBucketError(bucket) from None

    def _tell(self, change: Change) -> None:
        for observer in self._observers:
            observer(change)

    def _place(self, source: Path, before: ObjectInfo | None, bucket: str, name: str) -> Path:
        """Rename the bytes to where this name's bytes live."""
        if before is not None:
            source.replace(before.path)
            return before.path
        if _is_tame(name):
            path = self.root / bucket / name
            with contextlib.suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
                path.parent.mkdir(parents=True, exist_ok=True)
                source.replace(path)
                return path
        path = self.root / ".odd" / bucket / hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        path.parent.mkdir(parents=True, exist_ok=True)
        source.replace(path)
        return path

    def _prune(self, folder: Path) -> None:
        """Remove folders that hold nothing any more, as a bucket has none."""
        with contextlib.suppress(OSError):
            while folder.parent not in {self.root, self.root.parent}:
                folder.rmdir()
                folder = folder.parent


def _is_tame(name: str) -> bool:
    """Whether a file system holds this name as it is."""
    parts = name.split("/")
    return _TAME.fullmatch(name) is not None and not any(
        part in {"", ".", ".."} or len(part.encode("utf-8", "replace")) > _PART_LIMIT_BYTES for part in parts
    )


def _blocks(data: bytes | Path | Iterable[bytes]) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield data
    elif isinstance(data, Path):
        with data.open("rb") as file:
            while block := file.read(1 << 20):
                yield block
    else:
        yield from data
