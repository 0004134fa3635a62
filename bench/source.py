"""The source: files behind links, as Cloud Storage serves them, and the export service that lists the links."""

import base64
import re
import sys
from pathlib import Path

import google_crc32c

from bench.wire import Command, Request, Server, Wire
from bench.work import days, file_name, prefix

BLOCK_BYTES = 1024 * 1024
GENERATION = "1650000000000000"


def _text() -> bytes:
    """Return a block of CSV that every file begins with and repeats."""
    header = b"settings_id,template_id,decision,device,count\n"
    rows = b"".join(b"%08x,%08x,ACCEPT,desktop,%d\n" % (n * 2654435761 % 2**32, n * 40503, n) for n in range(40_000))
    return (header + rows)[:BLOCK_BYTES]


class Source(Server):
    """Serves files of one size, so many a day, each with the same bytes."""

    def __init__(self, certificate: Path) -> None:
        super().__init__(certificate)
        self._block = memoryview(_text())
        self._listings: dict[str, list[str]] = {}
        """File prefix -> names."""
        self._names: set[str] = set()
        self._size = 0
        self._crc32c = ""

    def on_command(self, command: Command) -> Command:
        """Take up `days`, `files` of each, `size_bytes` and `delay_s`; return links, checksum and counters."""
        if command:
            count, files, self._size = (int(command[name]) for name in ("days", "files", "size_bytes"))  # type: ignore[call-overload]
            self.delay_s = command["delay_s"]  # type: ignore[assignment]
            self._listings = {prefix(day): [file_name(day, number) for number in range(files)] for day in days(count)}
            self._names = {name for names in self._listings.values() for name in names}
            whole, rest = divmod(self._size, BLOCK_BYTES)
            crc32c = 0
            for block in [*[self._block.tobytes()] * whole, self._block[:rest].tobytes()]:
                crc32c = google_crc32c.extend(crc32c, block)
            self._crc32c = base64.b64encode(crc32c.to_bytes(4, "big")).decode()
        links = [link for names in self._listings.values() for link in self._links(names)]
        return {"links": links, "crc32c": self._crc32c, **self.counted()}

    def handle(self, wire: Wire, request: Request) -> str:
        """Answer a GET of a listing or of a file."""
        *_, last = request.segments
        if last in self._listings:
            wire.answer_json(200, {"downloadUrls": self._links(self._listings[last])})
            return "links"
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

    def _links(self, names: list[str]) -> list[str]:
        return [f"{self.url}/exports/{name}?X-Goog-Expires=900&X-Goog-Signature=made-up" for name in names]


if __name__ == "__main__":
    Source(Path(sys.argv[1])).run()
