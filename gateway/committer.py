"""The committer: one thread that commits what all handlers hand it, many operations a transaction.

It takes what waits, up to a bound, begins one transaction, checks who asks by one query, runs each operation under a savepoint
of its own (sends together, by a fixed few statements), commits once with full durability, and wakes the loop once. Under load
the cost of an fsync is divided by the batch; alone, it adds none.

Crash points. Before COMMIT returned: nothing is kept, nobody was answered; a retry with the same `client_id` is safe (promise
4). After COMMIT and before the answer: the message is kept (promise 1), the retry gets it back. An error from COMMIT itself
leaves the outcome unknown: every operation of the batch fails with 503, and nothing is ever run again here.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

import peewee
import structlog

from metrics import declared as metrics
from models import event, message, token
from models.database import disconnect, is_stores_fault
from models.errors import ForbiddenError, RefusedError
from models.event import Event, Log, Memory, TransactionLostError
from models.message import Draft, Posted

logger = structlog.get_logger()

BATCH_OPERATIONS = 100  # one transaction; more only makes those at its head wait longer
GATHER_FROM = 8  # after a batch of so many, more are on their way
GATHER_STEP_S, GATHER_MOST_S = 0.0004, 0.003
QUEUE_OPERATIONS = 5_000  # about a second of work: past it, clients are told to come back
GAP_EVENTS = 1_000  # other processes' commits that are read along; of more, the tail reads in slices
R = TypeVar("R")


class StoreDownError(Exception):
    """The store is full or down, or the queue is at its bound: 503, and nothing was kept."""


class Operation(Generic[R]):
    """A verb to run in the next transaction, by whom, and the future that hears of it."""

    __slots__ = ("admin", "committed", "future", "result", "run", "submitted", "taken", "token")

    def __init__(
        self, run: Callable[[Log], R] | None, actor_token: int | None, future: asyncio.Future[R], admin: bool = False
    ) -> None:
        self.run = run
        self.admin = admin
        self.token = actor_token
        self.future = future
        self.result: Any = None
        self.submitted = time.perf_counter()
        self.taken = self.committed = 0.0


class SendOperation(Operation[Posted]):
    """A message to be posted with all others of its batch."""

    __slots__ = ("draft",)

    def __init__(self, draft: Draft, future: asyncio.Future[Posted]) -> None:
        super().__init__(None, draft.token, future)
        self.draft = draft


class Committed:
    """A batch that is on disk: what it appended, preceded by what others had since this process's last look."""

    __slots__ = ("after", "at", "events", "operations")

    def __init__(self, operations: Sequence[Operation[Any]], after: int, events: list[Event]) -> None:
        self.operations = operations
        self.after = after  # the events follow this id without a gap
        self.events = events
        self.at = time.perf_counter()


