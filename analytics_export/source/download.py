"""Reads the file behind a signed link: its size and checksum, and its stored bytes from any byte on.

Only this module knows Range and expired links.
"""

import base64
import re
from contextlib import suppress
from typing import Self

import requests

from analytics_export.errors import (
    Conflict,
    ExportError,
    ExportServiceError,
    IntegrityFailure,
    LinkRefused,
    UpstreamUnavailable,
)
from analytics_export.http import BLOCK_BYTES, NETWORK_ERRORS
from analytics_export.retries import PROGRESS_BYTES, Deadline, RetryBudget, is_retryable, retry_after_s
from analytics_export.source.links import Listing, SignedLink
from analytics_export.source.stored_headers import SourceFile, StoredHeaders, Transcoded, read_stored_headers

_MAY_BE_STALE = {401, 403, 404, 410}
_EXPIRED = re.compile(rb"<Code>\s*ExpiredToken\s*</Code>")


class Mismatch(IntegrityFailure):
    """The bytes do not match the declared size or checksum; the caller retries once from byte 0."""


class SourceChanged(Conflict):
    """The source stores another version of the file than the one being read."""


class Source:
    """Opens links, without the API key and without following redirects."""

    def __init__(self, session: requests.Session, deadline: Deadline, stall_s: float) -> None:
        self.session = session
        self.deadline = deadline
        self.stall_s = stall_s

    def stat(self, listing: Listing, file_name: str) -> SourceFile:
        """Return size and checksum of the file behind a link, from a request for its first byte.

        A request for the whole body would have to be dropped, and with it the connection.
        """
        opener = _Opener(self, listing, file_name)
        try:
            response, stored = opener.open(first_byte_only=True)
        except Mismatch:  # there is no first byte: the file is empty now
            file = None
        else:
            with response:
                with suppress(*NETWORK_ERRORS):
                    response.raw.read(1, decode_content=False)
                file = stored.file()
        if file is None:
            with SourceStream(self, listing, file_name) as stream:
                file = stream.begin()
        return file


class _Opener:
    """Opens one file: renews its link, chooses the encoding, waits between tries."""

    def __init__(self, source: Source, listing: Listing, file_name: str) -> None:
        self._source = source
        self._listing = listing
        self._file_name = file_name
        self._accept_encoding = "gzip"  # what is stored compressed must arrive compressed
        self._has_ranges = True
        self.budget = RetryBudget(source.deadline)

    def open(self, start: int = 0, *, first_byte_only: bool = False) -> tuple[requests.Response, StoredHeaders]:
        """Return an answer whose body begins at `start`, or before it where the source cannot do otherwise.

        Raises Mismatch where the source has no byte `start`, LinkRefused, ExportServiceError, and UpstreamUnavailable
        after the tries.
        """
        while True:
            try:
                response = self._response(start, first_byte_only=first_byte_only)
                try:
                    return response, self._checked(response, start)
                except BaseException:
                    response.close()
                    raise
            except Transcoded as exc:
                if self._accept_encoding == "identity":
                    raise Mismatch(
                        f"{self._file_name}: the source does not serve the bytes as it stores them."
                    ) from exc
                self._accept_encoding = "identity"
            except UpstreamUnavailable as failure:
                self.budget.wait(failure)

    def _checked(self, response: requests.Response, start: int) -> StoredHeaders:
        stored = read_stored_headers(response.status_code, response.headers)
        if stored.starts_at not in {0, start}:
            self._has_ranges = False
            raise UpstreamUnavailable(f"{self._file_name}: the source did not answer with the bytes asked for.")
        return stored

    def _response(self, start: int, *, first_byte_only: bool) -> requests.Response:
        """Request the newest link, and if it seems to have expired, a renewed one."""
        headers = {"Accept-Encoding": self._accept_encoding}
        if self._has_ranges and (start or first_byte_only):
            headers["Range"] = "bytes=0-0" if first_byte_only else f"bytes={start}-"
        link = self._listing.link(self._file_name)
        response = self._get(link, headers)
        is_expired = _is_expired(response)
        if is_expired or response.status_code in _MAY_BE_STALE:
            response.close()
            response = self._get(self._listing.renewed(link), headers)
            is_expired = _is_expired(response)
        if response.status_code in {requests.codes.ok, requests.codes.partial_content}:
            return response
        with response:
            raise self._error_for(response, is_expired=is_expired)

    def _get(self, link: SignedLink, headers: dict[str, str]) -> requests.Response:
        try:
            return self._source.session.get(
                link.url,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=self._source.stall_s,
            )
        except NETWORK_ERRORS as exc:
            raise UpstreamUnavailable(
                f"{self._file_name}: the source cannot be reached ({type(exc).__name__})."
            ) from exc

    def _error_for(self, response: requests.Response, *, is_expired: bool) -> ExportError:
        status = response.status_code
        if 300 <= status < 400:  # noqa: PLR2004 - RFC 9110: redirection
            return LinkRefused(f"{self._file_name}: the link redirects ({status}); it is not followed.")
        if status == requests.codes.requested_range_not_satisfiable:
            return Mismatch(f"{self._file_name}: the source is shorter than it declared.")
        if is_retryable(status) or is_expired:
            asked_s = retry_after_s(response.headers.get("Retry-After"), self._source.deadline.clock)
            return UpstreamUnavailable(f"{self._file_name}: the source answered {status}.", asked_to_wait_s=asked_s)
        return ExportServiceError(
            f"{self._file_name}: its link answered {status} even after the listing was renewed; expected 200. "
            "If it stays so, ask Usercentrics."
        )


