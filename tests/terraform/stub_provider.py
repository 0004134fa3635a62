"""Serves provider schemas to Terraform over its own plugin protocol, so that nothing is downloaded.

Terraform uses the running providers that TF_REATTACH_PROVIDERS names. With only the schema it can `init`,
`validate`, and `test` under `mock_provider`: it finds a misspelt argument, a wrong type, a missing block, a key
that would reach the state. It does not find what the real provider's own code checks (enumerations, arguments
that exclude each other): the validations of the variables do, or provider_rules.py, or the first real plan.

The schemas are those of google 8.7.0, archive 2.8.1 and time 0.13, cut down to the types in use.
Source of the protocol: terraform, docs/plugin-protocol/tfplugin5.proto.
"""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}


def _varint(number: int) -> bytes:
    encoded = b""
    while number > 0x7F:
        encoded, number = encoded + bytes([number & 0x7F | 0x80]), number >> 7
    return encoded + bytes([number])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value) if value else b""


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _length_delimited_field(message: bytes, number: int) -> bytes:
    """Return the content of the first field with this number; only varint fields may come between."""
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        tag = varint()
        if tag & 7 == 0:
            varint()
            continue
        length = varint()
        if tag >> 3 == number:
            return message[position : position + length]
        position += length
    raise ValueError(f"no field {number} in a request of Terraform")


def _block(block: dict[str, Any]) -> bytes:
    encoded = b""
    for name, attribute in sorted(block["attributes"].items()):
        encoded += _bytes(
            2,
            _bytes(1, name)
            + _bytes(2, json.dumps(attribute["type"]))
            + _number(4, attribute.get("required", False))
            + _number(5, attribute.get("optional", False))
            + _number(6, attribute.get("computed", False))
            + _number(10, attribute.get("write_only", False)),
        )
    for name, nested in sorted(block["block_types"].items()):
        encoded += _bytes(
            3,
            _bytes(1, name)
            + _bytes(2, _block(nested["block"]))
            + _number(3, NESTING[nested["nesting_mode"]])
            + _number(4, nested.get("min_items", 0))
            + _number(5, nested.get("max_items", 0)),
        )
    return encoded


def _schema(schema: dict[str, Any]) -> bytes:
    return _number(1, schema.get("version", 0)) + _bytes(2, _block(schema["block"]))


def _schemas(provider: dict[str, Any]) -> bytes:
    encoded = _bytes(1, _schema(provider["provider"]))
    for field, kind in ((2, "resource"), (3, "data")):
        for name, schema in provider[kind].items():
            encoded += _bytes(field, _bytes(1, name) + _bytes(2, _schema(schema)))
    return encoded + _bytes(5, _schema({"block": {"attributes": {}, "block_types": {}}}))


def _handlers(provider: dict[str, Any]) -> grpc.GenericRpcHandler:
    schemas = _schemas(provider)

    def upgraded_state(request: bytes) -> bytes:
        """UpgradeResourceState: return the RawState's JSON as a DynamicValue's JSON, unchanged."""
        return _bytes(1, _bytes(2, _length_delimited_field(_length_delimited_field(request, 3), 1)))

    answers: dict[str, Callable[[bytes], bytes]] = {
        "GetSchema": lambda _: schemas,
        "PrepareProviderConfig": lambda request: _bytes(1, _length_delimited_field(request, 1)),
        "UpgradeResourceState": upgraded_state,
        "ValidateResourceTypeConfig": lambda _: b"",
        "ValidateDataSourceConfig": lambda _: b"",
        "Configure": lambda _: b"",
        "Stop": lambda _: b"",
    }

    def handler(answer: Callable[[bytes], bytes]) -> "grpc.RpcMethodHandler[bytes, bytes]":
        return grpc.unary_unary_rpc_method_handler(lambda request, _: answer(request))

    return grpc.method_handlers_generic_handler(
        "tfplugin5.Provider", {name: handler(answer) for name, answer in answers.items()}
    )


class StubProviders:
    """A server for each schema file in a folder; they run until `close`."""

    def __init__(self, folder: Path) -> None:
        self._servers: list[grpc.Server] = []
        self._addresses: dict[str, str] = {}
        for path in sorted(folder.glob("*.json")):
            server = grpc.server(ThreadPoolExecutor(4))
            server.add_generic_rpc_handlers((_handlers(json.loads(path.read_text())),))
            self._addresses[path.stem] = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
            server.start()
            self._servers.append(server)

    @property
    def reattach_providers(self) -> str:
        """The value of TF_REATTACH_PROVIDERS."""
        return json.dumps(
            {
                f"registry.terraform.io/hashicorp/{name}": {
                    "Protocol": "grpc",
                    "ProtocolVersion": 5,
                    "Pid": os.getpid(),
                    "Test": True,
                    "Addr": {"Network": "tcp", "String": address},
                }
                for name, address in self._addresses.items()
            }
        )

    def close(self) -> None:
        for server in self._servers:
            server.stop(grace=None)
