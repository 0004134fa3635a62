"""The source: files behind links, as Cloud Storage serves them, and the export service that lists the links."""

import base64
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import google_crc32c

from bench.stand_in import Command, StandIn, error
from bench.work import days, file_name, prefix
from local.http.exchange import Exchange
from local.http.response import Outcome, Response, Stream, json_response
from local.http.routes import Route

BLOCK_BYTES = 1024 * 1024
GENERATION = "1650000000000000"


def list_links(source: "Source", exchange: Exchange, file_prefix: str) -> Outcome:
    """Answer a GET of a day's listing."""
    exchange.request.operation = "links"
    if file_prefix not in source.listings:
        return error(404, "no such day")
    return json_response({"downloadUrls": source.links(source.listings[file_prefix])})


def follow_link(source: "Source", exchange: Exchange, name: str) -> Outcome:
    """Answer a GET of a file, or of a part of it."""
    header = exchange.head.headers.value("Range")
    exchange.request.operation = "first byte" if header else "download"
    if name not in source.names:
        return error(404, "no such file")
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", header)
    start = int(match[1]) if match else 0
    end = min(int(match[2] or source.size) + 1, source.size) if match else source.size
    headers = [
        ("Content-Type", "text/csv"),
        ("ETag", f'"{source.size}"'),
        ("Accept-Ranges", "bytes"),
        ("x-goog-generation", GENERATION),
        ("x-goog-hash", f"crc32c={source.crc32c}"),
        ("x-goog-stored-content-length", str(source.size)),
    ]
    if match:
        headers.append(("Content-Range", f"bytes {start}-{end - 1}/{source.size}"))
    return Response(206 if match else 200, headers, Stream(source.blocks(start, end), end - start))


class Source(StandIn):
    """Serves files of one size, all with the same bytes, and the same number of them for each day."""

    routes = (
        Route("GET", "/download/v2/analytics/bench/{file_prefix}", list_links),
        Route("GET", "/exports/{name}", follow_link),
    )

    def __init__(self, certificate: Path) -> None:
        super().__init__(certificate)
        self._block = memoryview(_text())
        self.listings: dict[str, list[str]] = {}
        """File prefix -> names."""
        self.names: set[str] = set()
        self.size = 0
        self.crc32c = ""

    def on_command(self, command: Command) -> Command:
        """Set `days`, `files` of a day, `size_bytes` and `delay_s`; return links, checksum and counters."""
        if command:
            files, self.size, self.delay_s = command["files"], command["size_bytes"], command["delay_s"]
            self.listings = {
                prefix(day): [file_name(day, number) for number in range(files)] for day in days(command["days"])
            }
            self.names = {name for names in self.listings.values() for name in names}
            crc32c = 0
            for block in self.blocks(0, self.size):
                crc32c = google_crc32c.extend(crc32c, block.tobytes())
            self.crc32c = base64.b64encode(crc32c.to_bytes(4, "big")).decode()
        links = [link for names in self.listings.values() for link in self.links(names)]
        return {"links": links, "crc32c": self.crc32c, **self.counted()}

    def blocks(self, start: int, end: int) -> Iterator[memoryview]:
        """Return the bytes of a file from `start` to before `end`."""
        while start < end:
            offset = start % BLOCK_BYTES
            block = self._block[offset : offset + end - start]
            yield block
            start += len(block)

    def links(self, names: list[str]) -> list[str]:
        """Return a link to each of these files."""
        return [f"{self.url}/exports/{name}?X-Goog-Expires=900&X-Goog-Signature=made-up" for name in names]


def _text() -> bytes:
    """Return a block of CSV text; a file is this block, repeated."""
    header = b"settings_id,template_id,decision,device,count\n"
    rows = b"".join(b"%08x,%08x,ACCEPT,desktop,%d\n" % (n * 2654435761 % 2**32, n * 40503, n) for n in range(40_000))
    return (header + rows)[:BLOCK_BYTES]


if __name__ == "__main__":
    Source(Path(sys.argv[1])).run()
