"""A gRPC service on 127.0.0.1 with fault switches; methods without a handler answer UNIMPLEMENTED."""

import time
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any, NoReturn

import grpc

from local.faults import Fault, Faults, Kind
from local.request_log import Request

_STATUS_CODES = {
    400: grpc.StatusCode.FAILED_PRECONDITION,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}

Method = tuple[Callable[[Any, grpc.ServicerContext], Any], type[Any], type[Any]]
"""The handler, and the types of its request and its response (messages of proto-plus or of protobuf)."""


class GrpcService:
    """The server of one `service` (its full name); `methods` by name, such as `GetQueue`."""

    def __init__(self, service: str, methods: Mapping[str, Method], *, workers: int, port: int) -> None:
        self._server = grpc.server(futures.ThreadPoolExecutor(workers), options=[("grpc.so_reuseport", 0)])
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                handler, request_deserializer=_reader(request), response_serializer=_writer(response)
            )
            for name, (handler, request, response) in methods.items()
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
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


def _reader(message: Any) -> Callable[[bytes], Any]:  # noqa: ANN401 - either kind of message
    return message.deserialize if hasattr(message, "deserialize") else message.FromString  # type: ignore[no-any-return] # neither has types


def _writer(message: Any) -> Callable[[Any], bytes]:  # noqa: ANN401 - likewise
    return message.serialize if hasattr(message, "serialize") else message.SerializeToString  # type: ignore[no-any-return] # likewise


def inject_before(faults: Faults, request: Request, context: grpc.ServicerContext) -> bool:
    """Apply the faults that are set for this request. Return whether its answer shall be lost."""
    is_lost = False
    for fault in faults.take(request.operation, request.name):
        faults.note_fired(fault, request.operation)
        if fault.kind is Kind.DELAY:
            time.sleep(fault.seconds)
        elif fault.kind in {Kind.HOLD, Kind.STALL}:
            fault.wait()
        elif fault.kind is Kind.CALL and fault.call:
            fault.call(request)
        elif fault.kind is Kind.STATUS:
            abort(context, _status_code(fault), "a fault switch answers this")
        elif fault.kind is Kind.LOSE_ANSWER:
            is_lost = True
    return is_lost


def lose_answer(context: grpc.ServicerContext) -> NoReturn:
    """Answer as gRPC reports a connection that broke before the answer arrived."""
    abort(context, grpc.StatusCode.UNAVAILABLE, "a fault switch lost the answer")


def abort(context: grpc.ServicerContext, code: grpc.StatusCode, text: str) -> NoReturn:
    """End the call with an error."""
    context.abort(code, text)
    raise AssertionError  # abort has raised


def _status_code(fault: Fault) -> grpc.StatusCode:
    return _STATUS_CODES[fault.status] if isinstance(fault.status, int) else grpc.StatusCode[fault.status]
