"""Python libraries as peers: what a user would write with them, one thread for each concurrent file.

Reads jobs from standard input, one a line, and answers `done` or the error.
"""

import json
import os
import shutil
import socket
import ssl
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

Copy = Callable[[str, str], None]


def upload_from_string() -> Copy:
    """Return a function that reads the whole file into memory first."""
    bucket = _bucket()

    def copy(link: str, name: str) -> None:
        response = requests.get(link, timeout=60)
        response.raise_for_status()
        bucket.blob(name).upload_from_string(response.content, content_type="text/csv")

    return copy


def upload_from_file() -> Copy:
    """Return a function that passes the response to the library."""
    bucket = _bucket()

    def copy(link: str, name: str) -> None:
        with requests.get(link, stream=True, timeout=60) as response:
            response.raise_for_status()
            size = int(response.headers["Content-Length"])
            bucket.blob(name).upload_from_file(response.raw, size=size, content_type="text/csv")

    return copy


def blob_open() -> Copy:
    """Return a function that copies through the library's file object."""
    bucket = _bucket()

    def copy(link: str, name: str) -> None:
        with requests.get(link, stream=True, timeout=60) as response, bucket.blob(name).open("wb") as target:
            response.raise_for_status()
            shutil.copyfileobj(response.raw, target, 1024 * 1024)

    return copy


def gcsfs_open() -> Copy:
    """Return a function that copies through fsspec's file object."""
    import gcsfs  # noqa: PLC0415 - slow to import, and only this way needs it

    system = gcsfs.GCSFileSystem(token="anon", endpoint_url=os.environ["BUCKET_SERVER"])  # noqa: S106 - its word for no credentials
    bucket = os.environ["BUCKET"]

    def copy(link: str, name: str) -> None:
        with requests.get(link, stream=True, timeout=60) as response, system.open(f"{bucket}/{name}", "wb") as target:
            response.raise_for_status()
            shutil.copyfileobj(response.raw, target, 1024 * 1024)

    return copy


def plain_script() -> Copy:
    """Return a function that copies all files of a day, from the URL of its listing into its folder."""
    bucket = _bucket()
    session = requests.Session()
    session.headers["x-api-key"] = "made-up"

    def copy(listing: str, folder: str) -> None:
        answer = session.get(listing, timeout=60)
        answer.raise_for_status()
        for link in answer.json()["downloadUrls"]:
            response = session.get(link, timeout=60)
            response.raise_for_status()
            name = folder + unquote(urlsplit(link).path.rpartition("/")[2])
            bucket.blob(name).upload_from_string(response.content, content_type="text/csv")

    return copy


def bare_sockets() -> Copy:
    """Return a function that copies with Python's ssl module alone: the minimum time of a Python process."""
    context = ssl.create_default_context()
    buffer = bytearray(256 * 1024)

    def answer(connection: ssl.SSLSocket) -> tuple[dict[str, str], bytes]:
        """Return the headers of a 200, and the part of the body that was received with them."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(16 * 1024)
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        if " 200 " not in first:
            raise ConnectionError(first)
        return dict(line.lower().split(": ", 1) for line in lines), body

    def connected(url: str, head: str) -> ssl.SSLSocket:
        """Connect and send a request's head; `%s` in it is replaced by the URL's path."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        plain = socket.create_connection((parts.hostname, parts.port or 443))
        connection = context.wrap_socket(plain, server_hostname=parts.hostname)
        connection.sendall((head % url.partition(parts.netloc)[2] + "\r\n\r\n").encode())
        return connection

    def copy(link: str, name: str) -> None:
        begun = requests.post(
            f"{os.environ['BUCKET_SERVER']}/upload/storage/v1/b/{os.environ['BUCKET']}/o",
            params={"uploadType": "resumable", "name": name},
            timeout=60,
        )
        with connected(link, "GET %s HTTP/1.1\r\nHost: a") as source:
            headers, block = answer(source)
            left = int(headers["content-length"])
            with connected(
                begun.headers["Location"], f"PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: {left}"
            ) as target:
                target.sendall(block)
                left -= len(block)
                while left:
                    count = source.recv_into(buffer)
                    target.sendall(memoryview(buffer)[:count])
                    left -= count
                answer(target)

    return copy


WAYS = {
    way.__name__: way
    for way in (upload_from_string, upload_from_file, blob_open, gcsfs_open, plain_script, bare_sockets)
}


def _bucket() -> Any:  # noqa: ANN401 - the library has no types
    from google.cloud import storage  # noqa: PLC0415 - as above

    return storage.Client(project="bench").bucket(os.environ["BUCKET"])


def _main() -> None:
    way = WAYS[sys.argv[1]]
    copy = way()
    from_, to = ("listings", "folders") if way is plain_script else ("links", "names")
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            with ThreadPoolExecutor(job["at_once"]) as pool:
                list(pool.map(copy, job[from_], job[to]))
        except Exception as error:  # noqa: BLE001 - any error of a peer is its result
            print(f"{type(error).__name__}: {error}"[:300].replace("\n", " "), flush=True)
        else:
            print("done", flush=True)


if __name__ == "__main__":
    _main()
