"""A world to break: the stand-ins, the function in its own process, and a watcher that never looks away."""

import base64
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import google_crc32c
from google.api_core.exceptions import NotFound

from local.function import Answer, FunctionProcess
from local.stack import API_KEY, BUCKET, Stack
from local.storage.objects import Change

DAY = {"aggregation": "granular", "frequency": "daily", "date": "2022-04-01"}
SPAN = {"aggregation": "granular", "frequency": "daily", "from": "2022-03-31", "to": "2022-04-02"}
"""That day with the one before and the one after it."""
PREFIX = "granular-2022-04-01"
FOLDER = "granular/daily/start_date=2022-04-01/"
MANIFEST = "manifests/granular/daily/start_date=2022-04-01.json"
FAST = {"STALL_SECONDS": "1", "PARALLEL_TRANSFERS": "4"}
MB = 1_000_000
SECRETS_OF_A_RUN = (API_KEY, "X-Goog-Signature", "upload_id", "X-Goog-Credential")


def csv(mark: str, size: int = 3 * MB, header: str = "settings_id,action,consent") -> bytes:
    """A file of about `size` bytes that differs from those with another mark."""
    line = f"{mark},0,1\n".encode()
    return header.encode() + b"\n" + line * max(1, size // len(line))


def shards(count: int = 3, mark: str = "a", size: int = 3 * MB) -> dict[str, bytes]:
    return {f"{PREFIX}-{number:012d}.csv": csv(f"{mark}{number}", size) for number in range(count)}


def crc32c(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


@dataclass
class World:
    """One stack and one function; `check_right` compares the bucket with the source, byte for byte."""

    stack: Stack
    function: FunctionProcess
    start: Callable[..., FunctionProcess]
    """Start another function process with changed settings."""
    whole: set[str] = field(default_factory=set)
    """Checksums of every content that may ever be visible in the period's folder."""
    violations: list[str] = field(default_factory=list)
    is_watching: bool = True
    manifests_may_lag: bool = False
    """With two runs of different content a manifest may be out of date until its writer has looked behind it."""
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))

    def issue(self, files: Mapping[str, bytes], prefix: str = PREFIX, **how: str) -> None:
        """Let the export service have these files for the period, from now on."""
        self.whole |= {crc32c(data) for data in files.values()}
        self.stack.exports.put(prefix, files, **how)

    def call(self, body: object = None, function: FunctionProcess | None = None) -> Answer:
        answer = (function or self.function).post(DAY if body is None else body)
        assert not any(secret in answer.text for secret in SECRETS_OF_A_RUN)
        return answer

    def call_in_background(self, function: FunctionProcess | None = None, body: object = None) -> Future[Answer]:
        return self.pool.submit(self.call, body, function)

    def objects(self, folder: str = FOLDER) -> dict[str, bytes]:
        """What the bucket holds there, by file name."""
        if self.stack.is_destination_ours:
            found = self.stack.storage.objects(self.stack.bucket, folder)
            return {name.removeprefix(folder): info.read_bytes() for name, info in found.items()}
        blobs = self.stack.client().list_blobs(self.stack.bucket, prefix=folder)
        return {blob.name.removeprefix(folder): blob.download_as_bytes(raw_download=True) for blob in blobs}

    def manifest(self, name: str = MANIFEST) -> Any:
        try:
            text = self.stack.client().bucket(self.stack.bucket).blob(name).download_as_bytes()
        except NotFound:
            return None
        return json.loads(text)

    def put(self, name: str, data: bytes) -> None:
        """Write into the destination bucket, as a stranger."""
        self.whole.add(crc32c(data))
        self.stack.client().bucket(self.stack.bucket).blob(name).upload_from_string(data)

    def source(self, prefix: str = PREFIX) -> dict[str, bytes]:
        return {name: info.read_bytes() for name, info in self.stack.exports.files(prefix).items()}

    def check_right(self, expected: Mapping[str, bytes] | None = None) -> None:
        """The bucket holds the period as the source does, and the manifest fits it."""
        objects = self.objects()
        assert objects == dict(self.source() if expected is None else expected)
        self.check_manifest()

    def check_manifest(self) -> None:
        manifest = self.manifest()
        assert manifest is not None
        named = {each["name"]: each for each in manifest["objects"]}
        blobs = {blob.name: blob for blob in self.stack.client().list_blobs(self.stack.bucket, prefix=FOLDER)}
        assert {name: (each["size"], each["crc32c"], each["generation"]) for name, each in named.items()} == {
            name: (blob.size or 0, blob.crc32c, str(blob.generation)) for name, blob in blobs.items()
        }

    def requests(self, *operations: str) -> int:
        return self.stack.storage.requests.count(*operations)

    def full_reads(self) -> list[str]:
        """The names of the links that were opened for more than a look."""
        return [each.name for each in self.stack.storage.requests.of("link.get") if each.range != "bytes=0-0"]

    def forget_requests(self) -> None:
        self.stack.storage.requests.clear()
        self.stack.exports.requests.clear()

    def watch(self, change: Change) -> None:
        """See after every single change that nothing visible is half, and that no manifest lies."""
        if change.bucket != self.stack.bucket or not self.is_watching:
            return
        after = change.after
        if change.name.startswith(FOLDER) and after is not None and after.crc32c not in self.whole:
            self.violations.append(f"{change.name} is not whole: {after.size} bytes")
        manifest = self.stack.storage.store.get(self.stack.bucket, MANIFEST)
        if manifest is None or self.manifests_may_lag:
            return
        if manifest.content_type == "application/json":  # not a stranger's text
            visible = self.stack.storage.objects(self.stack.bucket)
            for each in json.loads(manifest.read_bytes())["objects"]:
                info = visible.get(each["name"])
                if info is None or info.crc32c != each["crc32c"]:
                    self.violations.append(f"after {change.name}, the manifest names {each['name']}, which is not so")

    def reset(self) -> None:
        self.is_watching = self.manifests_may_lag = False
        self.stack.faults.clear()
        if any(kind in fired for fired in self.stack.faults.fired for kind in ("stall", "hold", "delay")):
            time.sleep(0.2)  # a request that stood still goes on now, and may still write
        self.stack.reset()
        self.stack.exports.remove(PREFIX)
        self.stack.storage.on_change(self.watch)
        self.whole.clear()
        self.violations.clear()
        self.forget_requests()
        self.is_watching = True


@contextmanager
def open_world() -> Iterator[World]:
    """Start everything; at the end, search all that the functions wrote for what must never be there."""
    with ExitStack() as exits:
        bucket = f"{BUCKET}-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"  # another Cloud Storage is shared
        stack = exits.enter_context(Stack(bucket=bucket))
        started: list[FunctionProcess] = []

        def start(**env: str) -> FunctionProcess:
            function = FunctionProcess(stack.function_env() | FAST | env)
            started.append(function)
            exits.callback(function.stop)
            return function.start()

        world = World(stack, start(), start)
        world.reset()
        yield world
        stack.faults.clear()
        world.pool.shutdown()
        for function in started:
            output = function.output()
            assert not [secret for secret in SECRETS_OF_A_RUN if secret in output]
            assert "Traceback" not in output


def exports_of(answer: Answer) -> list[dict[str, Any]]:
    """The answer's lines, a period each."""
    value: Any = answer.json()["exports"]
    return list(value)


def export_of(answer: Answer) -> dict[str, Any]:
    [export] = exports_of(answer)
    return export


def slug(answer: Answer) -> str:
    return str(answer.json()["type"])


def wait_for(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