def _is_expired(response: requests.Response) -> bool:
    """Match the error's code: Cloud Storage answers 400 with a message that varies."""
    if response.status_code != requests.codes.bad_request:
        return False
    try:
        return bool(_EXPIRED.search(response.raw.read(8192, decode_content=True)))
    except NETWORK_ERRORS:
        return False


class SourceStream:
    """Reads one version of a file; resumes where a connection broke, with a renewed link if needed.

    Call `begin` first. It and `read` raise SourceChanged when the source has replaced the file, Mismatch when the bytes
    cannot be those that it declares, LinkRefused, ExportServiceError, UpstreamUnavailable after the tries, and
    DeadlineReached.
    """

    file: SourceFile

    def __init__(self, source: Source, listing: Listing, file_name: str) -> None:
        self._file_name = file_name
        self._opener = _Opener(source, listing, file_name)
        self._response: requests.Response | None = None
        self._unmarked_bytes = 0
        self._was_interrupted = False
        self.position = 0
        self.size_bytes: int | None = None
        """None until it is known."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()

    def begin(self) -> SourceFile:
        """Open the file at its first byte and return its size and checksum."""
        self._response, stored = self._opener.open()
        file = stored.file()
        self.file = self._measured(stored) if file is None else file
        self.size_bytes = self.file.size
        return self.file

    def read(self, limit: int) -> bytes:
        """Return the next bytes, at most `limit` of them; none only at the end of the file."""
        while self.position < self.file.size:
            try:
                block = self._block(min(limit, self.file.size - self.position))
                reason = "the body ended early"
            except NETWORK_ERRORS as exc:
                block = b""
                reason = type(exc).__name__
            if block:
                self._advance(len(block))
                return block
            self._drop()
            self._was_interrupted = True
            self._opener.budget.wait(
                UpstreamUnavailable(
                    f"{self._file_name}: the source broke off at byte {self.position} of {self.file.size} ({reason})."
                )
            )
        return b""

    def seek(self, position: int) -> None:
        """Continue from another byte; costs a request unless it is the current position."""
        if position != self.position:
            self._drop()
            self.position = position

    def _block(self, limit: int) -> bytes:
        """Read a whole block; after an interruption only what has arrived, so that another one loses nothing."""
        raw = self._answer().raw
        block: bytes = (raw.read1 if self._was_interrupted else raw.read)(limit, decode_content=False)
        return block

    def _answer(self) -> requests.Response:
        if self._response is None:
            response, stored = self._opener.open(self.position)
            self._response = response
            if not stored.is_of(self.file):
                raise SourceChanged(f"{self._file_name}: the source stores another version now.")
            self._skip(self.position - stored.starts_at)
        return self._response

    def _skip(self, count: int) -> None:
        """Skip what the source sends again because it does not support Range."""
        assert self._response is not None  # noqa: S101 - for the type checker
        while count:
            block = self._response.raw.read(min(BLOCK_BYTES, count), decode_content=False)
            if not block:
                raise OSError("the body ended early")
            count -= len(block)

    def _advance(self, count: int) -> None:
        self.position += count
        self._unmarked_bytes += count
        if self._unmarked_bytes >= PROGRESS_BYTES:
            self._unmarked_bytes = 0
            self._opener.budget.progressed()

    def _measured(self, stored: StoredHeaders) -> SourceFile:
        """Read the whole file once to learn the size or the checksum that the source does not declare.

        What it declares must match; the second read, which is the copy, must match the first.
        """
        import google_crc32c  # noqa: PLC0415 - rarely needed: Cloud Storage declares both

        if stored.size is None and stored.crc32c is None:
            raise Mismatch(
                f"{self._file_name}: the source declares neither a crc32c nor a length; nothing can be proven."
            )
        assert self._response is not None  # noqa: S101 - for the type checker
        checksum, size = google_crc32c.Checksum(), 0
        try:
            while block := self._response.raw.read(BLOCK_BYTES, decode_content=False):
                checksum.update(block)
                self.position = size = size + len(block)
        except NETWORK_ERRORS as exc:
            raise Mismatch(
                f"{self._file_name}: the source broke off after {size} bytes ({type(exc).__name__})."
            ) from exc
        self._drop()
        self.position = 0
        crc32c = base64.b64encode(checksum.digest()).decode()
        if stored.size not in {None, size} or stored.crc32c not in {None, crc32c}:
            raise Mismatch(f"{self._file_name}: the source sent {size} bytes that do not match what it declares.")
        file = stored.file(size=size, crc32c=crc32c)
        assert file is not None  # noqa: S101 - for the type checker
        return file

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
