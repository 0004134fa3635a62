"""What an object is, what has changed of it, and what a request demands of it."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


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
