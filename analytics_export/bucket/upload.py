"""One resumable upload into Cloud Storage, a request at a time.

Source: Cloud Storage, "Resumable uploads" (status query, 308 with Range, 404/410 for a lost session).
"""

import re
from collections.abc import Mapping
from typing import Protocol

import requests

from analytics_export.bucket.manifest import StoredObject
from analytics_export.errors import Misconfigured, UpstreamUnavailable
from analytics_export.http import NETWORK_ERRORS
from analytics_export.retries import Deadline, is_retryable, retry_after_s

CANCEL_S = 5.0
"""The longest that a read or write of `cancel` may take, in seconds: it is only a courtesy."""


class Body(Protocol):
    """What an upload reads from: bytes until `len` of them were given."""

    def __len__(self) -> int: ...

    def read(self, limit: int) -> bytes:
        """Return the next bytes, at most `limit`; none only at the end."""
        ...


class UploadInterrupted(UpstreamUnavailable):
    """How much the session has is unknown; ask for its status."""


class UploadRefused(Exception):
    """Cloud Storage refused an upload: checksum or precondition did not match; reading the object shows which."""


class SessionLost(Exception):
    """Cloud Storage no longer has the upload session; begin a new one."""


class Upload:
    """One resumable session. Its URL is a bearer token for a week: never shown."""

    def __init__(
        self, session: requests.Session, url: str, name: str, size: int, stall_s: float, deadline: Deadline
    ) -> None:
        self._session = session
        self._url = url
        self._name = name
        self._size = size
        self._stall_s = stall_s
        self._deadline = deadline

    def send(self, body: Body, offset: int) -> StoredObject | int:
        """Send the bytes from `offset` on, all in one request.

        Returns the finished object, or how many bytes the session has. Raises UploadInterrupted (ask for the `status`
        next), SessionLost, UploadRefused, Misconfigured, and what `body` raises.
        """
        if offset == self._size:
            return self.status()
        return self._put(body, {"Content-Range": f"bytes {offset}-{self._size - 1}/{self._size}"})

    def status(self) -> StoredObject | int:
        """Return what `send` returns, sending nothing; raises as `send` does."""
        return self._put(b"", {"Content-Range": f"bytes */{self._size}"})

    def cancel(self) -> None:
        """Delete the session and its bytes; one that cannot be deleted expires after a week."""
        try:
            self._session.delete(self._url, timeout=min(self._stall_s, CANCEL_S), allow_redirects=False).close()
        except NETWORK_ERRORS:
            return

    def _put(self, body: Body | bytes, headers: Mapping[str, str]) -> StoredObject | int:
        try:
            with self._session.put(
                self._url,
                data=body,  # type: ignore[arg-type] # requests takes anything with __len__ and read
                headers=headers,
                timeout=self._stall_s,
                allow_redirects=False,
            ) as response:
                return self._outcome_of(response)
        except NETWORK_ERRORS as exc:
            reason = type(exc).__name__
            raise UploadInterrupted(f"{self._name}: the upload to Cloud Storage broke off ({reason}).") from exc

    def _outcome_of(self, response: requests.Response) -> StoredObject | int:
        match response.status_code:
            case 200 | 201:
                return self._finished(response)
            case 308:
                match = re.fullmatch(r"bytes=0-([0-9]{1,18})", response.headers.get("Range", ""))
                kept = int(match[1]) + 1 if match else 0
                if kept > self._size:
                    raise SessionLost  # it has more than was sent: not this file
                return kept
            case 404 | 410 | 499:  # 499: cancelled, perhaps after a 412 whose answer was lost
                raise SessionLost
            case 400 | 412:
                raise UploadRefused
            case status if is_retryable(status):
                asked_s = retry_after_s(response.headers.get("Retry-After"), self._deadline.clock)
                raise UploadInterrupted(f"{self._name}: Cloud Storage answered {status}.", asked_to_wait_s=asked_s)
            case status:
                raise Misconfigured(f"BUCKET: Cloud Storage answered {status} to the upload of {self._name}.")

    def _finished(self, response: requests.Response) -> StoredObject:
        try:
            resource = response.json()  # numbers are strings; Google's testbench omits a size of 0
            size, generation = int(resource.get("size", 0)), str(resource["generation"])
            return StoredObject(self._name, size, resource["crc32c"], generation)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise UploadRefused from exc  # reading the object shows what the answer does not