class Committer:
    """Hands operations to its thread, and batches that are on disk to `on_commit`, on the loop."""

    def __init__(self, on_commit: Callable[[Committed], None]) -> None:
        self._on_commit = on_commit
        self._queue: SimpleQueue[Operation[Any] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._memory = Memory()
        self._stopping = False
        self._last_batch = 0
        self._seen = 0  # newest event id that this thread has passed to the loop
        self._thread = threading.Thread(target=self._work, name="committer", daemon=True)
        metrics.COMMIT_QUEUE.set_function(self._queue.qsize)

    def start(self, head: int) -> None:
        """Starts at a place in the log that the hub has read to."""
        self._seen = head
        self._thread.start()

    async def stop(self) -> None:
        """Commits what was taken, and takes no more; then ends the thread."""
        self._stopping = True
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    def call(self, actor_token: int | None, run: Callable[[Log], R], admin: bool = False) -> asyncio.Future[R]:
        """Runs a verb in the next transaction, if the token (None: the gateway itself) still lives there, as an admin's if asked.

        Raises StoreDownError when too much waits already. The future raises RefusedError or StoreDownError.
        """
        future: asyncio.Future[R] = self._loop.create_future()
        self._put(Operation(run, actor_token, future, admin))
        return future

    def post(self, draft: Draft) -> SendOperation:
        """The same for a message, batched with all others. The operation tells its times, its future the outcome."""
        operation = SendOperation(draft, self._loop.create_future())
        self._put(operation)
        return operation

    def _put(self, operation: Operation[Any]) -> None:
        if self._stopping or self._queue.qsize() >= QUEUE_OPERATIONS:
            raise StoreDownError
        self._queue.put(operation)

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            started = time.perf_counter()
            try:
                committed = self._commit(batch)
            except Exception as error:  # whatever went wrong, every operation of the batch hears of it
                if not isinstance(error, (peewee.DatabaseError, TransactionLostError)):
                    logger.exception("a batch failed")
                disconnect()  # the next batch gets a fresh connection
                self._wake(self._fail, batch, error)
                continue
            metrics.COMMIT_SECONDS.observe(committed.at - started)
            metrics.COMMIT_BATCH_SIZE.observe(len(batch))
            self._last_batch = len(batch)
            self._wake(self._resolve, committed)
        disconnect()

    def _take(self) -> list[Operation[Any]] | None:
        first = self._queue.get()
        if first is None:
            return None
        if self._last_batch >= GATHER_FROM:
            self._gather()
        batch = [first]
        with contextlib.suppress(Empty):
            while len(batch) < BATCH_OPERATIONS:
                operation = self._queue.get_nowait()
                if operation is None:
                    self._queue.put(None)
                    break
                batch.append(operation)
        return batch

    def _gather(self) -> None:
        """Under load, lets the loop run for as long as it hands over more: each batch costs both threads the GIL some ten times."""
        size, waited_s = self._queue.qsize(), 0.0
        while waited_s < GATHER_MOST_S:
            time.sleep(GATHER_STEP_S)
            waited_s += GATHER_STEP_S
            grown = self._queue.qsize()
            if grown == size or grown >= BATCH_OPERATIONS:
                return
            size = grown

    def _commit(self, batch: list[Operation[Any]]) -> Committed:
        """Sends alone need no savepoint: if they fail together, for whatever reason, the batch is begun anew with one for each."""
        groups = _groups(batch)
        if len(groups) == 1 and isinstance(batch[0], SendOperation):
            with contextlib.suppress(_FailedTogetherError):
                return self._transact(batch, groups, _post_together)
        return self._transact(batch, groups, _run)

    def _transact(
        self, batch: list[Operation[Any]], groups: list[list[Operation[Any]]], run: Callable[[Log, list[Operation[Any]]], None]
    ) -> Committed:
        taken = time.perf_counter()
        with event.transaction(self._memory) as log:
            between = event.read_after(self._seen, GAP_EVENTS) if log.head > self._seen else []
            after = self._seen if len(between) < GAP_EVENTS else log.head
            self._heed(between)
            token.load_actors(log, [operation.token for operation in batch if operation.token is not None])
            for group in groups:
                run(log, group)
        for operation in batch:
            operation.taken = taken
        newest = log.events[-1].id if log.events else log.head
        self._seen = newest
        metrics.LOG_EVENTS_TOTAL.inc(len(log.events))
        return Committed(batch, after, between + log.events if after != log.head else log.events)

    def _heed(self, between: list[Event]) -> None:
        """What others committed since this thread's last transaction may have changed what it remembers."""
        if len(between) >= GAP_EVENTS:
            self._memory.forget()
        for appended in between:
            self._memory.heed(appended.stream, appended.type)
        self._memory.bound()

    def _wake(self, callback: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *args)

    def _resolve(self, committed: Committed) -> None:
        try:
            self._on_commit(committed)
        finally:
            for operation in committed.operations:
                operation.committed = committed.at
                if operation.future.done():
                    continue
                if isinstance(operation.result, RefusedError):
                    operation.future.set_exception(operation.result)
                else:
                    operation.future.set_result(operation.result)

    def _fail(self, batch: Sequence[Operation[Any]], error: Exception) -> None:
        logger.error("the store failed a batch", error=str(error), operations=len(batch))
        for operation in batch:
            if not operation.future.done():
                operation.future.set_exception(StoreDownError(str(error)))


def _groups(batch: Sequence[Operation[Any]]) -> list[list[Operation[Any]]]:
    """The batch in its order, sends that follow one another together."""
    groups: list[list[Operation[Any]]] = []
    for operation in batch:
        if groups and isinstance(operation, SendOperation) and isinstance(groups[-1][0], SendOperation):
            groups[-1].append(operation)
        else:
            groups.append([operation])
    return groups


class _FailedTogetherError(Exception):
    """Sends without savepoints of their own failed: which of them is to blame is not known yet."""


def _post_together(log: Log, group: list[Operation[Any]]) -> None:
    try:
        _post(log, group)
    except (TransactionLostError, peewee.OperationalError):
        raise
    except Exception as error:
        raise _FailedTogetherError from error


def _run(log: Log, group: list[Operation[Any]]) -> None:
    """Runs a group under one savepoint; when a send of several fails for no reason of its own, each is run alone."""
    try:
        with log.savepoint():
            if isinstance(group[0], SendOperation):
                _post(log, group)
            else:
                _call(log, group[0])
    except TransactionLostError:
        raise
    except Exception as error:
        if is_stores_fault(error):
            raise
        if len(group) > 1:
            for operation in group:
                _run(log, [operation])
        elif isinstance(error, RefusedError):
            group[0].result = error
        else:
            logger.exception("an operation failed")
            group[0].result = OperationFailedError(str(error))


class OperationFailedError(RefusedError):
    """A defect of ours: this operation alone was undone, the rest of its batch went on."""

    slug = "internal"


def _call(log: Log, operation: Operation[Any]) -> None:
    assert operation.run is not None
    if operation.token is not None:
        _, role = token.check_actor(log, operation.token)
        if operation.admin and role != "admin":
            raise ForbiddenError("for admins")
    operation.result = operation.run(log)


def _post(log: Log, group: Sequence[Operation[Any]]) -> None:
    """Posts the drafts of those who may speak; the others are refused."""
    drafts: list[Draft] = []
    asking: list[Operation[Any]] = []
    for operation in group:
        assert isinstance(operation, SendOperation)
        try:
            token.check_actor(log, operation.draft.token)
        except RefusedError as refusal:
            operation.result = refusal
        else:
            drafts.append(operation.draft)
            asking.append(operation)
    for operation, result in zip(asking, message.post(log, drafts) if drafts else [], strict=True):
        operation.result = result
