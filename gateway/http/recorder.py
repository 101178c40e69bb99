"""Writes that no request waits for and that append no events: last uses of tokens, failed log-ins.

They have a thread of their own, outside the committer and without the log's lock. A transaction has few rows and does not wait for
the disk; on SQLite, where it has the one write lock, the lock is then left free for three times as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from jobs.infra.outage import Outage
from models.store.database import chunks, disconnect

MAX_ROWS_PER_TRANSACTION = 100
PAUSE_FACTOR = 3  # of the time that a transaction took
MAX_WAITING = 10
T = TypeVar("T")


class Recorder:
    """One thread. What can't be written is dropped: it is no promise."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._waiting = 0
        self._outage = Outage("recorder", "last uses of tokens and failed log-ins are not recorded")

    def record(self, write: Callable[[list[T]], None], items: Sequence[T]) -> None:
        """Write items later, by a function that writes some of them in a transaction. Dropped when too much waits already."""
        if items and self._waiting < MAX_WAITING:
            self._waiting += 1
            self._executor.submit(self._write, write, items)

    def _write(self, write: Callable[[list[T]], None], items: Sequence[T]) -> None:
        try:
            for part in chunks(items, MAX_ROWS_PER_TRANSACTION):
                began = time.monotonic()
                write(part)
                time.sleep(PAUSE_FACTOR * (time.monotonic() - began))
        except Exception as error:  # of the store: the thread must live, and the next write may succeed
            disconnect()
            self._outage.record_failure(error)
        else:
            self._outage.record_success()
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._executor.submit(disconnect)
        self._executor.shutdown(wait=False)
