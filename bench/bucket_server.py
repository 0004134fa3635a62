"""The bucket: the part of Cloud Storage's JSON API that the peers use.

Every byte is counted and added to the object's crc32c, so a wrong copy cannot win; then it is discarded. Only short
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

from bench.stand_in import Command, StandIn, blocks, error
from local.http.exchange import Exchange
from local.http.response import Outcome, Response, json_response
from local.http.routes import ANY, Route

KEPT_BYTES = 1024 * 1024
PAGE = 1000


@dataclass
class Stored:
    """One object."""

    resource: dict[str, Any]
    content: bytes | None
    """None if it is too long to keep."""


@dataclass
class Session:
    """One resumable upload."""

    name: str
    metadata: dict[str, Any]
    bucket: str
    size: int = 0
    crc32c: int = 0


def begin_session(server: "BucketServer", exchange: Exchange, bucket: str) -> Outcome:
    """Begin a resumable upload."""
    metadata = json.loads(b"".join(blocks(exchange)) or b"{}")
    name = exchange.head.query.get("name") or metadata["name"]
    exchange.request.operation = "session"
    if not server.is_expected(exchange, name):
        return _refused(exchange)
    token = server.begin(Session(name, metadata, bucket))
    path = f"/upload/storage/v1/b/{quote(bucket)}/o?uploadType=resumable&upload_id={token}"
    return Response(200, [("Location", f"{server.url}{path}")])


def continue_session(server: "BucketServer", exchange: Exchange) -> Outcome:
    """Receive bytes of an upload. Return its object, if it is complete."""
    exchange.request.operation = "upload"
    session = server.sessions[exchange.head.query["upload_id"]]
    for block in blocks(exchange):
        session.size += len(block)
        session.crc32c = google_crc32c.extend(session.crc32c, block)
    if _is_complete(exchange.head.headers.get("content-range"), session.size):
        stored = server.store(session.bucket, session.name, session.metadata, session.size, session.crc32c, None)
        return json_response(stored.resource)
    kept = [("Range", f"bytes=0-{session.size - 1}")] if session.size else []
    if exchange.head.headers.value("x-guploader-no-308") == "yes":  # Google's client for Go, and so rclone, requires it
        return Response(200, [*kept, ("X-HTTP-Status-Code-Override", "308")])
    return Response(308, kept)


def upload_whole(server: "BucketServer", exchange: Exchange, bucket: str) -> Outcome:
    """Receive metadata and content in one request."""
    boundary = exchange.head.headers["content-type"].partition("boundary=")[2].strip("\"'").encode()
    _, metadata, content, _ = (
        part.partition(b"\r\n\r\n")[2][:-2] for part in b"".join(blocks(exchange)).split(b"--" + boundary)
    )
    resource = json.loads(metadata)
    name = exchange.head.query.get("name") or resource["name"]
    exchange.request.operation = "manifest" if _is_manifest(name) else "whole upload"
    if not server.is_expected(exchange, name):
        return _refused(exchange)
    kept = content if len(content) <= KEPT_BYTES else None
    return json_response(
        server.store(bucket, name, resource, len(content), google_crc32c.value(content), kept).resource
    )


def list_objects(server: "BucketServer", exchange: Exchange, bucket: str) -> Outcome:
    """Return a page of the objects' metadata."""
    del bucket
    query = exchange.head.query
    prefix, after = query.get("prefix", ""), query.get("pageToken", "")
    start, end = query.get("startOffset", ""), query.get("endOffset", "\U0010ffff")
    exchange.request.operation = "list of manifests" if _is_manifest(prefix) else "list of files"
    names = sorted(
        name for name in list(server.objects) if name.startswith(prefix) and start <= name < end and name > after
    )
    items = [server.objects[name].resource for name in names[:PAGE]]
    following = {"nextPageToken": names[PAGE - 1]} if len(names) > PAGE else {}
    return json_response({"kind": "storage#objects", "items": items} | following)


