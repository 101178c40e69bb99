"""Files on their way: an upload whose bytes are read as they are sent, and a download that continues where it broke off."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from mimetypes import guess_type
from pathlib import Path
from typing import BinaryIO, TypeAlias

from bellwire_client.backoff import Backoff
from bellwire_client.errors import BellwireError, UnreachableError
from bellwire_client.reading import read
from bellwire_client.shapes import File
from bellwire_client.steps import Pause, Request, Steps, receive, send_with_retries

CHUNK_BYTES = 64 * 1024
TRANSFER_TIMEOUT_S = 120.0  # without a byte: the server answers an upload when the file is on its disk, or in its bucket
MAX_ATTEMPTS = 5  # of an upload that was broken off on its way; before its first byte the client's patience counts
ReadableFile: TypeAlias = str | os.PathLike[str] | BinaryIO  # a path, or a file that is open for reading bytes, which can seek
WritableFile: TypeAlias = str | os.PathLike[str] | BinaryIO
Progress: TypeAlias = Callable[[int, int], object]  # is called with the bytes so far, and those of the whole file


class Outgoing:
    """The bytes of an upload. Each attempt reads them from where the file stood; `sent` counts those of the last attempt."""

    def __init__(self, file: BinaryIO, onprogress: Progress | None) -> None:
        self._file, self._onprogress = file, onprogress
        self._start = file.tell()
        self.length = file.seek(0, os.SEEK_END) - self._start
        self.sent = 0

    def blocking(self) -> Iterator[bytes]:
        """The bytes for a connection that blocks."""
        self._begin()
        while self.sent < self.length:
            data = self._file.read(min(CHUNK_BYTES, self.length - self.sent))
            yield self._checked(data)
            self._count(data)

    async def awaited(self) -> AsyncIterator[bytes]:
        """The same for asyncio."""
        self._begin()
        while self.sent < self.length:
            data = await asyncio.to_thread(self._file.read, min(CHUNK_BYTES, self.length - self.sent))
            yield self._checked(data)
            self._count(data)

    def _begin(self) -> None:
        self._file.seek(self._start)
        self.sent = 0

    def _checked(self, data: bytes) -> bytes:
        if not data:
            raise BellwireError("the file became shorter while it was sent")
        return data

    def _count(self, data: bytes) -> None:
        self.sent += len(data)
        if self._onprogress:
            self._onprogress(self.sent, self.length)


def upload(file: ReadableFile, name: str | None, onprogress: Progress | None, patience_s: float) -> Steps[File]:
    """Upload a file from its start, again after a failed attempt: a file whose answer was lost is removed after a day."""
    with _opened(file) as source:
        outgoing = Outgoing(source, onprogress)
        name = name or Path(str(getattr(source, "name", "file"))).name
        headers = {
            "Content-Type": guess_type(name)[0] or "application/octet-stream",
            "Content-Length": str(outgoing.length),
        }
        request = Request("POST", "/files", outgoing, {"name": name}, headers, repeatable=True, timeout_s=TRANSFER_TIMEOUT_S)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return read(File, (yield from send_with_retries(request, patience_s)).body)
            except UnreachableError:
                if not 0 < outgoing.sent < outgoing.length or attempt == MAX_ATTEMPTS:
                    raise
    raise AssertionError("the last attempt returns or raises")


def download_file(path: str, to: WritableFile, onprogress: Progress | None, patience_s: float) -> Steps[None]:
    """Download a file, and continue after each break. A path has the file when it is complete."""
    if not isinstance(to, str | os.PathLike):
        yield from _receive(path, to, onprogress, patience_s)
        return
    part = Path(f"{os.fspath(to)}.part")
    try:
        with part.open("wb") as file:
            yield from _receive(path, file, onprogress, patience_s)
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)


def _receive(path: str, file: BinaryIO, onprogress: Progress | None, patience_s: float) -> Steps[None]:
    start = received = length = 0
    etag = ""

    def write(data: bytes) -> None:
        nonlocal received
        file.write(data)
        received += len(data)
        if onprogress:
            onprogress(received, length)

    while True:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={received}-", "If-Range": etag} if received else {})
        request = Request("GET", path, headers=headers, timeout_s=TRANSFER_TIMEOUT_S, stream="file")
        answer = yield from send_with_retries(request, patience_s)
        if answer.status != 206:  # the whole of it; it has become another one, if this is no first attempt
            if received:
                file.seek(start)
                file.truncate()
            start, received = file.tell() if file.seekable() else 0, 0
        etag, before = answer.headers.get("etag", ""), received
        length = received + int(answer.headers.get("content-length", 0))
        try:
            yield from receive(answer.link, write)
            return
        except UnreachableError:
            if received == before:
                raise
        yield Pause(Backoff().next_s())


@contextmanager
def _opened(file: ReadableFile) -> Iterator[BinaryIO]:
    if isinstance(file, str | os.PathLike):
        with open(file, "rb") as source:
            yield source
    else:
        yield file
