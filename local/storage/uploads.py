"""Resumable uploads: sessions that keep what arrived, and become an object only when whole.

The rules, from Google's documentation: a session keeps multiples of 256 KiB until its last byte is there,
never less than it said before; a request starts exactly at the first byte that is not kept; the declared
checksum and the generation precondition decide at the end whether there will be an object (the precondition
also at the beginning).
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
    """A Content-Range that does not fit the session; the text says why."""


class ChecksumError(ValueError):
    """The bytes are not those that were declared; the text says which they are."""


class SessionState(Enum):
    """How far a session is."""

    OPEN = auto()
    DONE = auto()
    CANCELLED = auto()
    LOST = auto()


@dataclass(frozen=True)
class ContentRange:
    """`bytes FIRST-LAST/TOTAL`.

    `first` None: no bytes come, this asks how far the session is. `total` None: `*`.
    """

    first: int | None
    last: int | None
    total: int | None

    @classmethod
    def parse(cls, text: str | None, length: int) -> "ContentRange":
        """Read the header; without one, the request holds the whole object."""
        if text is None:
            return cls(0, length - 1, length)
        match = re.fullmatch(r"bytes (?:\*|(\d+)-(\d+))/(?:\*|(\d+))", text.strip())
        if match is None:
            raise WrongRangeError(f"cannot read the Content-Range {text!r}")
        first, last, total = (None if part is None else int(part) for part in match.groups())
        if first is not None and last is not None and last - first + 1 != length:
            raise WrongRangeError(f"Content-Range {text!r} does not fit a Content-Length of {length}")
        if last is not None and total is not None and last >= total:
            raise WrongRangeError(f"Content-Range {text!r} goes beyond its own total")
        if first is None and length:
            raise WrongRangeError("a status query has no body")
        return cls(first, last, total)


@dataclass(kw_only=True)
class Wanted:
    """What the object is to become: the metadata of the request that started the upload."""

    bucket: str
    name: str
    content_type: str | None
    content_encoding: str | None
    crc32c: str | None
    md5: str | None
    metadata: dict[str, str]
    precondition: Precondition

    def check(self, draft: Draft) -> None:
        """Raise ChecksumError if the bytes are not those that were declared."""
        if self.crc32c is not None and self.crc32c != draft.crc32c:
            raise ChecksumError(f"Provided CRC32C {self.crc32c!r} doesn't match calculated CRC32C {draft.crc32c!r}.")
        if self.md5 is not None and self.md5 != (md5 := draft.md5()):
            raise ChecksumError(f"Provided MD5 hash {self.md5!r} doesn't match calculated MD5 hash {md5!r}.")


@dataclass(kw_only=True, eq=False)
class Session:
    """One upload.

    Its `lock` guards all of it; a later request takes over from an earlier one that still reads.
    """

    id: str
    wanted: Wanted
    draft: Draft
    total_bytes: int | None
    state: SessionState = SessionState.OPEN
    lost_status: int = 410
    result: ObjectInfo | None = None
    writer: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def kept_bytes(self) -> int:
        """How many bytes are safe: the next request starts there."""
        return self.draft.size

    @property
    def is_whole(self) -> bool:
        """Whether every byte is there."""
        return self.total_bytes is not None and self.kept_bytes == self.total_bytes

    def take_over(self, content_range: ContentRange) -> int:
        """Begin a request.

        Check its range, and end whoever still writes. Gives back the new writer's number.
        """
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
        """Keep some bytes; False if this writer has been taken over from or the session is over."""
        with self.lock:
            if writer != self.writer or self.state is not SessionState.OPEN:
                return False
            self.draft.append(data)
            return True

    def finish(self, store: ObjectStore) -> ObjectInfo:
        """Make the object. Raises ChecksumError (the session is over then) and PreconditionFailedError."""
        try:
            self.wanted.check(self.draft)
            self.result = store.commit(
                self.draft,
                bucket=self.wanted.bucket,
                name=self.wanted.name,
                precondition=self.wanted.precondition,
                content_type=self.wanted.content_type,
                content_encoding=self.wanted.content_encoding,
                metadata=self.wanted.metadata,
            )
        except Exception:
            self.end(SessionState.CANCELLED)
            raise
        self.state = SessionState.DONE
        return self.result

    def cancel(self) -> None:
        """The client wants it no more."""
        with self.lock:
            if self.state is SessionState.OPEN:
                self.end(SessionState.CANCELLED)

    def lose(self, status: int) -> None:
        """Forget what arrived; later requests are answered `status`."""
        with self.lock:
            self.lost_status = status
            if self.state is SessionState.OPEN:
                self.end(SessionState.LOST)

    def end(self, state: SessionState) -> None:
        """Throw away what arrived."""
        self.state = state
        self.draft.discard()


class Sessions:
    """The sessions of one server, by id."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def start(self, wanted: Wanted, total_bytes: int | None) -> Session:
        """Open a session. Raises PreconditionFailedError, NoSuchBucketError."""
        wanted.precondition.check(self._store.get(wanted.bucket, wanted.name))
        session = Session(
            id=secrets.token_urlsafe(24), wanted=wanted, draft=self._store.draft(), total_bytes=total_bytes
        )
        with self._lock:
            self._sessions[session.id] = session
        return session

    def get(self, session_id: str) -> Session | None:
        """The session, or None."""
        with self._lock:
            return self._sessions.get(session_id)

    def open_sessions(self) -> list[Session]:
        """Those that are neither done, nor cancelled, nor lost."""
        with self._lock:
            return [session for session in self._sessions.values() if session.state is SessionState.OPEN]
