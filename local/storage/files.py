"""Where the bytes of objects are stored.

An object is a file that you can open, such as `root/BUCKET/granular/daily/start_date=2022-04-01/file.csv`. If its name
cannot be a path (`..`, `//`, a trailing `/`, parts over 200 bytes, control characters, an object whose name is another
one's folder), the file is in `root/.odd/BUCKET/` under a hash. Unfinished uploads are in `root/.partial/`; a single
rename makes a complete object visible.
"""

import base64
import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c

_PART_LIMIT_BYTES = 200
_PATH_TEXT = re.compile(r"[^\x00-\x1f\x7f\\]+")


@dataclass(kw_only=True)
class Draft:
    """The bytes of an object that does not exist yet: a file outside every bucket, its size and running checksum."""

    path: Path
    file: BinaryIO
    size: int = 0
    crc: int = 0

    def append(self, data: bytes) -> None:
        """Append bytes to the file."""
        view = memoryview(data)
        while view:
            view = view[self.file.write(view) :]
        self.crc = google_crc32c.extend(self.crc, data)
        self.size += len(data)

    @property
    def crc32c(self) -> str:
        """The checksum as the API shows it."""
        return base64.b64encode(self.crc.to_bytes(4, "big")).decode()

    def md5(self) -> str:
        """The MD5 of all bytes in base64; it reads the file again."""
        with self.path.open("rb") as file:
            return base64.b64encode(hashlib.file_digest(file, "md5").digest()).decode()

    def discard(self) -> None:
        """Delete the file."""
        self.file.close()
        self.path.unlink(missing_ok=True)


class Files:
    """The files under one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._partial = root / ".partial"
        self._partial.mkdir(parents=True, exist_ok=True)

    def draft(self) -> Draft:
        """Create an empty draft."""
        handle, path = tempfile.mkstemp(dir=self._partial)
        return Draft(path=Path(path), file=os.fdopen(handle, "wb", buffering=0))

    def place(self, source: Path, before: Path | None, bucket: str, name: str) -> Path:
        """Move the file `source` to the path for this object; `before` is the path of the object that it replaces."""
        if before is not None:
            source.replace(before)
            return before
        if _can_be_path(name):
            path = self.root / bucket / name
            with contextlib.suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
                path.parent.mkdir(parents=True, exist_ok=True)
                source.replace(path)
                return path
        path = self.root / ".odd" / bucket / hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        path.parent.mkdir(parents=True, exist_ok=True)
        source.replace(path)
        return path

    def remove(self, path: Path) -> None:
        """Delete a file, and its folders where they are empty, since a bucket has no folders."""
        path.unlink(missing_ok=True)
        folder = path.parent
        with contextlib.suppress(OSError):
            while folder.parent not in {self.root, self.root.parent}:
                folder.rmdir()
                folder = folder.parent


def _can_be_path(name: str) -> bool:
    """Whether the object's name can be used as a path."""
    parts = name.split("/")
    return _PATH_TEXT.fullmatch(name) is not None and not any(
        part in {"", ".", ".."} or len(part.encode("utf-8", "replace")) > _PART_LIMIT_BYTES for part in parts
    )


def blocks_of(data: bytes | Path | Iterable[bytes]) -> Iterator[bytes]:
    """Return the bytes in pieces; for a Path, the bytes of its file."""
    if isinstance(data, bytes):
        yield data
    elif isinstance(data, Path):
        with data.open("rb") as file:
            while block := file.read(1 << 20):
                yield block
    else:
        yield from data
