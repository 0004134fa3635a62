"""The key to the export service, from Secret Manager."""

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

from google.api_core import exceptions, retry
from google.auth.exceptions import GoogleAuthError
from google.cloud import secretmanager_v1
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

from analytics_export.credentials import no_credentials
from analytics_export.errors import ExportError, Misconfigured, UpstreamUnavailable
from analytics_export.retries import Clock
from analytics_export.time_limit import TimeLimit

BUDGET_S = 20.0
"""All tries of one read together, in seconds; one try takes at most half.

Secret Manager answers in milliseconds, and an outage lasts longer than a wait is worth."""
READ_AGAIN_S = 60.0
"""How long a key that was read again after a refusal counts as the newest, in seconds."""


class ApiKey:
    """Keeps the key in the memory of a warm instance; `read_again` gets the new key after a rotation."""

    def __init__(self, secret_version: str, *, emulator: str | None, budget_s: float = BUDGET_S) -> None:
        self._secret_version = secret_version
        self._budget_s = budget_s
        self._emulator = emulator
        self._client: secretmanager_v1.SecretManagerServiceClient | None = None
        self._key: str | None = None
        self._lock = threading.Lock()

    def value(self) -> str:
        """Return the key, read now unless this instance knows it.

        Raises Misconfigured when the secret is missing, denied or empty, and UpstreamUnavailable.
        """
        with self._lock:
            if self._key is None:
                self._key = self._read()
            return self._key

    def read_again(self) -> str:
        """Return the key as Secret Manager holds it now; raises as `value` does."""
        with self._lock:
            self._key = self._read()
            return self._key

    def _read(self) -> str:
        payload = self._translated(self._access)
        try:
            key = payload.decode("ascii").strip()
        except UnicodeDecodeError:
            key = ""
        if not key.isprintable() or not key:
            raise Misconfigured(
                f"The secret {self._secret_version} must hold the API key as one line of printable ASCII; it does not. "
                "Add a version that does."
            )
        return key

    def _access(self) -> bytes:
        if self._client is None:
            self._client = _client(self._emulator)
        answer = self._client.access_secret_version(
            name=self._secret_version,
            timeout=self._budget_s / 2,
            retry=retry.Retry(
                predicate=retry.if_exception_type(
                    exceptions.ServiceUnavailable,
                    exceptions.DeadlineExceeded,
                    exceptions.InternalServerError,
                    exceptions.TooManyRequests,
                ),
                initial=0.2,
                maximum=4.0,
                timeout=self._budget_s,
            ),
        )
        return answer.payload.data

    def _translated(self, call: Callable[[], bytes]) -> bytes:
        try:
            return call()
        except exceptions.NotFound as exc:  # no version was ever added; terraform/metrics.tf counts these words
            raise Misconfigured(
                f"API_KEY_SECRET: {self._secret_version} does not exist. Add a version that holds the API key: "
                "gcloud secrets versions add."
            ) from exc
        except exceptions.FailedPrecondition as exc:
            raise Misconfigured(
                f"API_KEY_SECRET: {self._secret_version} is disabled or destroyed. Enable it, or add a version that "
                "holds the API key: gcloud secrets versions add."
            ) from exc
        except (exceptions.PermissionDenied, exceptions.Unauthenticated, exceptions.InvalidArgument) as exc:
            raise Misconfigured(
                f"API_KEY_SECRET: the function's service account may not read {self._secret_version}. Grant it "
                "roles/secretmanager.secretAccessor on the secret."
            ) from exc
        except GoogleAuthError as exc:
            raise no_credentials(exc) from exc
        except exceptions.GoogleAPIError as exc:
            raise UpstreamUnavailable(
                f"Secret Manager did not answer within {self._budget_s:.0f} s ({type(exc).__name__}). Call again later."
            ) from exc


@dataclass(frozen=True, eq=False)
class Key:
    """The result of one read of the secret; two reads give two keys, even with the same text."""

    text: str = field(repr=False)


class KeyOfThisCall:
    """The key that all periods of one call share.

    When it is refused, it is read once more, however many requests were refused, and at most once in `READ_AGAIN_S`.
    """

    def __init__(self, api_key: ApiKey, clock: Clock) -> None:
        self._api_key = api_key
        self._monotonic = clock.monotonic
        self._lock = threading.Lock()
        self._newest: Key | None = None
        self._read_again_at: float | None = None
        self._failure: ExportError | None = None

    def value(self) -> Key:
        """Return the newest key. Raises as `ApiKey.value` does; a secret that cannot be read is tried once a call."""
        with self._lock:
            if self._newest is None:
                self._newest = self._read(self._api_key.value)
            return self._newest

    def after_refusal(self, refused: Key) -> Key | None:
        """Return a newer key than the refused one; None where that was just read. Raises as `value`."""
        with self._lock:
            now = self._monotonic()
            if refused is self._newest:
                if self._read_again_at is not None and now - self._read_again_at < READ_AGAIN_S:
                    return None
                self._newest = self._read(self._api_key.read_again)
                self._read_again_at = now
            return self._newest

    def _read(self, read: Callable[[], str]) -> Key:
        if self._failure is not None:
            raise self._failure
        limit = TimeLimit.of_this_call()
        try:
            with limit.waiting_for("Secret Manager") if limit else nullcontext():
                return Key(read())
        except ExportError as failure:
            self._failure = failure
            raise


def _client(emulator: str | None) -> secretmanager_v1.SecretManagerServiceClient:
    if emulator is None:
        return secretmanager_v1.SecretManagerServiceClient()
    import grpc  # noqa: PLC0415 - only a stand-in speaks plaintext

    transport = SecretManagerServiceGrpcTransport(channel=grpc.insecure_channel(emulator))
    return secretmanager_v1.SecretManagerServiceClient(transport=transport)
