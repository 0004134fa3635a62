"""A stand-in of Secret Manager: AccessSecretVersion over plaintext gRPC, by version number or `latest`."""

import re
import threading

import google_crc32c
import grpc
from google.cloud.secretmanager_v1.types import resources, service

from local.faults import Faults
from local.grpc_service import GrpcService, abort, inject_before
from local.request_log import Request, RequestLog

_NAME = re.compile(r"(projects/[^/]+/secrets/[^/]+)/versions/(latest|\d+)")
_WORKERS = 8


class SecretManager(GrpcService):
    """The server. `latest` is the newest version, even if it is disabled, as in the real service."""

    def __init__(self, *, faults: Faults, port: int = 0) -> None:
        self._faults = faults
        self._lock = threading.Lock()
        self._versions: dict[str, list[bytes | None]] = {}
        """Payloads by secret, version 1 first; None for a disabled version."""
        self.requests = RequestLog()
        access = (self._access, service.AccessSecretVersionRequest, service.AccessSecretVersionResponse)
        super().__init__(
            "google.cloud.secretmanager.v1.SecretManagerService",
            {"AccessSecretVersion": access},
            workers=_WORKERS,
            port=port,
        )

    def add_version(self, secret: str, payload: bytes | str) -> int:
        """Add a version to `projects/P/secrets/S`, which is created if it does not exist. Return its number."""
        with self._lock:
            versions = self._versions.setdefault(secret, [])
            versions.append(payload.encode() if isinstance(payload, str) else payload)
            return len(versions)

    def disable(self, secret: str, version: int) -> None:
        """Disable a version: requests for it are answered FAILED_PRECONDITION."""
        with self._lock:
            self._versions[secret][version - 1] = None

    def remove(self, secret: str) -> None:
        """Remove the secret: requests for it are answered NOT_FOUND."""
        with self._lock:
            self._versions.pop(secret, None)

    def _access(
        self, request: service.AccessSecretVersionRequest, context: grpc.ServicerContext
    ) -> service.AccessSecretVersionResponse:
        match = _NAME.fullmatch(request.name)
        entry = Request(method="RPC", path="AccessSecretVersion", operation="secret.access", name=request.name)
        self.requests.add(entry)
        inject_before(self._faults, entry, context)
        if match is None:
            abort(context, grpc.StatusCode.INVALID_ARGUMENT, "the name is not that of a secret version")
        secret, version = match.groups()
        with self._lock:
            versions = list(self._versions.get(secret, []))
        number = len(versions) if version == "latest" else int(version)
        if not 1 <= number <= len(versions):
            abort(context, grpc.StatusCode.NOT_FOUND, f"Secret [{secret}] not found or has no such version.")
        payload = versions[number - 1]
        if payload is None:
            abort(context, grpc.StatusCode.FAILED_PRECONDITION, "Secret Version is in DISABLED state.")
        return service.AccessSecretVersionResponse(
            name=f"{secret}/versions/{number}",
            payload=resources.SecretPayload(data=payload, data_crc32c=google_crc32c.value(payload)),
        )
