"""The committer: one thread that commits what all handlers hand it, many operations a transaction.

It takes what waits, up to a bound, checks who asks and runs it (gateway/commit/batch.py) in one transaction, commits once with full
durability, and wakes the loop once. Under load the cost of an fsync is divided by the batch; alone, it adds none.

Crash points. Before COMMIT returned: nothing is kept, nobody answered; a retry with the same `client_id` is safe (promise 4). After
COMMIT and before the answer: it is kept (promise 1), the retry gets it back. An error from COMMIT leaves the outcome unknown: all
of the batch fail with 503, and nothing is ever run again here.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import peewee
import structlog

from gateway.commit.batch import FailedTogetherError, Operation, SendOperation, groups_of, post_together, run_group, tell_defects
from metrics import declared as metrics
from models.chat.message import Draft
from models.identity import token
from models.log import event
from models.log.event import Event, Transaction, TransactionCache, TransactionLostError
from models.store import facts
from models.store.database import disconnect, engine
from models.store.errors import RefusedError, StoreDownError

logger = structlog.get_logger()

BATCH_OPERATIONS = 100  # one transaction; more only makes those at its head wait longer
GATHER_S = 0.003  # how long the first of many may wait for the others
QUIET_ROUNDS = 3  # of the loop; a request takes several before it is an operation
QUEUE_OPERATIONS = 5_000  # about a second of work: past it, clients are told to come back
RECONNECT_S = 0.05  # between two looks for a store that is down; the store's own back-off makes attempts rarer
GAP_EVENTS = 1_000  # other processes' commits that are read along; of more, the tail reads in slices
R = TypeVar("R")


class Committed:
    """A batch that is on disk: what it appended, preceded by what others had since this process's last look."""

    __slots__ = ("after", "appended", "at", "events", "operations")

    def __init__(self, operations: Sequence[Operation[Any]], after: int, events: list[Event], appended: int) -> None:
        self.operations = operations
        self.appended = appended
        self.after = after  # the events follow this id without a gap
        self.events = events
        self.at = time.perf_counter()


