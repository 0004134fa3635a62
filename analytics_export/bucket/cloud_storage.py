"""Requests to one bucket: retried where that may help, and with Cloud Storage's errors translated.

Nothing above this module knows Google's exceptions or status codes.
"""

from collections.abc import Callable
from typing import TypeVar

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from analytics_export.bucket.upload import UploadRefused
from analytics_export.credentials import no_credentials
from analytics_export.errors import Conflict, ExportError, Misconfigured, UpstreamUnavailable
from analytics_export.http import NETWORK_ERRORS, adapter
from analytics_export.retries import (
    LEAST_FAILURES,
    CircuitBreaker,
    Deadline,
    RetryBudget,
    is_retryable,
    retry_after_s,
)

T = TypeVar("T")


class PreconditionFailed(Conflict):
    """Cloud Storage found another generation than this run expected."""


class CloudStorage:
    """One bucket of Cloud Storage for one call of the function; `client` and `bucket` are Google's own."""

    def __init__(self, client: Client, bucket: str, deadline: Deadline) -> None:
        self.client = client
        self.bucket = client.bucket(bucket)
        self.deadline = deadline
        self._circuit = CircuitBreaker(failures=LEAST_FAILURES)

    def call(self, call: Callable[[], T], permission: str) -> T:
        """Return what `call` returns, tried again where that may help.

        `permission` is the one that the request needs. Raises Misconfigured, UpstreamUnavailable, DeadlineReached,
        PreconditionFailed, and UploadRefused where Cloud Storage does not accept what is written.
        """
        with self._circuit.attempt():
            budget = RetryBudget(self.deadline)
            while True:
                try:
                    return call()
                except (
                    exceptions.GoogleAPIError,
                    GoogleAuthError,
                    InvalidResponse,
                    DataCorruption,
                    *NETWORK_ERRORS,
                ) as exc:
                    error = self._error_for(exc, permission)
                    try:
                        if not isinstance(error, UpstreamUnavailable):
                            raise error from exc
                        budget.wait(error)
                    finally:
                        del error  # else it keeps this frame, which keeps it, and both what was to be sent

    def _error_for(self, exc: Exception, permission: str) -> ExportError | UploadRefused:
        response = getattr(exc, "response", None)
        status = getattr(response, "status_code", None) or getattr(exc, "code", None)
        if isinstance(status, int) and (status == 304 or 400 <= status < 500) and not is_retryable(status):  # noqa: PLR2004 - RFC 9110
            return self._refusal(status, permission)
        if isinstance(exc, GoogleAuthError) and not exc.retryable:
            return no_credentials(exc)
        asked_s = (
            retry_after_s(response.headers.get("Retry-After"), self.deadline.clock) if response is not None else None
        )
        return UpstreamUnavailable(
            f"Cloud Storage did not do {permission} on {self.bucket.name} ({status or type(exc).__name__}).",
            asked_to_wait_s=asked_s,
        )

    def _refusal(self, status: int, permission: str) -> ExportError | UploadRefused:
        bucket = self.bucket.name
        match status:
            case 401 | 403:
                return Misconfigured(
                    f"BUCKET: Cloud Storage denied {permission} on {bucket}. Grant the function's service account "
                    "roles/storage.objectUser on the bucket, and see whether a hold or a retention policy forbids it."
                )
            case 404:
                return Misconfigured(f"BUCKET: the bucket {bucket} does not exist. Create it or correct the setting.")
            case 412 | 304:
                return PreconditionFailed(f"Another run writes the same period into {bucket}.")
            case 400 if permission == "storage.objects.create":
                return UploadRefused()
        return Misconfigured(f"BUCKET: Cloud Storage answered {status} to {permission} on {bucket}.")


def raise_if_bucket_is_missing(exc: exceptions.NotFound) -> None:
    """Tell the two 404s apart by Cloud Storage's message; without that message it is the object that is missing."""
    if "bucket does not exist" in exc.message:
        raise exc


def connect(*, connections: int) -> Client:
    """Return a client that keeps `connections` open; raises Misconfigured without usable Google credentials.

    It honours STORAGE_EMULATOR_HOST by itself. No project is needed to read and write a bucket.
    """
    try:
        client = Client(project=None)
    except GoogleAuthError as exc:
        raise Misconfigured(
            "No Google credentials were found; give the function a service account, or set STORAGE_EMULATOR_HOST."
        ) from exc
    client._bucket_metadata_cache = None  # noqa: SLF001 - else it asks for the bucket after each 404, to name trace spans
    for scheme in ("https://", "http://"):
        bounded = adapter(connections=connections, bounds_streams=True)
        client._http.mount(scheme, bounded)  # noqa: SLF001 - the way Google documents it
    return client