def get_bucket(server: "BucketServer", exchange: Exchange, bucket: str) -> Outcome:
    """Return the bucket's metadata."""
    del server
    exchange.request.operation = "bucket"
    return json_response({"kind": "storage#bucket", "name": bucket, "location": "EU"})


def get_object(server: "BucketServer", exchange: Exchange, name: str) -> Outcome:
    """Return an object's metadata, or its content if it was kept."""
    exchange.request.operation = "manifest read" if _is_manifest(name) else "get"
    stored = server.objects.get(name)
    if stored is None:
        return error(404, f"No such object: {name}")
    if exchange.head.query.get("alt") != "media":
        return json_response(stored.resource)
    headers = [
        ("x-goog-hash", f"crc32c={stored.resource['crc32c']}"),
        ("x-goog-generation", stored.resource["generation"]),
    ]
    return Response(200, headers, stored.content or b"")


def delete_object(server: "BucketServer", exchange: Exchange, name: str) -> Outcome:
    """Delete an object."""
    exchange.request.operation = "delete"
    if name not in server.objects:
        return error(404, f"No such object: {name}")
    if not server.is_expected(exchange, name):
        return error(412, "conditionNotMet")
    del server.objects[name]
    return Response(204)


class BucketServer(StandIn):
    """Serves any bucket's name; all names have the same objects."""

    routes = (
        Route(ANY, "/upload*?upload_id", continue_session),
        Route(ANY, "/resumable*?upload_id", continue_session),
        Route("POST", "/upload*/b/{bucket}/o?uploadType=multipart", upload_whole),
        Route("POST", "/upload*/b/{bucket}/o", begin_session),
        Route("POST", "/resumable*/b/{bucket}/o", begin_session),
        Route("GET", "*/b/{bucket}/o", list_objects),
        Route("GET", "*/b/{bucket}", get_bucket),
        Route("GET", "*/o/{name}", get_object),
        Route("DELETE", "*/o/{name}", delete_object),
    )

    def __init__(self, certificate: Path) -> None:
        super().__init__(certificate)
        self.objects: dict[str, Stored] = {}
        self.sessions: dict[str, Session] = {}
        self._numbers = count(1_700_000_000_000_000)
        self._numbers_lock = threading.Lock()

    def on_command(self, command: Command) -> Command:
        """Set `delay_s`; return the bucket's objects and the counters; then delete the objects if `forget` is set."""
        self.delay_s = command.get("delay_s", self.delay_s)
        files = [stored.resource for name, stored in self.objects.items() if not _is_manifest(name)]
        answer: Command = {"objects": [[int(file["size"]), file["crc32c"]] for file in files], **self.counted()}
        if command.get("forget"):
            self.objects.clear()
            self.sessions.clear()
        return answer

    def begin(self, session: Session) -> str:
        """Register an upload. Return its token."""
        token = self._number()
        self.sessions[token] = session
        return token

    def store(
        self, bucket: str, name: str, metadata: dict[str, Any], size: int, crc32c: int, content: bytes | None
    ) -> Stored:
        """Create an object."""
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
        self.objects[name] = Stored(resource, content)
        return self.objects[name]

    def is_expected(self, exchange: Exchange, name: str) -> bool:
        """Return whether the object is of the generation that the request expects."""
        expected = exchange.head.query.get("ifGenerationMatch")
        existing = self.objects.get(name)
        return expected is None or expected == (existing.resource["generation"] if existing else "0")

    def _number(self) -> str:
        with self._numbers_lock:
            return str(next(self._numbers))


def _refused(exchange: Exchange) -> Response:
    exchange.request.operation = "refused"
    return error(412, "conditionNotMet")


def _is_complete(content_range: str | None, size: int) -> bool:
    """Return whether an upload of `size` bytes is complete; without the header it is."""
    declared = re.fullmatch(r"bytes (?:\*|(\d+)-\d+)/(\d+|\*)", content_range or "")
    return content_range is None or (declared is not None and declared[2] == str(size))


def _is_manifest(name: str) -> bool:
    return name.startswith("manifests/")


if __name__ == "__main__":
    BucketServer(Path(sys.argv[1])).run()