class Committer:
    """Hands operations to its thread, and batches that are on disk to `on_commit`, on the loop."""

    def __init__(self, on_commit: Callable[[Committed], None]) -> None:
        self._on_commit = on_commit
        self._queue: SimpleQueue[list[Operation[Any]] | None] = SimpleQueue()
        self._pending: list[Operation[Any]] = []  # not handed over yet
        self._unanswered: set[Operation[Any]] = set()
        self._loop = asyncio.get_running_loop()
        self._cache = TransactionCache()
        self._stopping = False
        self.down = False  # the store can't be reached
        self._ended = asyncio.Event()
        self.seen = 0  # newest event id that this thread has passed to the loop, or is about to
        self._thread = threading.Thread(target=self._work, name="committer", daemon=True)
        metrics.COMMIT_QUEUE.set_function(lambda: len(self._unanswered))

    def start(self, head: int) -> None:
        """Starts at a place in the log that the hub has read to."""
        self.seen = head
        self._thread.start()

    async def stop(self) -> None:
        """Commits what was taken, and takes no more; then ends the thread."""
        self._stopping = True
        self._queue.put(self._pending)
        self._queue.put(None)
        self._pending = []
        await self._ended.wait()

    def give_up(self) -> None:
        """Answers what still waits when the time to stop is over: the store did not take it, as far as anybody knows."""
        self._fail(list(self._unanswered), TimeoutError("the gateway stops"))

    def call(self, actor_token: int | None, run: Callable[[Transaction], R], admin: bool = False) -> asyncio.Future[R]:
        """Runs a verb in the next transaction, if the token (None: the gateway itself) still lives there, as an admin's if asked.

        Raises StoreDownError when too much waits already. The future raises RefusedError or StoreDownError.
        """
        return self.submit(run, actor_token, admin).future

    def submit(self, run: Callable[[Transaction], R], actor_token: int | None = None, admin: bool = False) -> Operation[R]:
        """The same; the operation tells its times besides."""
        operation = Operation(run, actor_token, self._loop.create_future(), admin)
        self._put(operation)
        return operation

    def post(self, draft: Draft) -> SendOperation:
        """The same for a message, batched with all others. The operation tells its times, its future the outcome."""
        operation = SendOperation(draft, self._loop.create_future())
        self._put(operation)
        return operation

    def _put(self, operation: Operation[Any]) -> None:
        if self._stopping or self.down or len(self._unanswered) >= QUEUE_OPERATIONS:
            raise StoreDownError
        self._unanswered.add(operation)
        self._pending.append(operation)
        if len(self._pending) == 1:
            self._loop.call_soon(self._hand_over, 1, 0, operation.submitted)

    def _hand_over(self, before: int, quiet: int, since: float) -> None:
        """Wakes the thread: for one alone when the loop's round is over (sooner, both would want the GIL), else when the rounds
        bring no more, or enough.

        Each batch costs both threads the GIL some ten times, so under load fewer and larger ones are faster for everybody.
        """
        size = len(self._pending)
        quiet = quiet + 1 if size == before else 0
        if 1 < size < BATCH_OPERATIONS and quiet < QUIET_ROUNDS and time.perf_counter() - since < GATHER_S:
            self._loop.call_soon(self._hand_over, size, quiet, since)
        elif size:
            self._queue.put(self._pending)
            self._pending = []

    def _work(self) -> None:
        going_on = self._reconnect()
        while going_on and (batch := self._take()) is not None:
            started = time.perf_counter()
            try:
                committed = self._commit(batch)
            except Exception as error:  # whatever went wrong, every operation of the batch hears of it
                if not isinstance(error, (peewee.PeeweeException, TransactionLostError)):
                    logger.exception("a batch failed")
                self._wake(self._fail, batch, error)
                going_on = self._reconnect()
                continue
            self._wake(self._resolve, committed)
            tell_defects(batch)
            metrics.COMMIT_SECONDS.observe(committed.at - started)  # while the loop's thread is waking up
            metrics.COMMIT_BATCH_SIZE.observe(len(batch))
            metrics.LOG_EVENTS_TOTAL.inc(committed.appended)
        disconnect()
        self._wake(self._ended.set)

    def _reconnect(self) -> bool:
        """The next batch gets a fresh connection. While there is none to be had, operations are refused at once.

        False when the end came meanwhile.
        """
        disconnect()
        while True:
            try:
                engine().configure_committer_connection()
            except peewee.PeeweeException as error:
                self.down = True
                with contextlib.suppress(Empty):
                    if (batch := self._take(RECONNECT_S)) is None:
                        return False
                    self._wake(self._fail, batch, error)
            else:
                self.down = False
                return True

    def _take(self, timeout_s: float | None = None) -> list[Operation[Any]] | None:
        """What waits, up to a bound; None is the end. Raises Empty when nothing comes in time."""
        batch = self._queue.get(timeout=timeout_s)
        with contextlib.suppress(Empty):
            while batch is not None and len(batch) < BATCH_OPERATIONS:
                more = self._queue.get_nowait()
                if more is None:
                    self._queue.put(None)
                    break
                batch += more
        return batch

    def _commit(self, batch: list[Operation[Any]]) -> Committed:
        """Sends alone need no savepoint: if they fail together, for whatever reason, the batch is begun anew with one for each."""
        groups = groups_of(batch)
        if len(groups) == 1 and isinstance(batch[0], SendOperation):
            with contextlib.suppress(FailedTogetherError):
                return self._transact(batch, groups, post_together)
        return self._transact(batch, groups, run_group)

    def _transact(
        self,
        batch: list[Operation[Any]],
        groups: list[list[Operation[Any]]],
        run: Callable[[Transaction, list[Operation[Any]]], None],
    ) -> Committed:
        taken = time.perf_counter()
        with event.transaction(self._cache) as tx:
            between = self._read_along(tx.head)
            after = self.seen if between is not None else tx.head
            self._heed(between)
            token.load_actors(tx, [operation.token for operation in batch if operation.token is not None])
            for group in groups:
                run(tx, group)
        for operation in batch:
            operation.taken = taken
        self.seen = tx.events[-1].id if tx.events else tx.head
        events = [*(between or ()), *tx.events]
        return Committed(batch, after, events, len(tx.events))

    def _read_along(self, head: int) -> list[Event] | None:
        """What others committed since this thread's last transaction; None when that is much, or a part is no longer kept."""
        if head == self.seen:
            return []
        found = event.read_after(self.seen, GAP_EVENTS)
        if len(found) == GAP_EVENTS or (len(found) < head - self.seen and facts.trimmed() > self.seen):
            return None
        return found

    def _heed(self, between: list[Event] | None) -> None:
        """What others committed may have changed what this thread remembers."""
        if between is None:
            self._cache.clear()
        for appended in between or ():
            self._cache.apply(appended.stream, appended.type)
        self._cache.limit_size()

    def _wake(self, callback: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *args)

    def _resolve(self, committed: Committed) -> None:
        self._unanswered.difference_update(committed.operations)
        try:
            self._on_commit(committed)
        finally:
            for operation in committed.operations:
                operation.committed = committed.at
                future, result = operation.future, operation.result
                answer = future.set_exception if isinstance(result, RefusedError) else future.set_result
                if not future.done():
                    answer(result)

    def _fail(self, batch: Sequence[Operation[Any]], error: Exception) -> None:
        self._unanswered.difference_update(batch)
        logger.error("the store failed a batch", error=str(error), operations=len(batch))
        for operation in batch:
            if not operation.future.done():
                operation.future.set_exception(StoreDownError(str(error)))
