"""Uploads and downloads of many bytes, over sockets of their own: the loads' client keeps whole answers in memory.

`python -m bench.load.transfers` uploads one file for each token of its standard input, all at once, evenly over some seconds. It is
a process of its own, so that its work is not in the times that others measure.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from time import perf_counter

import msgspec
import uvloop

from bench.load.client import Answer, parse_answer, raw_request
from bench.servers.bellwire import ROOT

BLOCK = os.urandom(256 * 1024)
RECEIVE_BYTES = 256 * 1024
TIMEOUT_S = 120.0
PDF = b"%PDF-1.7\n"


class UploadOrder(msgspec.Struct):
    """The uploads of one process: a file of `length` bytes for each token, all at once, evenly over `seconds`."""

    port: int
    tokens: list[str]
    length: int
    seconds: float


def upload_head(path: str, token: str, length: int) -> bytes:
    """Return the head of an upload."""
    head = raw_request("POST", path, token).split(b"Content-Type")[0]
    return b"%bContent-Type: application/pdf\r\nContent-Length: %d\r\n\r\n" % (head, length)


async def upload(port: int, head: bytes, length: int, seconds: float = 0.0) -> Answer:
    """Upload so many bytes, as fast as they are accepted, or evenly over some seconds. Raise OSError."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(connection, head + PDF)
        sent, start = len(PDF), perf_counter()
        while sent < length:
            part = memoryview(BLOCK)[: length - sent]
            await loop.sock_sendall(connection, part)
            sent += len(part)
            if (early_s := start + seconds * sent / length - perf_counter()) > 0:
                await asyncio.sleep(early_s)
        received = b""
        while (parsed := parse_answer(received)) is None:
            data = await loop.sock_recv(connection, 65536)
            if not data:
                raise ConnectionError("no answer to an upload")
            received += data
        return parsed[0]


def download(port: int, head: bytes) -> int:
    """Download a file with a blocking socket; return the number of its bytes. Raise ConnectionError unless it is whole."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        connection.sendall(head)
        data = connection.recv(65536)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += connection.recv(65536)
        status, low = data[9:12], data[:end].lower() + b"\r\n"
        length = int(low.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        got, buffer = len(data) - end - 4, bytearray(RECEIVE_BYTES)
        while got < length and (more := connection.recv_into(buffer)):
            got += more
        if status != b"200" or got != length:
            raise ConnectionError(f"{status.decode()}, {got} of {length} bytes")
        return length


class Uploads:
    """The process that uploads. `failed` counts the uploads that were not answered 201, when `finish` has returned."""

    def __init__(self, port: int, tokens: Sequence[str], length: int, seconds: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load.transfers"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(UploadOrder(port, list(tokens), length, seconds)))
        self._process.stdin.close()
        self._process.stdin = None
        self.failed, self.first_failure = 0, ""

    def finish(self) -> None:
        """Wait for its end."""
        printed, _ = self._process.communicate(timeout=TIMEOUT_S)
        failures = msgspec.json.decode(printed, type=list[str])
        self.failed, self.first_failure = len(failures), next(iter(failures), "")


async def _upload_all(order: UploadOrder) -> list[str]:
    """Upload a file for each token; return the failures."""

    async def one(number: int, token: str) -> str:
        try:
            head = upload_head(f"/api/v1/files?name=load-{number}.pdf", token, order.length)
            answer = await upload(order.port, head, order.length, order.seconds)
        except OSError as error:
            return f"an upload: {error or type(error).__name__}"
        return "" if answer.status == 201 else f"an upload: {answer.status} {answer.text}"

    found = await asyncio.gather(*(one(number, token) for number, token in enumerate(order.tokens)))
    return [failure for failure in found if failure]


if __name__ == "__main__":
    sys.stdout.buffer.write(
        msgspec.json.encode(uvloop.run(_upload_all(msgspec.json.decode(sys.stdin.buffer.read(), type=UploadOrder))))
    )
