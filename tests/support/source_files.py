"""Files as the export service may list them."""

import base64

import google_crc32c

from tests.support.requests_and_answers import file

MB = 1_000_000


def csv(mark: str, size: int = 3 * MB, header: str = "settings_id,action,consent") -> bytes:
    """A file of about `size` bytes that differs from those with another mark."""
    line = f"{mark},0,1\n".encode()
    return header.encode() + b"\n" + line * max(1, size // len(line))


def shards(count: int = 3, mark: str = "a", size: int = 3 * MB) -> dict[str, bytes]:
    """`count` files of the period that most tests request, by name."""
    return {file(number): csv(f"{mark}{number}", size) for number in range(count)}


def crc32c(data: bytes) -> str:
    """The checksum as Cloud Storage writes it."""
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
