"""Resumable uploads: sessions that keep the received bytes, and become an object once they are complete.

The rules, from Google's documentation: until its last byte has arrived, a session keeps multiples of 256 KiB, and
never fewer bytes than it has reported; a request starts exactly at the first byte that is not kept; the object is
created only if the declared checksum and the generation precondition match. The start checks the precondition as well.
"""

import re
import secrets
import threading
from dataclasses import dataclass, field
from enum import Enum, auto

from local.storage.files import Draft
from local.storage.objects import ObjectInfo, Precondition
from local.storage.store import ObjectStore

QUANTUM_BYTES = 256 << 10


class WrongRangeError(ValueError):
    """The Content-Range is wrong for the session; the text says why."""


class ChecksumError(ValueError):
    """The bytes do not match the declared checksum; the text has both checksums."""


class SessionState(Enum):
    """The state of a session."""

    OPEN = auto()
    DONE = auto()
    CANCELLED = auto()
    LOST = auto()


@dataclass(frozen=True)
class ContentRange:
    """`bytes FIRST-LAST/TOTAL`.

    `first` None: a status query, without bytes. `total` None: `*`.
    """

    first: int | None
    last: int | None
    total: int | None

    @classmethod
    def parse(cls, text: str | None, length: int) -> "ContentRange":
        """Parse the header; without one, the request has the whole object."""
        if text is None:
            return cls(0, length - 1, length)
        match = re.fullmatch(r"bytes (?:\*|(\d+)-(\d+))/(?:\*|(\d+))", text.strip())
        if match is None:
            raise WrongRangeError(f"invalid Content-Range {text!r}")
        first, last, total = (None if part is None else int(part) for part in match.groups())
        if first is not None and last is not None and last - first + 1 != length:
            raise WrongRangeError(f"Content-Range {text!r} does not match a Content-Length of {length}")
        if last is not None and total is not None and last >= total:
            raise WrongRangeError(f"Content-Range {text!r} exceeds its own total")
        if first is None and length:
            raise WrongRangeError("a status query has no body")
        return cls(first, last, total)


@dataclass(kw_only=True)
class NewObject:
    """The object that an upload shall create, as its first request declares it."""

    bucket: str
    name: str
    content_type: str | None
    content_encoding: str | None
    crc32c: str | None
    md5: str | None
    metadata: dict[str, str]
    precondition: Precondition

    def check(self, draft: Draft) -> None:
        """Raise ChecksumError if the bytes do not match a declared checksum."""
        if self.crc32c is not None and self.crc32c != draft.crc32c:
            raise ChecksumError(f"Provided CRC32C {self.crc32c!r} doesn't match calculated CRC32C {draft.crc32c!r}.")
        if self.md5 is not None and self.md5 != (md5 := draft.md5()):
            raise ChecksumError(f"Provided MD5 hash {self.md5!r} doesn't match calculated MD5 hash {md5!r}.")


@dataclass(kw_only=True, eq=False)
class Session:
    """One upload. `lock` guards every field; a later request takes over from an earlier one that still reads."""

    id: str
    new_object: NewObject
    draft: Draft
    total_bytes: int | None
    state: SessionState = SessionState.OPEN
    lost_status: int = 410
    result: ObjectInfo | None = None
    writer: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def kept_bytes(self) -> int:
        """How many bytes the session has; the next request starts there."""
        return self.draft.size

    @property
    def is_complete(self) -> bool:
        """Whether every byte has arrived."""
        return self.total_bytes is not None and self.kept_bytes == self.total_bytes

    def take_over(self, content_range: ContentRange) -> int:
        """Begin a request: check its range, and stop the writer before it. Return the new writer's number."""
        if self.state is SessionState.DONE:
            return self.writer
        if content_range.total is not None:
            if self.total_bytes is not None and self.total_bytes != content_range.total:
                raise WrongRangeError(f"the upload's size is {self.total_bytes}, not {content_range.total}")
            self.total_bytes = content_range.total
        if content_range.first is not None and content_range.first != self.kept_bytes:
            raise WrongRangeError(f"the next byte of this upload is {self.kept_bytes}, not {content_range.first}")
        if content_range.last is not None and self.total_bytes is not None and content_range.last >= self.total_bytes:
            raise WrongRangeError(f"the upload's size is {self.total_bytes}")
        self.writer += 1
        return self.writer

    def append(self, writer: int, data: bytes) -> bool:
        """Keep some bytes. Return False if a later writer has taken over, or the session has ended."""
        with self.lock:
            if writer != self.writer or self.state is not SessionState.OPEN:
                return False
            self.draft.append(data)
            return True

    def finish(self, store: ObjectStore) -> ObjectInfo:
        """Create the object. Raises ChecksumError and PreconditionFailedError; both end the session."""
        new_object = self.new_object
        try:
            new_object.check(self.draft)
            self.result = store.commit(
                self.draft,
                bucket=new_object.bucket,
                name=new_object.name,
                precondition=new_object.precondition,
                content_type=new_object.content_type,
                content_encoding=new_object.content_encoding,
                metadata=new_object.metadata,
            )
        except Exception:
            self.end(SessionState.CANCELLED)
            raise
        self.state = SessionState.DONE
        return self.result

    def cancel(self) -> None:
        """End the session at the client's request."""
        with self.lock:
            if self.state is SessionState.OPEN:
                self.end(SessionState.CANCELLED)

    def lose(self, status: int) -> None:
        """Discard the received bytes; later requests are answered `status`."""
        with self.lock:
            self.lost_status = status
            if self.state is SessionState.OPEN:
                self.end(SessionState.LOST)

    def end(self, state: SessionState) -> None:
        """Set the final state, and discard the received bytes."""
        self.state = state
        self.draft.discard()


class Sessions:
    """The sessions of one server, by id."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def start(self, new_object: NewObject, total_bytes: int | None) -> Session:
        """Open a session. Raises PreconditionFailedError, NoSuchBucketError."""
        new_object.precondition.check(self._store.get(new_object.bucket, new_object.name))
        session = Session(
            id=secrets.token_urlsafe(24), new_object=new_object, draft=self._store.draft(), total_bytes=total_bytes
        )
        with self._lock:
            self._sessions[session.id] = session
        return session

    def get(self, session_id: str) -> Session | None:
        """Return the session, or None."""
        with self._lock:
            return self._sessions.get(session_id)

    def open_sessions(self) -> list[Session]:
        """Return the sessions that are neither done, nor cancelled, nor lost."""
        with self._lock:
            return [session for session in self._sessions.values() if session.state is SessionState.OPEN]
