"""Sends an answer, so that a fault can stop, slow, change or break it at any byte."""

import os
import time
from email.utils import formatdate
from http import HTTPStatus

from local.faults import Fault, Kind
from local.http.connection import Connection
from local.http.fault_injection import COUNTS_REQUEST_BYTES, FINAL, FaultInjection
from local.http.response import Block, BreakOff, FileRange, HeaderList, Response, Stream
from local.request_log import Request

PIECE_BYTES = 8 << 20
"""The maximum that is passed to the kernel at once."""
_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {308: "Resume Incomplete", 499: "Client Closed"}


class Sending:
    """Sends the answer to one request."""

    def __init__(self, connection: Connection, request: Request, faults: FaultInjection) -> None:
        self._connection = connection
        self._request = request
        self._faults = faults
        self._moved_bytes = 0
        """Of the answer's body."""
        is_counted = request.operation not in COUNTS_REQUEST_BYTES
        self._byte_faults = faults.byte_faults if is_counted else []
        self._throttle = faults.find(Kind.THROTTLE) if is_counted else None
        self._drip = faults.find(Kind.DRIP)

    def send(self, response: Response, *, is_head: bool) -> None:
        """Send the answer, without its body if the request was a HEAD. Raises ConnectionError if a fault breaks it."""
        usual = [*response.headers, *_framing(response)]
        headers = self._faults.changed_headers(usual)
        if isinstance(headers, BreakOff):
            self._connection.break_off(is_reset=headers.is_reset)
        if response.has_body and _lengths(headers) != _lengths(usual):
            self._connection.is_last_request = True  # the client cannot tell where the body ends
        self._request.status = int(response.status)
        head = self._head(response.status, headers)
        has_body = response.has_body and not is_head
        if isinstance(response.body, bytes) and not self._faults.active:
            self._request.sent_bytes = len(response.body) if has_body else 0
            self._connection.send(head + response.body if has_body else head)
            return
        self._send_head(head)
        if not has_body:
            return
        if not isinstance(response.body, Stream):
            self._send_block(response.body, _size(response.body))
        elif response.body.size is not None:
            for block in response.body.blocks:
                self._send_block(block, len(block))
        else:
            self._send_chunks(response.body)

    def _send_chunks(self, body: Stream) -> None:
        for block in filter(None, body.blocks):
            chunk = b"%x\r\n%b\r\n" % (len(block), bytes(block))
            self._send_block(chunk, len(chunk))
        self._connection.send(b"0\r\n\r\n")

    def _head(self, status: int, headers: HeaderList) -> bytes:
        lines = [f"HTTP/1.1 {int(status)} {_PHRASES.get(status, 'Unknown')}", f"Date: {formatdate(usegmt=True)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if self._connection.is_last_request:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")

    def _send_head(self, head: bytes) -> None:
        if cut := self._faults.find(Kind.CUT_HEAD):
            self._connection.send(head[: head.rindex(b":", 0, -2) + 1])
            self._faults.note(cut)
            self._connection.break_off(is_reset=False)
        if not self._drip:
            self._connection.send(head)
            return
        self._faults.note(self._drip)
        for byte in head:
            self._connection.send(bytes([byte]))
            time.sleep(self._drip.seconds)

    def _send_block(self, block: Block, size: int) -> None:
        """Send the body, or a chunk of it, and apply the faults that are set for its bytes."""
        sent_bytes, start = 0, self._moved_bytes
        while self._byte_faults and self._byte_faults[0].after_bytes <= start + size:
            fault, offset = self._byte_faults[0].fault, self._byte_faults[0].after_bytes - start
            self._send_piece(block, sent_bytes, offset - sent_bytes)
            sent_bytes = offset
            if fault.kind is Kind.WRONG_BYTES:
                if offset == size:
                    break  # the first byte of the next chunk
                self._faults.note(fault)
                self._send_piece(bytes([_byte(block, offset) ^ 1]), 0, 1)
                sent_bytes += 1
            else:
                self._act(fault)
            self._byte_faults.pop(0)
        self._send_piece(block, sent_bytes, size - sent_bytes)

    def _act(self, fault: Fault) -> None:
        if fault.kind in FINAL:
            self._faults.note(fault)
            self._connection.break_off(is_reset=fault.kind is not Kind.CLOSE)
        self._faults.act(fault)

    def _send_piece(self, block: Block, start: int, count: int) -> None:
        end = start + count
        while start < end:
            limit = min(end - start, self._pace())
            self._request.sent_bytes += limit  # before sending: a client that has all bytes finds them counted
            sent = self._connection.send_some(block, start, limit)
            self._request.sent_bytes -= limit - sent
            start += sent
            self._moved_bytes += sent

    def _pace(self) -> int:
        """Wait as the faults require. Return how many bytes may be sent next."""
        if self._drip:
            time.sleep(self._drip.seconds)
            return 1
        return self._faults.pace(self._throttle, self._moved_bytes) if self._throttle else PIECE_BYTES


def _framing(response: Response) -> HeaderList:
    if not response.has_body:
        return []
    size = response.body.size if isinstance(response.body, Stream) else _size(response.body)
    return [("Transfer-Encoding", "chunked") if size is None else ("Content-Length", str(size))]


def _lengths(headers: HeaderList) -> set[tuple[str, str]]:
    return {(name.lower(), value) for name, value in headers if name.lower() in {"content-length", "transfer-encoding"}}


def _size(block: Block) -> int:
    return block.size if isinstance(block, FileRange) else len(block)


def _byte(block: Block, position: int) -> int:
    if isinstance(block, FileRange):
        return os.pread(block.file.fileno(), 1, block.offset + position)[0]
    return block[position]
