"""Downloads: the bytes of files on their way from the store to clients, past the loop and past this process's memory.

Of a folder the system copies them from the file to the connection (sendfile(2)), on a few threads: a slice of a download at a time,
and none while its client does not receive, for which the loop waits. Of a bucket, blocks are read on threads, each while the one
before is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
from tornado import web
from tornado.iostream import StreamClosedError

from gateway.commit.threads import ThreadPool
from gateway.http.connections import ClientConnection, abort_connection, add_sent, stream_of
from gateway.http.places import Places
from gateway.http.ranges import Span
from models.blobs.objects import ObjectStore
from models.identity.token import Actor
from models.store.errors import StoreDownError

logger = structlog.get_logger()

FOLDER_THREADS = 4  # each is busy while it sends, or waits for a disk
BUCKET_THREADS = 16  # each waits for a network
MAX_DOWNLOADS = 1_000  # of all callers: each has three descriptors
MAX_BUCKET_DOWNLOADS = 100  # each has a megabyte in memory
MAX_DOWNLOADS_PER_CALLER = 16
MAX_WAITING_PER_CALLER = 200  # the pictures of a page
WAIT_S = 30.0  # for a place
SLICE_S = 0.005  # of one download on a thread, while others wait
POLL_MS = 1  # a thread waits so long for a client before the loop does, whose waits cost more
BYTES_PER_CALL = 1024 * 1024
BLOCK_S = 30.0  # for a block of a bucket, after which the client is disconnected


class FileSending:
    """A part of a file that the system sends to a client. It has its own descriptor of the connection, so that a thread never
    writes to one that was closed and belongs to something else."""

    def __init__(self, stream: ClientConnection, file: int, span: Span) -> None:
        self._stream, self._file = stream, file
        self._offset, self.left = span
        self._socket = stream.client_socket().dup()
        self._writable = select.poll()
        self._writable.register(self._socket, select.POLLOUT)
        self._is_closed = False
        self._sending = threading.Lock()

    def send_slice(self) -> bool:
        """Send for SLICE_S, or until the client does not receive: return whether it does. Raises OSError and EOFError."""
        with self._sending:
            end = time.monotonic() + SLICE_S
            while self.left and not self._is_closed and time.monotonic() < end:
                try:
                    self._send()
                except BlockingIOError:
                    if not self._writable.poll(POLL_MS):
                        return False
        return True

    def _send(self) -> None:
        sent = os.sendfile(self._socket.fileno(), self._file, self._offset, min(self.left, BYTES_PER_CALL))
        if not sent:
            raise EOFError("the file is shorter than its row says")
        self._offset += sent
        self.left -= sent
        self._stream.sent_from_file += sent

    async def until_writable(self) -> None:
        """Wait on the loop until the client receives, or the connection ends."""
        loop = asyncio.get_running_loop()
        writable = asyncio.Event()
        loop.add_writer(self._socket.fileno(), writable.set)
        try:
            await writable.wait()
        finally:
            loop.remove_writer(self._socket.fileno())

    def end(self) -> None:
        """End the connection: neither the thread nor the loop waits any longer."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the descriptors, after the slice that a thread may be sending."""
        self._is_closed = True
        with self._sending:
            os.close(self._file)
            self._socket.close()


class Downloading(web.RequestHandler):
    """The part of a handler that answers with the bytes of a file."""

    actor: Actor
    request_id: Callable[[], str]
    sending: FileSending | None = None

    def on_connection_close(self) -> None:
        """Tornado's hook."""
        if self.sending is not None:
            self.sending.end()


class Downloads:
    """The downloads of one gateway."""

    def __init__(self, store: ObjectStore, *, in_bucket: bool) -> None:
        self._store = store
        most = MAX_BUCKET_DOWNLOADS if in_bucket else MAX_DOWNLOADS
        self.places = Places("downloads", most, MAX_DOWNLOADS_PER_CALLER, MAX_WAITING_PER_CALLER, WAIT_S)
        self._threads = ThreadPool("downloader", BUCKET_THREADS if in_bucket else FOLDER_THREADS, 2 * MAX_DOWNLOADS)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()

    async def answer(self, handler: Downloading, key: str, span: Span) -> None:
        """Write a part of an object, whose headers the handler has set, and finish the request. A client that can't get all of it
        is disconnected: what it has must not look complete. Raises FileNotFoundError, OSError and StoreDownError while the answer
        has not begun."""
        async with self.places.place(handler.actor.user):
            try:
                path = self._store.local_path(key)
                await (self._send_blocks(handler, key, span) if path is None else self._send_file(handler, path, span))
            except (StreamClosedError, ConnectionError):
                abort_connection(handler)
                return
            except Exception as error:
                if not handler._headers_written:
                    raise
                logger.error("file_download_broken", key=key, request_id=handler.request_id(), error=repr(error))
                abort_connection(handler)
                return
        handler.finish()

    async def _send_file(self, handler: Downloading, path: Path, span: Span) -> None:
        file = await self._threads(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
        stream = stream_of(handler)
        if stream is None or stream.closed():
            os.close(file)
            raise StreamClosedError
        handler.sending = FileSending(stream, file, span)
        try:
            await handler.flush()
            with stream.sending_file():
                await self._send_slices(handler.sending)
            add_sent(handler, span.length)
        finally:
            handler.sending.close()
            handler.sending = None

    async def _send_slices(self, sending: FileSending) -> None:
        while sending.left:
            if not await self._threads(sending.send_slice):
                await sending.until_writable()

    async def _send_blocks(self, handler: Downloading, key: str, span: Span) -> None:
        blocks, left = self._store.read(key, span.start, span.length), span.length
        block = await self._next(blocks)
        while block is not None and left:
            left -= len(block)
            following = asyncio.ensure_future(self._next(blocks))
            try:
                handler.write(block)
                await handler.flush()
            except BaseException:
                following.cancel()
                raise
            block = await following
        if left:
            raise EOFError("the object is shorter than its row says")

    async def _next(self, blocks: Iterator[bytes]) -> bytes | None:
        """Read the next block; None at the end. Raises StoreDownError when the bucket does not answer."""
        try:
            async with asyncio.timeout(BLOCK_S):
                return await self._threads(next, blocks, None)
        except TimeoutError:
            raise StoreDownError("the bucket does not answer") from None
