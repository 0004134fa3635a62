"""The sink: as much of Cloud Storage's JSON API as the peers speak.

Every byte is counted and goes into the object's crc32c, so a wrong copy cannot win; then it is dropped. Only short
objects (manifests) keep their bytes.

Source: Cloud Storage, "JSON API: Objects", "Resumable uploads", "Multipart uploads".
"""

import base64
import json
import re
import sys
import threading
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import quote

import google_crc32c

from bench.wire import Command, Request, Server, Wire

KEPT_BYTES = 1024 * 1024
PAGE = 1000


@dataclass
class Stored:
    """One object."""

    resource: dict[str, str]
    content: bytes | None
    """None where it was too long to keep."""


@dataclass
class Session:
    """One resumable upload."""

    name: str
    metadata: dict[str, str]
    bucket: str
    size: int = 0
    crc32c: int = 0


class Sink(Server):
    """One bucket for each name that is asked for."""

    def __init__(self, certificate: Path) -> None:
        super().__init__(certificate)
        self._objects: dict[str, Stored] = {}
        self._sessions: dict[str, Session] = {}
        self._numbers = count(1_700_000_000_000_000)
        self._numbers_lock = threading.Lock()

    def obey(self, command: Command) -> Command:
        """Take up `delay_s`; return what the bucket holds, and the counters; then `forget`, if told so."""
        self.delay_s = command.get("delay_s", self.delay_s)  # type: ignore[assignment]
        files = [stored.resource for name, stored in self._objects.items() if "manifests/" not in name]
        told: Command = {"objects": [[int(file["size"]), file["crc32c"]] for file in files], **self.counted()}
        if command.get("forget"):
            self._objects.clear()
            self._sessions.clear()
        return told

    def handle(self, wire: Wire, request: Request) -> str:  # noqa: PLR0911 - one for each operation
        """Answer one request of the JSON API."""
        match request.method, request.segments:
            case (("PUT" | "POST"), ["upload" | "resumable", *_]) if "upload_id" in request.query:
                return self._continue(wire, request)
            case "POST", ["upload" | "resumable", *_, "b", bucket, "o"]:
                if request.query.get("uploadType") == "multipart":
                    return self._multipart(wire, request, bucket)
                return self._begin(wire, request, bucket)
            case "GET", [*_, "b", bucket, "o"]:
                return self._list(wire, request, bucket)
            case "GET", [*_, "b", bucket]:
                wire.answer_json(200, {"kind": "storage#bucket", "name": bucket, "location": "EU"})
                return "bucket"
            case "GET", [*_, "o", name]:
                return self._get(wire, request, name)
            case "DELETE", [*_, "o", name]:
                is_there = self._objects.pop(name, None) is not None
                wire.answer(204 if is_there else 404, {})
                return "delete"
        for _ in wire.blocks():
            pass
        wire.answer_json(404, {"error": {"code": 404, "message": f"{request.method} {request.path}"}})
        return f"unknown: {request.method} {request.path}"

    def _begin(self, wire: Wire, request: Request, bucket: str) -> str:
        metadata = json.loads(b"".join(wire.blocks()) or b"{}")
        name = request.query.get("name") or metadata["name"]
        if not self._is_expected(request, name):
            wire.answer_json(412, {"error": {"code": 412, "message": "conditionNotMet"}})
            return "refused"
        token = self._number()
        self._sessions[token] = Session(name, metadata, bucket)
        wire.answer(
            200,
            {"Location": f"{self.url}/upload/storage/v1/b/{quote(bucket)}/o?uploadType=resumable&upload_id={token}"},
        )
        return "session"

    def _continue(self, wire: Wire, request: Request) -> str:
        session = self._sessions[request.query["upload_id"]]
        size, crc32c = session.size, session.crc32c
        for block in wire.blocks():
            size += len(block)
            crc32c = google_crc32c.extend(crc32c, block)
        session.size, session.crc32c = size, crc32c
        told = re.fullmatch(r"bytes (?:\*|(\d+)-\d+)/(\d+|\*)", request.headers.get("content-range", "bytes */*"))
        is_status_query = told is not None and told[1] is None and "content-range" in request.headers
        total = told[2] if told else "*"
        if total == str(size) or (total == "*" and not is_status_query and "content-range" not in request.headers):
            stored = self._store(session.bucket, session.name, session.metadata, size, crc32c, None)
            wire.answer_json(200, stored.resource)
        else:
            headers = {"Range": f"bytes=0-{size - 1}"} if size else {}
            status = 308
            if request.headers.get("x-guploader-no-308") == "yes":  # as Google's client for Go, and so rclone, wants it
                status, headers["X-HTTP-Status-Code-Override"] = 200, "308"
            wire.answer(status, headers)
        return "upload"

    def _multipart(self, wire: Wire, request: Request, bucket: str) -> str:
        boundary = request.headers["content-type"].partition("boundary=")[2].strip("\"'").encode()
        _, metadata, content, _ = (
            part.partition(b"\r\n\r\n")[2][:-2] for part in b"".join(wire.blocks()).split(b"--" + boundary)
        )
        resource = json.loads(metadata)
        name = request.query.get("name") or resource["name"]
        if not self._is_expected(request, name):
            wire.answer_json(412, {"error": {"code": 412, "message": "conditionNotMet"}})
            return "refused"
        kept = content if len(content) <= KEPT_BYTES else None
        stored = self._store(bucket, name, resource, len(content), google_crc32c.value(content), kept)
        wire.answer_json(200, stored.resource)
        return "whole upload"

    def _list(self, wire: Wire, request: Request, bucket: str) -> str:
        prefix, after = request.query.get("prefix", ""), request.query.get("pageToken", "")
        names = sorted(name for name in list(self._objects) if name.startswith(prefix) and name > after)
        items = [self._objects[name].resource for name in names[:PAGE]]
        following = {"nextPageToken": names[PAGE - 1]} if len(names) > PAGE else {}
        wire.answer_json(200, {"kind": "storage#objects", "items": items} | following)
        return f"list {bucket}"

    def _get(self, wire: Wire, request: Request, name: str) -> str:
        stored = self._objects.get(name)
        if stored is None:
            wire.answer_json(404, {"error": {"code": 404, "message": f"No such object: {name}"}})
        elif request.query.get("alt") == "media":
            headers = {
                "x-goog-hash": f"crc32c={stored.resource['crc32c']}",
                "x-goog-generation": stored.resource["generation"],
            }
            wire.answer(200, headers, stored.content or b"")
        else:
            wire.answer_json(200, stored.resource)
        return "get"

    def _store(
        self, bucket: str, name: str, metadata: dict[str, str], size: int, crc32c: int, content: bytes | None
    ) -> Stored:
        resource = {
            "kind": "storage#object",
            "id": f"{bucket}/{name}",
            "bucket": bucket,
            "name": name,
            "size": str(size),
            "crc32c": base64.b64encode(crc32c.to_bytes(4, "big")).decode(),
            "generation": self._number(),
            "metageneration": "1",
            "contentType": metadata.get("contentType", "application/octet-stream"),
            "timeCreated": "2022-04-02T08:00:00.000Z",
            "updated": "2022-04-02T08:00:00.000Z",
            "storageClass": "STANDARD",
        }
        self._objects[name] = Stored(resource, content)
        return self._objects[name]

    def _is_expected(self, request: Request, name: str) -> bool:
        wanted = request.query.get("ifGenerationMatch")
        held = self._objects.get(name)
        return wanted is None or wanted == (held.resource["generation"] if held else "0")

    def _number(self) -> str:
        with self._numbers_lock:
            return str(next(self._numbers))


if __name__ == "__main__":
    Sink(Path(sys.argv[1])).run()
