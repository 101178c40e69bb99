"""Writes that append no events and that no send waits for: presence, last uses of tokens, failed log-ins.

They have a thread of their own, outside the committer and without the log's lock. A transaction has few rows and does not wait for
the disk; on SQLite, where it has the one write lock, the lock is then left free for three times as long.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from jobs.infra.outage import Outage
from models.store.database import disconnect
from models.store.errors import StoreDownError

MAX_ROWS_PER_TRANSACTION = 100
PAUSE_FACTOR = 3  # of the time that a transaction took
MAX_PAUSE_S = 0.5  # a transaction may have waited for the lock itself
MAX_WAITING = 10
CLOSE_S = 2.0  # after which what still waits is dropped: nothing of it is a promise
R = TypeVar("R")
T = TypeVar("T")


class Recorder:
    """One thread. A write that no caller awaits is dropped when it fails: it is no promise."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._waiting = 0
        self._next_write = 0.0  # not earlier, by time.monotonic()
        self._last_write = math.inf  # not later
        self._closing = threading.Event()
        self._outage = Outage("recorder", "presence, last uses of tokens and failed log-ins are not recorded")

    def record(self, write: Callable[[list[T]], None], items: Sequence[T]) -> None:
        """Write items later, by a function that writes some of them in a transaction. Dropped when too much waits already."""
        if items and self._waiting < MAX_WAITING:
            self._waiting += 1
            self._executor.submit(self._write_parts, write, items)

    async def call(self, write: Callable[[], R]) -> R:
        """Run a function that writes a few rows in a transaction, and return its result. Raises StoreDownError."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._write, write)

    def _write_parts(self, write: Callable[[list[T]], None], items: Sequence[T]) -> None:
        """Write the next few items. The rest waits behind what others want to write meanwhile, such as a lease that would end."""
        part, rest = list(items[:MAX_ROWS_PER_TRANSACTION]), items[MAX_ROWS_PER_TRANSACTION:]
        with contextlib.suppress(StoreDownError, RuntimeError):  # RuntimeError: the recorder is closed
            self._write(partial(write, part))
            if rest:
                self._executor.submit(self._write_parts, write, rest)
                return
        self._waiting -= 1

    def _write(self, write: Callable[[], R]) -> R:
        self._closing.wait(max(0.0, self._next_write - time.monotonic()))
        began = time.monotonic()
        if began > self._last_write:
            raise StoreDownError("the gateway stops")
        try:
            result = write()
        except Exception as error:  # of the store: the thread must live, and the next write may succeed
            disconnect()
            self._outage.record_failure(error)
            raise StoreDownError(str(error)) from error
        self._outage.record_success()
        ended = time.monotonic()
        self._next_write = ended + min(MAX_PAUSE_S, PAUSE_FACTOR * (ended - began))
        return result

    def close(self) -> None:
        """End the thread after the writes that are queued, without pauses and after at most CLOSE_S. Their further items are
        dropped."""
        self._last_write = time.monotonic() + CLOSE_S
        self._closing.set()
        self._executor.submit(disconnect)
        self._executor.shutdown(wait=False)
