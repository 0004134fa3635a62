"""The source: files behind links, as Cloud Storage serves them, and the export service that lists the links."""

import base64
import re
import sys
from pathlib import Path

import google_crc32c

from bench.wire import Command, Request, Server, Wire

BLOCK_BYTES = 1024 * 1024
PREFIX = "granular-2022-04-01"
GENERATION = "1650000000000000"


def _text() -> bytes:
    """Return a block of CSV that every file begins with and repeats."""
    header = b"settings_id,template_id,decision,device,count\n"
    rows = b"".join(b"%08x,%08x,ACCEPT,desktop,%d\n" % (n * 2654435761 % 2**32, n * 40503, n) for n in range(40_000))
    return (header + rows)[:BLOCK_BYTES]


class Source(Server):
    """Serves as many files of one size as it is told, each with the same bytes."""

    def __init__(self, certificate: Path) -> None:
        super().__init__(certificate)
        self._block = memoryview(_text())
        self._names: list[str] = []
        self._size = 0
        self._crc32c = ""

    def obey(self, command: Command) -> Command:
        """Take up `files`, `size_bytes` and `delay_s`; return the links, the checksum and the counters."""
        if command:
            files, self._size, self.delay_s = int(command["files"]), int(command["size_bytes"]), command["delay_s"]  # type: ignore[assignment, call-overload]
            self._names = [f"{PREFIX}-{number:012d}.csv" for number in range(files)]
            whole, rest = divmod(self._size, BLOCK_BYTES)
            crc32c = 0
            for block in [*[self._block.tobytes()] * whole, self._block[:rest].tobytes()]:
                crc32c = google_crc32c.extend(crc32c, block)
            self._crc32c = base64.b64encode(crc32c.to_bytes(4, "big")).decode()
        return {"links": self._links(), "crc32c": self._crc32c, **self.counted()}

    def handle(self, wire: Wire, request: Request) -> str:
        """Answer a GET of a listing or of a file."""
        *_, last = request.segments
        if last == PREFIX:
            wire.answer_json(200, {"downloadUrls": self._links()})
            return "listing"
        if last not in self._names:
            wire.answer(404, {})
            return "missing"
        start, end = self._range(request)
        headers = {
            "Content-Type": "text/csv",
            "ETag": f'"{self._size}"',
            "Accept-Ranges": "bytes",
            "x-goog-generation": GENERATION,
            "x-goog-hash": f"crc32c={self._crc32c}",
            "x-goog-stored-content-length": str(self._size),
        }
        is_partial = "range" in request.headers
        if is_partial:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{self._size}"
        wire.answer(206 if is_partial else 200, headers, length=end - start)
        while start < end:
            offset = start % BLOCK_BYTES
            block = self._block[offset : offset + end - start]
            wire.send(block)
            start += len(block)
        return "first byte" if is_partial else "download"

    def _range(self, request: Request) -> tuple[int, int]:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if match is None:
            return 0, self._size
        return int(match[1]), min(int(match[2] or self._size) + 1, self._size)

    def _links(self) -> list[str]:
        return [f"{self.url}/exports/{name}?X-Goog-Expires=900&X-Goog-Signature=made-up" for name in self._names]


if __name__ == "__main__":
    Source(Path(sys.argv[1])).run()
