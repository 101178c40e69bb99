"""Thread pools for work that must not block the loop: reads, searches and password hashes, each with a bound of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Generic, ParamSpec, TypeVar
from weakref import WeakValueDictionary

import peewee

from models.store.database import disconnect
from models.store.errors import LimitedError, StoreDownError

READER_THREADS = 3  # they share the GIL with the loop; more would not read faster
SEARCH_THREADS = 1  # a common word may take tenths of a second, which other reads must not wait for
HASHER_THREADS = 1  # a flood of logins must not starve sends
MAX_READS_WAITING = 2_000
MAX_SEARCHES_WAITING = 200
MAX_SEARCHES_PER_ACCOUNT = 10  # the page searches while its user types
MAX_REHEARSALS_WAITING = 20
MAX_REHEARSALS_PER_ACCOUNT = 2  # the next one waits while its user changes the form
AGAIN_MS = 1_000
MAX_HASHES_WAITING = 50
MAX_KEYS_PER_READ = 50  # all that wait are answered in one tick of the loop
MAX_KEYS_WAITING = 20_000  # after a restart every client waits, and a refusal costs as much as an answer
# Errors of the store, not of the request: it is down, full, damaged, or lacks a table that must exist.
STORE_ERRORS = (peewee.OperationalError, peewee.InterfaceError, peewee.InternalError, peewee.ProgrammingError)
P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K")


class ThreadPool:
    """A thread pool with a bounded queue. A call returns an awaitable result: `await pool(function, *args)`.

    The threads wait while the loop has not taken as many results: each may be megabytes.
    """

    def __init__(self, name: str, threads: int, max_waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._threads = threads
        self._untaken = threading.Semaphore(threads)
        self._max_waiting = max_waiting
        self._pending = 0
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()  # by account

    async def __call__(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function on a thread. Raises StoreDownError when too many calls wait, or the store can't be read."""
        if self._pending >= self._max_waiting:
            raise StoreDownError
        self._pending += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._executor, lambda: self._run(loop, function, *args, **kwargs))
        except STORE_ERRORS as error:
            raise StoreDownError(str(error)) from error
        finally:
            self._pending -= 1

    async def of_account(self, account: int, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function on a thread after the account's earlier calls: no account has two threads, or many places in the queue.

        Raises the same as a call without an account.
        """
        async with self._turns.setdefault(account, asyncio.Lock()):
            return await self(function, *args, **kwargs)

    def close(self) -> None:
        """Let the threads end after their current call, without waiting for it."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._untaken.release(self._threads)  # the loop may take no more results

    def _run(self, loop: asyncio.AbstractEventLoop, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run on the thread. After a store error the thread's next call begins with a fresh connection."""
        self._untaken.acquire()
        try:
            return function(*args, **kwargs)
        except STORE_ERRORS:
            disconnect()
            raise
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._untaken.release)


class AccountPool(ThreadPool):
    """A thread pool with a bound for the calls of an account, of which one runs at a time. `calls` names them."""

    def __init__(self, name: str, threads: int, max_waiting: int, max_per_account: int, calls: str) -> None:
        super().__init__(name, threads, max_waiting)
        self._max_per_account = max_per_account
        self._calls_name = calls
        self._calls: Counter[int] = Counter()  # by account

    async def of_account(self, account: int, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Raises LimitedError when too many calls of the account wait."""
        if self._calls[account] >= self._max_per_account:
            raise LimitedError(f"too many {self._calls_name} at the same time", AGAIN_MS)
        self._calls[account] += 1
        try:
            return await super().of_account(account, function, *args, **kwargs)
        finally:
            self._calls[account] -= 1
            if not self._calls[account]:
                del self._calls[account]


class SearchPool(AccountPool):
    """The pool for searches."""

    def __init__(self) -> None:
        super().__init__("searcher", SEARCH_THREADS, MAX_SEARCHES_WAITING, MAX_SEARCHES_PER_ACCOUNT, "searches")


class RehearsalPool(AccountPool):
    """The pool for rehearsals of settings."""

    def __init__(self) -> None:
        super().__init__("rehearser", 1, MAX_REHEARSALS_WAITING, MAX_REHEARSALS_PER_ACCOUNT, "rehearsals")


class BatchedRead(Generic[K, R]):
    """Reads by key, where the keys that arrive during a read share the next one: thousands of clients return at once.

    `read(keys)` gets at most MAX_KEYS_PER_READ keys and returns the results of one of them or more. It is called again for the
    others.
    """

    def __init__(self, read: Callable[[list[K]], Awaitable[Mapping[K, R]]]) -> None:
        self._read = read
        self._waiting: dict[K, asyncio.Future[R]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def __call__(self, key: K) -> R:
        """Return the result of a read that begins after this call.

        Raises StoreDownError when too many keys wait, and what `read` raises.
        """
        future = self._waiting.get(key)
        if future is None:
            if len(self._waiting) >= MAX_KEYS_WAITING:
                raise StoreDownError
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read_waiting())
        return await asyncio.shield(future)

    async def _read_waiting(self) -> None:
        while self._waiting:
            await self._read_batch({key: self._waiting.pop(key) for key in list(islice(self._waiting, MAX_KEYS_PER_READ))})
        self._reading = None

    async def _read_batch(self, left: dict[K, asyncio.Future[R]]) -> None:
        try:
            while left:
                for key, result in (await self._read(list(left))).items():
                    left.pop(key).set_result(result)
        except Exception as error:  # of the store: it is raised where the keys are awaited, and the next read may succeed
            for future in left.values():
                future.set_exception(error)
