"""Threads for what must not hold the loop up: reads of the store, and password hashes, each with a bound of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import peewee

from models.store.database import disconnect
from models.store.errors import StoreDownError

READERS = 3  # they share the GIL with the loop; more would not read faster
HASHERS = 1  # a flood of logins can't starve sends
READS_WAITING = 2_000
HASHES_WAITING = 50
# The store's, not the request's: down, full, damaged, or without a table that must be there.
FAULTS = (peewee.OperationalError, peewee.InterfaceError, peewee.InternalError, peewee.ProgrammingError)
P = ParamSpec("P")
R = TypeVar("R")


class Pool:
    """A bounded pool of threads whose work is awaited."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._waiting = waiting
        self._pending = 0

    async def __call__(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs `work` on a thread. Raises StoreDownError when too much waits, or the store can't be read."""
        if self._pending >= self._waiting:
            raise StoreDownError
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: _run(work, *args, **kwargs))
        except FAULTS as error:
            raise StoreDownError(str(error)) from error
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Lets the threads end when their work is done, and waits for none."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _run(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Runs on the thread. One whose read failed begins the next with a fresh connection."""
    try:
        return work(*args, **kwargs)
    except FAULTS:
        disconnect()
        raise
