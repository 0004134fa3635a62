"""A world to break: the stand-ins, the function in its own process, and a watcher of every change of the bucket."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

from google.api_core.exceptions import NotFound

from local.function import Answer
from local.stack import Stack
from local.storage.objects import Change
from tests.support.destination import Bucket
from tests.support.functions import Functions, ScannedFunction
from tests.support.requests_and_answers import DAY, FOLDER, MANIFEST, PREFIX
from tests.support.secret_scan import forget_requests
from tests.support.source_files import crc32c

FAST = {"STALL_SECONDS": "1", "PARALLEL_TRANSFERS": "4"}


class World:
    """One stack, one period and one function; `check_right` compares the bucket with the source, byte for byte.

    `whole`: checksums of every content that may ever be visible in the period's folder
    `manifests_may_lag`: with two runs of different content a manifest may be out of date until its writer has checked
    it once more
    """

    def __init__(self, stack: Stack, functions: Functions) -> None:
        self.stack = stack
        self.function = functions.shared(FAST)
        self.pool = ThreadPoolExecutor(8)
        self.violations: list[str] = []
        self.manifests_may_lag = False
        self._bucket = Bucket(stack.client(), stack.bucket)
        self._functions = functions
        self._exits = ExitStack()
        self._begin()

    def reset(self) -> None:
        """Start again, with an empty bucket and no requests."""
        let_late_requests_end(self.stack)
        self.stack.reset()
        self.manifests_may_lag = False
        self.violations.clear()
        self._begin()

    def _begin(self) -> None:
        """Begin without an export of the period."""
        self.whole: set[str] = set()
        self.stack.exports.remove(PREFIX)
        self.stack.storage.on_change(self._watch)

    def start(self, **env: str) -> ScannedFunction:
        """Start another function process, with changed settings; it ends with this world."""
        return self._exits.enter_context(self._functions.fresh(FAST | env))

    def shared(self, *, instance: int = 1, **env: str) -> ScannedFunction:
        """A running function with changed settings, or the second instance of one; other tests may have called it."""
        return self._functions.shared(FAST | env, instance=instance)

    def issue(self, files: Mapping[str, bytes], prefix: str = PREFIX, **how: str) -> None:
        """Make the export service list these files for the period, from now on."""
        self.whole |= {crc32c(data) for data in files.values()}
        self.stack.exports.put(prefix, files, **how)

    def call(self, body: object = None, function: ScannedFunction | None = None) -> Answer:
        return (function or self.function).post(DAY if body is None else body)

    def call_in_background(self, function: ScannedFunction | None = None, body: object = None) -> Future[Answer]:
        return self.pool.submit(self.call, body, function)

    def objects(self, folder: str = FOLDER) -> dict[str, bytes]:
        """The contents of the objects in the folder, by file name."""
        if self.stack.is_destination_ours:
            found = self.stack.storage.objects(self.stack.bucket, folder)
            return {name.removeprefix(folder): info.read_bytes() for name, info in found.items()}
        return {name.removeprefix(folder): data for name, data in self._bucket.contents(folder).items()}

    def manifest(self, name: str = MANIFEST) -> Any:
        """None where there is none."""
        try:
            return json.loads(self._bucket.read(name))
        except NotFound:
            return None

    def put(self, name: str, data: bytes) -> None:
        """Write into the destination bucket, not as the function."""
        self.whole.add(crc32c(data))
        self._bucket.put(name, data)

    def delete(self, name: str) -> None:
        self._bucket.delete(name)

    def generations(self, prefix: str = "") -> dict[str, int]:
        """The generation of every object, by name: it changes when the object is written again."""
        return {name: blob.generation for name, blob in self._bucket.blobs(prefix).items()}

    def source(self, prefix: str = PREFIX) -> dict[str, bytes]:
        return {name: info.read_bytes() for name, info in self.stack.exports.files(prefix).items()}

    def check_right(self, expected: Mapping[str, bytes] | None = None) -> None:
        """The bucket has the period's files as the source has them, and the manifest names exactly these."""
        assert self.objects() == dict(self.source() if expected is None else expected)
        self.check_manifest()

    def check_manifest(self) -> None:
        manifest = self.manifest()
        assert manifest is not None
        assert {each["name"]: (each["size"], each["crc32c"], each["generation"]) for each in manifest["objects"]} == {
            name: (blob.size or 0, blob.crc32c, str(blob.generation))
            for name, blob in self._bucket.blobs(FOLDER).items()
        }

    def requests(self, *operations: str) -> int:
        return self.stack.storage.requests.count(*operations)

    def full_reads(self) -> list[str]:
        """The names of the links that were opened for more than the one byte of a comparison."""
        return [each.name for each in self.stack.storage.requests.of("link.get") if each.range != "bytes=0-0"]

    def forget_requests(self) -> None:
        forget_requests(self.stack)

    def _watch(self, change: Change) -> None:
        """After every single change, note a visible object that is partial, and a manifest that is wrong."""
        if change.bucket != self.stack.bucket:
            return
        after = change.after
        if change.name.startswith(FOLDER) and after is not None and after.crc32c not in self.whole:
            self.violations.append(f"{change.name} is not whole: {after.size} bytes")
        manifest = self.stack.storage.store.get(self.stack.bucket, MANIFEST)
        if manifest is None or self.manifests_may_lag:
            return
        if manifest.content_type == "application/json":  # the function's own
            visible = self.stack.storage.objects(self.stack.bucket)
            for each in json.loads(manifest.read_bytes())["objects"]:
                info = visible.get(each["name"])
                if info is None or info.crc32c != each["crc32c"]:
                    self.violations.append(
                        f"after {change.name}, the manifest names {each['name']}, which is gone or has other content"
                    )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.faults.clear()
        self.pool.shutdown()
        self._exits.close()


@contextmanager
def open_world() -> Iterator[World]:
    """Start everything, for a program that is no test."""
    with Stack() as stack, Functions(stack) as functions, World(stack, functions) as world:
        yield world


DELAYS = ("stall", "hold", "delay")
WRITES = ("upload.start", "upload.put", "object.insert", "object.delete")
LATE_S = 2.0


def let_late_requests_end(stack: Stack) -> None:
    """End all faults and wait for the writes that they delayed, so that none reaches into the next test.

    A write whose client went away is never answered: for those the wait ends after `LATE_S`.
    """
    stack.faults.clear()
    if not any(fired.endswith(DELAYS) for fired in stack.faults.fired):
        return
    until = time.monotonic() + LATE_S
    while any(request.status == 0 for request in stack.storage.requests.of(*WRITES)) and time.monotonic() < until:
        time.sleep(0.005)


def wait_for(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, f"still not so after {timeout_s} s"
        time.sleep(0.02)
