"""The bucket: as much of Cloud Storage's JSON API as the peers speak.

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
from typing import Any
from urllib.parse import quote

import google_crc32c

from bench.wire import Command, Request, Server, Wire

KEPT_BYTES = 1024 * 1024
PAGE = 1000


@dataclass
class Stored:
    """One object."""

    resource: dict[str, Any]
    content: bytes | None
    """None where it was too long to keep."""


@dataclass
class Session:
    """One resumable upload."""

    name: str
    metadata: dict[str, Any]
    bucket: str
    size: int = 0
    crc32c: int = 0


class BucketServer(Server):
    """One bucket for each name that is asked for."""

    def __init__(self, certificate: Path) -> None:
        super().__init__(certificate)
        self._objects: dict[str, Stored] = {}
        self._sessions: dict[str, Session] = {}
        self._numbers = count(1_700_000_000_000_000)
        self._numbers_lock = threading.Lock()

    def on_command(self, command: Command) -> Command:
        """Take up `delay_s`; return what the bucket holds, and the counters; then `forget`, if asked to."""
        self.delay_s = command.get("delay_s", self.delay_s)  # type: ignore[assignment]
        files = [stored.resource for name, stored in self._objects.items() if not _is_manifest(name)]
        answer: Command = {"objects": [[int(file["size"]), file["crc32c"]] for file in files], **self.counted()}
        if command.get("forget"):
            self._objects.clear()
            self._sessions.clear()
        return answer

    def handle(self, wire: Wire, request: Request) -> str:  # noqa: PLR0911 - one for each operation
        """Answer one request of the JSON API."""
        match request.method, request.segments:
            case (("PUT" | "POST"), ["upload" | "resumable", *_]) if "upload_id" in request.query:
                return self._continue(wire, request)
            case "POST", ["upload" | "resumable", *_, "b", bucket, "o"]:
                if request.query.get("uploadType") == "multipart":
                    return self._multipart(wire, request, bucket)
                return self._begin(wire, request, bucket)
            case "GET", [*_, "b", _, "o"]:
                return self._list(wire, request)
            case "GET", [*_, "b", bucket]:
                wire.answer_json(200, {"kind": "storage#bucket", "name": bucket, "location": "EU"})
                return "bucket"
            case "GET", [*_, "o", name]:
                return self._get(wire, request, name)
            case "DELETE", [*_, "o", name]:
                return self._delete(wire, request, name)
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
        declared = re.fullmatch(r"bytes (?:\*|(\d+)-\d+)/(\d+|\*)", request.headers.get("content-range", "bytes */*"))
        is_status_query = declared is not None and declared[1] is None and "content-range" in request.headers
        total = declared[2] if declared else "*"
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
        return "manifest" if _is_manifest(name) else "whole upload"

    def _list(self, wire: Wire, request: Request) -> str:
        prefix, after = request.query.get("prefix", ""), request.query.get("pageToken", "")
        start, end = request.query.get("startOffset", ""), request.query.get("endOffset", "\U0010ffff")
        names = sorted(
            name for name in list(self._objects) if name.startswith(prefix) and start <= name < end and name > after
        )
        items = [self._objects[name].resource for name in names[:PAGE]]
        following = {"nextPageToken": names[PAGE - 1]} if len(names) > PAGE else {}
        wire.answer_json(200, {"kind": "storage#objects", "items": items} | following)
        return "list of manifests" if _is_manifest(prefix) else "list of files"

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
        return "manifest read" if _is_manifest(name) else "get"

    def _delete(self, wire: Wire, request: Request, name: str) -> str:
        if name not in self._objects:
            wire.answer_json(404, {"error": {"code": 404, "message": f"No such object: {name}"}})
        elif not self._is_expected(request, name):
            wire.answer_json(412, {"error": {"code": 412, "message": "conditionNotMet"}})
        else:
            del self._objects[name]
            wire.answer(204, {})
        return "delete"

    def _store(
        self, bucket: str, name: str, metadata: dict[str, Any], size: int, crc32c: int, content: bytes | None
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
        if "metadata" in metadata:
            resource["metadata"] = metadata["metadata"]
        self._objects[name] = Stored(resource, content)
        return self._objects[name]

    def _is_expected(self, request: Request, name: str) -> bool:
        wanted = request.query.get("ifGenerationMatch")
        existing = self._objects.get(name)
        return wanted is None or wanted == (existing.resource["generation"] if existing else "0")

    def _number(self) -> str:
        with self._numbers_lock:
            return str(next(self._numbers))


def _is_manifest(name: str) -> bool:
    return name.startswith("manifests/")


if __name__ == "__main__":
    BucketServer(Path(sys.argv[1])).run()
