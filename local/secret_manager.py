"""A stand-in of Secret Manager: AccessSecretVersion over plaintext gRPC, by version number or `latest`."""

import re
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import NoReturn

import google_crc32c
import grpc
from google.cloud.secretmanager_v1.types import resources, service

from local.faults import Fault, Faults, Kind
from local.request_log import Request, RequestLog

_METHOD = "/google.cloud.secretmanager.v1.SecretManagerService/AccessSecretVersion"
_NAME = re.compile(r"(projects/[^/]+/secrets/[^/]+)/versions/(latest|\d+)")
_STATUS_CODES = {
    400: grpc.StatusCode.FAILED_PRECONDITION,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    503: grpc.StatusCode.UNAVAILABLE,
}
_WORKERS = 8


class SecretManager:
    """The server. `latest` is the newest version, even when it is disabled, as in the real one."""

    def __init__(self, *, faults: Faults, port: int = 0) -> None:
        self._faults = faults
        self._lock = threading.Lock()
        self._versions: dict[str, list[bytes | None]] = {}
        """Payloads by secret, version 1 first; None when disabled."""
        self.requests = RequestLog()
        self._server = grpc.server(futures.ThreadPoolExecutor(_WORKERS), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((_Handler(self._access),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    def stop(self) -> None:
        """Break every call."""
        self._server.stop(grace=None)

    def add_version(self, secret: str, payload: bytes | str) -> int:
        """Add a version to `projects/P/secrets/S`, made if need be. Gives back its number."""
        with self._lock:
            versions = self._versions.setdefault(secret, [])
            versions.append(payload.encode() if isinstance(payload, str) else payload)
            return len(versions)

    def disable(self, secret: str, version: int) -> None:
        """Let a version answer FAILED_PRECONDITION."""
        with self._lock:
            self._versions[secret][version - 1] = None

    def remove(self, secret: str) -> None:
        """Let the secret not be there (NOT_FOUND)."""
        with self._lock:
            self._versions.pop(secret, None)

    def _access(
        self, request: service.AccessSecretVersionRequest, context: grpc.ServicerContext
    ) -> service.AccessSecretVersionResponse:
        match = _NAME.fullmatch(request.name)
        self.requests.add(
            Request(method="RPC", path="AccessSecretVersion", operation="secret.access", name=request.name)
        )
        for fault in self._faults.take("secret.access", request.name):
            self._suffer(fault, context)
        if match is None:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, "the name is not that of a secret version")
        secret, wanted = match.groups()
        with self._lock:
            versions = list(self._versions.get(secret, []))
        number = len(versions) if wanted == "latest" else int(wanted)
        if not 1 <= number <= len(versions):
            _abort(context, grpc.StatusCode.NOT_FOUND, f"Secret [{secret}] not found or has no such version.")
        payload = versions[number - 1]
        if payload is None:
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, "Secret Version is in DISABLED state.")
        return service.AccessSecretVersionResponse(
            name=f"{secret}/versions/{number}",
            payload=resources.SecretPayload(data=payload, data_crc32c=google_crc32c.value(payload)),
        )

    def _suffer(self, fault: Fault, context: grpc.ServicerContext) -> None:
        self._faults.note_fired(fault, "secret.access")
        if fault.kind is Kind.DELAY:
            time.sleep(fault.seconds)
        elif fault.kind in {Kind.HOLD, Kind.STALL}:
            fault.wait()
        elif fault.kind is Kind.STATUS:
            _abort(context, _status_code(fault.status), "a fault switch answers this")


def _status_code(status: int | str) -> grpc.StatusCode:
    return _STATUS_CODES[status] if isinstance(status, int) else grpc.StatusCode[status]


def _abort(context: grpc.ServicerContext, code: grpc.StatusCode, text: str) -> NoReturn:
    context.abort(code, text)
    raise AssertionError  # abort has raised


class _Handler(grpc.GenericRpcHandler):
    def __init__(
        self,
        access: Callable[
            [service.AccessSecretVersionRequest, grpc.ServicerContext], service.AccessSecretVersionResponse
        ],
    ) -> None:
        self._method = grpc.unary_unary_rpc_method_handler(
            access,
            request_deserializer=service.AccessSecretVersionRequest.deserialize,
            response_serializer=service.AccessSecretVersionResponse.serialize,
        )

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[service.AccessSecretVersionRequest, service.AccessSecretVersionResponse] | None":
        return self._method if handler_call_details.method == _METHOD else None
