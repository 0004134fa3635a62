"""An object's metadata, a change of an object, and a request's precondition."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


class NoSuchBucketError(LookupError):
    """The bucket does not exist."""


class PreconditionFailedError(Exception):
    """The current object does not match the request's precondition."""


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    """One object as it is visible now."""

    bucket: str
    name: str
    size: int
    crc32c: str
    """Base64 of the big-endian checksum, as the API shows it."""
    generation: int
    content_type: str | None
    content_encoding: str | None
    md5: str | None
    metadata: dict[str, str] = field(default_factory=dict)
    updated: datetime
    path: Path
    """The file with its bytes; a later generation of the object replaces it."""

    def read_bytes(self) -> bytes:
        """Return all stored bytes."""
        return self.path.read_bytes()


@dataclass(frozen=True)
class Change:
    """A change of one object. `before` is None for a new object, `after` for a deleted one."""

    bucket: str
    name: str
    before: ObjectInfo | None
    after: ObjectInfo | None


@dataclass(frozen=True, kw_only=True)
class Precondition:
    """What a request requires of the current object; None requires nothing. Generation 0 means no object."""

    generation: int | None = None
    generation_not: int | None = None

    def check(self, current: ObjectInfo | None) -> None:
        """Raise PreconditionFailedError if the current object does not match."""
        generation = current.generation if current else 0
        if self.generation is not None and self.generation != generation:
            raise PreconditionFailedError
        if self.generation_not is not None and self.generation_not == generation:
            raise PreconditionFailedError


ANYTHING = Precondition()
