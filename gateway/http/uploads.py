"""The uploads of a gateway: bounded in number, and written on threads of their own.

A store of files that does not answer costs uploads only: they end after a while with 503, and keep their places until their threads
are free again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from conf import Settings
from gateway.commit.committer import Committer
from gateway.commit.threads import ThreadPool
from gateway.http.pacing import RatePace
from gateway.http.places import Places
from models.blobs.objects import ObjectStore
from models.files import upload
from models.files.incoming import IncomingFile
from models.files.upload import MIB, BegunUpload, UploadLimits
from models.store.errors import RefusedError, StoreDownError

logger = structlog.get_logger()

UPLOAD_THREADS = 4
FINISHER_THREADS = 8  # most of their time they wait for the disk, or for a bucket
MAX_UPLOADS = 100
BATCHED_BYTES = 4 * MIB  # of all uploads; each has one batch that is written, and one that is collected
MIN_BATCH_BYTES, MAX_BATCH_BYTES = 64 * 1024, 512 * 1024
MAX_UPLOADS_PER_ACCOUNT = 8
MAX_WAITING_PER_ACCOUNT, WAIT_S = 100, 60.0  # of further ones, whose bodies are not read yet
BYTES_PER_S_BESIDE_SENDS = 12 * MIB
BEGUN_PER_S_BESIDE_SENDS = 25  # each costs the loop some milliseconds
WRITE_TIMEOUT_S = 30.0  # of a block
FINISH_TIMEOUT_S = 120.0  # until a file is durable: a bucket may get all of it at the end
STOP_TIMEOUT_S = 0.5


class Uploads:
    """The uploads that are going on. `limits` are those of the settings."""

    def __init__(self, settings: Settings, store: ObjectStore, committer: Committer) -> None:
        self._store, self._folder = store, settings.data_dir
        self.limits = UploadLimits(settings.file_max_mb * MIB, settings.files_per_day_mb * MIB)
        self.beginnings = RatePace(committer.has_posted_lately, BEGUN_PER_S_BESIDE_SENDS)
        self.pace = RatePace(committer.has_posted_lately, BYTES_PER_S_BESIDE_SENDS)
        self.places = Places("uploads", MAX_UPLOADS, MAX_UPLOADS_PER_ACCOUNT, MAX_WAITING_PER_ACCOUNT, WAIT_S)
        self.write = ThreadPool("uploader", UPLOAD_THREADS, 2 * MAX_UPLOADS)
        self.finish = ThreadPool("upload-finisher", FINISHER_THREADS, 2 * MAX_UPLOADS)
        self._committer = committer
        self._all_ended = asyncio.Event()
        self._cleaning: set[asyncio.Task[None]] = set()
        self._running: dict[Upload, None] = {}

    async def begin(self, account: int, on_stop: Callable[[], None]) -> Upload:
        """Begin an upload; further ones of an account wait. Raises LimitedError and StoreDownError; `Upload.end` ends it."""
        await self.places.occupy(account)
        self._all_ended.clear()
        begun = Upload(self, account, on_stop)
        self._running[begun] = None
        return begun

    def end(self, ended: Upload) -> None:
        """Leave its place, when its thread is free and nothing of a broken one is left."""
        del self._running[ended]
        if ended.is_stored or ended.begun is None:
            self._release(ended.account)
            return
        cleaning = asyncio.create_task(self._clean_up(ended))
        self._cleaning.add(cleaning)
        cleaning.add_done_callback(self._cleaning.discard)

    def batch_bytes(self) -> int:
        """How much of a body is collected before it is written: much if there are few uploads, since each batch has its price."""
        return max(MIN_BATCH_BYTES, min(MAX_BATCH_BYTES, BATCHED_BYTES // len(self._running)))

    def file(self, begun: BegunUpload) -> IncomingFile:
        """The file of an upload whose row is stored."""
        return IncomingFile(self._store, begun.object.key, self._folder)

    async def stop(self) -> None:
        """Break off those that are still receiving, and remove what there is of them; the sweeper has the rest."""
        for running in list(self._running):
            running.on_stop()
        if self.places.occupied:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self._all_ended.wait()

    def close(self) -> None:
        """Let the threads end after their current call."""
        self.write.close()
        self.finish.close()

    async def _clean_up(self, ended: Upload) -> None:
        try:
            await ended.clean_up(self._committer)
        except Exception as error:  # the sweeper does it later
            if not isinstance(error, (RefusedError, StoreDownError)):
                logger.exception("upload_not_removed")
        finally:
            self._release(ended.account)

    def _release(self, account: int) -> None:
        self.places.leave(account)
        if not self.places.occupied:
            self._all_ended.set()


class Upload:
    """One upload: its file is written by one thread at a time, while the next block arrives."""

    def __init__(self, uploads: Uploads, account: int, on_stop: Callable[[], None]) -> None:
        self.account = account
        self.on_stop = on_stop
        self.begun: BegunUpload | None = None
        self.file: IncomingFile | None = None
        self.is_complete = False  # or may be: its second transaction was begun
        self.is_stored = False
        self._uploads = uploads
        self._working: asyncio.Task[Any] | None = None

    def open(self, begun: BegunUpload) -> None:
        """Begin to write an object whose row is stored."""
        self.begun = begun
        self.file = self._uploads.file(begun)

    async def write(self, block: bytearray) -> None:
        """Write a block, after the one before. Returns while it is being written."""
        assert self.file is not None
        await self._wait(WRITE_TIMEOUT_S)
        self._working = asyncio.create_task(self._uploads.write(self.file.write, block))

    async def finish(self) -> None:
        """Return when the file is durable."""
        assert self.file is not None
        await self._wait(WRITE_TIMEOUT_S)
        self._working = asyncio.create_task(self._uploads.finish(self.file.finish))
        await self._wait(FINISH_TIMEOUT_S)

    def end(self) -> None:
        """End it: what there is of one that is not stored is removed in the background."""
        self._uploads.end(self)

    async def clean_up(self, committer: Committer) -> None:
        """Wait for the thread that writes, and remove what is left. Raises StoreDownError."""
        if self._working is not None:
            await asyncio.wait({self._working})
            self._working.exception()
        assert self.begun is not None
        is_removed = not self.is_complete and (self.file is None or await self._uploads.write(self.file.abort))
        await committer.call(None, partial(upload.forget if is_removed else upload.leave, upload=self.begun))

    async def _wait(self, timeout_s: float) -> None:
        """Wait until the thread has written. Raises its error, or StoreDownError after so long."""
        if self._working is None:
            return
        done, _ = await asyncio.wait({self._working}, timeout=timeout_s)
        if not done:
            raise StoreDownError("the store of files does not answer")
        working, self._working = self._working, None
        working.result()
