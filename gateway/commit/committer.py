"""The committer: one thread that commits the operations of all handlers, many in one transaction.

It collects the waiting operations, up to a bound and of each caller a few, checks their tokens and runs them
(gateway/commit/batch.py) in one transaction, commits once with full durability, and wakes the loop once. Under load this divides
the cost of an fsync by the size of the batch; for a single operation it adds no delay.

Crash points. Before COMMIT returns: nothing is stored and no request was answered; a retry with the same `client_id` is safe
(promise 4). After COMMIT and before the answer: the operation is stored (promise 1), and the retry returns it. If COMMIT itself
fails, its outcome is unknown: all operations of the batch fail with 503, and none of them is run again here.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import peewee
import structlog

from gateway.commit.batch import (
    MAX_BATCH_OPERATIONS,
    FailedTogetherError,
    Operation,
    SendOperation,
    groups_of,
    log_failures,
    post_together,
    run_group,
    share_out,
)
from jobs.infra.outage import Outage
from metrics import declared as metrics
from models.chat.drafts import Draft
from models.identity import token
from models.log import event
from models.log.event import Event, Transaction, TransactionCache, TransactionLostError
from models.records.audit import AdminCall
from models.store import facts
from models.store.database import disconnect, engine
from models.store.errors import RefusedError, StoreDownError

logger = structlog.get_logger()

MAX_TRANSACTION_S = 0.05  # after which a transaction begins no further operation: drains and other gateways wait for the lock too
SLOW_OPERATION_S = 0.05  # such an operation is logged with its verb: other sends wait as long
MAX_GATHER_S = 0.003  # how long the first operation of a batch may wait for further ones
QUIET_ROUNDS = 3  # rounds of the loop without a new operation that complete a batch; a request needs several to become one
MAX_QUEUED_OPERATIONS = 5_000  # about a second of work: beyond it, clients are refused and retry later
MAX_WAIT_S = 5.0  # an operation that has waited longer means that commits do not succeed
PROBE_AFTER_S = 5.0  # without a commit that wrote, a probe shows whether commits succeed
RECOVERED_AFTER_S = 1.0  # on a full disk a small commit succeeds now and then
LATELY_S = 0.2  # others that send will do so again: crowds and busy callers leave them room
RECONNECT_S = 0.05  # between two checks for a store that is down; the store's own back-off makes attempts rarer
MAX_FOREIGN_EVENTS = 1_000  # of other processes that are read with a commit; more are read by the tail, in slices
R = TypeVar("R")


class CommittedBatch:
    """A batch that is on disk. `events` are those of other processes since this one's last transaction, then those it appended."""

    __slots__ = ("after", "appended", "at", "events", "operations")

    def __init__(self, operations: Sequence[Operation[Any]], after: int, events: list[Event], appended: int) -> None:
        self.operations = operations
        self.appended = appended  # how many of the events are this batch's own
        self.after = after  # the events follow this id without a gap
        self.events = events
        self.at = time.perf_counter()


class Committer:
    """Hands operations to its thread, and batches that are on disk to `on_commit`, on the loop."""

    def __init__(self, on_commit: Callable[[CommittedBatch], None], max_transaction_s: float = MAX_TRANSACTION_S) -> None:
        self._on_commit = on_commit
        self._max_transaction_s = max_transaction_s
        self._queue: SimpleQueue[list[Operation[Any]] | None] = SimpleQueue()
        self._pending: list[Operation[Any]] = []  # not handed to the thread yet
        self._left: list[Operation[Any]] = []  # handed to the thread, and left for its next transaction
        self._unanswered: dict[Operation[Any], None] = {}  # the oldest first
        self._submitted_at = self._posted_at = -math.inf  # time.perf_counter() of the newest operation, and of the newest send
        self._loop = asyncio.get_running_loop()
        self._cache = TransactionCache()
        self._slow: list[tuple[str, float]] = []  # verbs and their seconds, to be logged after the transaction
        self._stopping = False
        self.down = False  # the store can't be reached
        self._outage = Outage("committer", "requests that write are refused")
        self._wrote_at = self._failed_at = -math.inf  # time.monotonic() of the newest commit that wrote and of the newest failure
        self._ended = asyncio.Event()
        self.head = 0  # newest event id that this thread has passed to the loop, or is about to
        self._thread = threading.Thread(target=self._work, name="committer", daemon=True)
        metrics.COMMIT_QUEUE.set_function(lambda: len(self._unanswered))

    def start(self, head: int) -> None:
        """Start the thread. `head` is the newest event id that the hub has read."""
        self.head = head
        self._thread.start()

    async def stop(self) -> None:
        """Refuse new operations, commit those that wait, and end the thread."""
        self._stopping = True
        self._queue.put(self._pending)
        self._queue.put(None)
        self._pending = []
        await self._ended.wait()

    def fail_unanswered(self) -> None:
        """Fail the operations that still wait when the time to stop is over. Whether they were committed is not known."""
        self._fail(list(self._unanswered), TimeoutError("the gateway stops"))

    def call(self, actor_token: int | None, run: Callable[[Transaction], R], *, admin: bool = False) -> asyncio.Future[R]:
        """Run a function in the next transaction, if the token (None: the gateway itself) is still valid there.

        With `admin`, the token must be an admin's. Raises StoreDownError when too many operations wait already. The future raises
        RefusedError or StoreDownError.
        """
        return self.submit(run, actor_token, admin=admin).future

    def submit(
        self, run: Callable[[Transaction], R], actor_token: int | None = None, *, admin: bool = False, acting_for: int | None = None
    ) -> Operation[R]:
        """Like `call`, but return the operation, which has its times besides the future. `acting_for`: the user as whom an admin
        does it."""
        operation = Operation(run, actor_token, self._loop.create_future(), admin=admin, acting_for=acting_for)
        self._enqueue(operation)
        return operation

    def post(self, draft: Draft, acting: AdminCall | None = None) -> SendOperation:
        """Like `submit`, for a message, which is posted together with the other messages of its batch. `acting`: the call of an
        admin who does it as the sender."""
        operation = SendOperation(draft, self._loop.create_future(), acting)
        self._enqueue(operation)
        self._posted_at = operation.submitted
        return operation

    async def probe(self) -> None:
        """Write a row that is no event, unless something was written within PROBE_AFTER_S. Raises StoreDownError."""
        if self.failing or time.monotonic() - self._wrote_at > PROBE_AFTER_S:
            await self.call(None, lambda tx: facts.write_probe(tx.now_ms))
            self._wrote_at = time.monotonic()

    def was_busy_lately(self) -> bool:
        """Whether an operation waits for its commit, or arrived within LATELY_S."""
        return bool(self._unanswered) or time.perf_counter() - self._submitted_at < LATELY_S

    def has_posted_lately(self) -> bool:
        """Whether a message was sent within LATELY_S."""
        return time.perf_counter() - self._posted_at < LATELY_S

    @property
    def failing(self) -> bool:
        """Whether commits do not succeed: the newest one failed, or one failed a moment ago, or an operation waits for too long."""
        oldest = next(iter(self._unanswered), None)
        overdue = oldest is not None and time.perf_counter() - oldest.submitted > MAX_WAIT_S
        failed_recently = time.monotonic() - self._failed_at < RECOVERED_AFTER_S
        return overdue or failed_recently or self._failed_at > self._wrote_at or not self._thread.is_alive()

    def _enqueue(self, operation: Operation[Any]) -> None:
        if self._stopping or self.down or len(self._unanswered) >= MAX_QUEUED_OPERATIONS:
            raise StoreDownError
        self._unanswered[operation] = None
        self._submitted_at = operation.submitted
        self._pending.append(operation)
        if len(self._pending) == 1:
            self._loop.call_soon(self._hand_over, 1, 0, operation.submitted)

    def _hand_over(self, before: int, quiet_rounds: int, since: float) -> None:
        """Hand the pending operations to the thread: a single one in the next round of the loop, several when no more arrive.

        Each batch makes the two threads exchange the GIL some ten times, so under load fewer and larger batches are faster for all
        requests. Even a single operation waits for the next round, so that the thread does not compete with this one for the GIL.
        """
        size = len(self._pending)
        quiet_rounds = quiet_rounds + 1 if size == before else 0
        if 1 < size < MAX_BATCH_OPERATIONS and quiet_rounds < QUIET_ROUNDS and time.perf_counter() - since < MAX_GATHER_S:
            self._loop.call_soon(self._hand_over, size, quiet_rounds, since)
        elif size:
            self._queue.put(self._pending)
            self._pending = []

    def _work(self) -> None:
        """Commit batches until the committer is stopped. No error ends the thread: it would be the end of all sends."""
        while True:
            try:
                self._commit_until_stopped()
                break
            except Exception as error:
                logger.exception("committer_failed_unexpectedly")
                self._call_on_loop(self._fail_all, error)
                time.sleep(RECONNECT_S)
        disconnect()
        self._call_on_loop(self._ended.set)

    def _commit_until_stopped(self) -> None:
        connected = self._reconnect()
        while connected and (batch := self._next_batch()) is not None:
            started = time.perf_counter()
            try:
                committed = self._commit(batch)
            except Exception as error:  # of any kind: every operation of the batch must fail with it
                if not isinstance(error, (peewee.PeeweeException, TransactionLostError)):
                    logger.exception("batch_failed_unexpectedly")
                self._call_on_loop(self._fail, batch, error)
                connected = self._reconnect()
                continue
            self._call_on_loop(self._resolve, committed)
            self._record(committed, committed.at - started)  # while the loop's thread is waking up

    def _record(self, committed: CommittedBatch, seconds: float) -> None:
        """Log and measure a batch that is on disk, so an error here concerns none of its operations."""
        try:
            log_failures(committed.operations)
            while self._slow:
                verb, operation_s = self._slow.pop()
                logger.warning("slow_operation", verb=verb, seconds=round(operation_s, 3))
            metrics.COMMIT_SECONDS.observe(seconds)
            metrics.COMMIT_BATCH_SIZE.observe(len(committed.operations))
            metrics.LOG_EVENTS_TOTAL.inc(committed.appended)
        except Exception:
            logger.exception("batch_not_recorded")

    def _reconnect(self) -> bool:
        """Open a fresh connection. Until there is one, fail waiting operations at once. Returns False if the committer was
        stopped.
        """
        disconnect()
        while True:
            try:
                engine().configure_committer_connection()
            except Exception as error:  # of any kind: the next attempt may succeed
                self.down = True
                disconnect()
                with contextlib.suppress(Empty):
                    if (batch := self._next_batch(RECONNECT_S)) is None:
                        return False
                    self._call_on_loop(self._fail, batch, error)
            else:
                self.down = False
                return True

    def _next_batch(self, timeout_s: float | None = None) -> list[Operation[Any]] | None:
        """Wait for operations and return the next ones, up to the bound; None when the committer was stopped.

        Raises Empty when none arrives in time.
        """
        waiting = self._left or self._queue.get(timeout=timeout_s)
        if waiting is None:
            return None
        with contextlib.suppress(Empty):
            while (more := self._queue.get_nowait()) is not None:
                waiting += more
            self._queue.put(None)
        batch, self._left = share_out(waiting)
        return batch

    def _commit(self, batch: list[Operation[Any]]) -> CommittedBatch:
        """Commit a batch. A batch of sends runs without savepoints first; if one fails, it is begun again with a savepoint for
        each.
        """
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
    ) -> CommittedBatch:
        """Run groups in one transaction. Those that don't begin within its time are left for the next one."""
        started, count = time.perf_counter(), 0
        with event.transaction(self._cache) as tx:
            foreign = self._read_foreign_events(tx.head)
            after = self.head if foreign is not None else tx.head
            self._update_cache(foreign)
            token.load_actors(tx, [operation.token for operation in batch if operation.token is not None])
            began = time.perf_counter()
            for group in groups:
                if began - started > self._max_transaction_s and count:
                    break
                run(tx, group)
                count += len(group)
                ended = time.perf_counter()
                self._measure_group(group, ended - began)
                began = ended
        batch, self._left = batch[:count], batch[count:] + self._left
        for operation in batch:
            operation.started = started
        self.head = tx.events[-1].id if tx.events else tx.head
        events = [*(foreign or ()), *tx.events]
        return CommittedBatch(batch, after, events, len(tx.events))

    def _measure_group(self, group: list[Operation[Any]], seconds: float) -> None:
        metrics.OPERATION_SECONDS.observe(seconds)
        if seconds > SLOW_OPERATION_S:
            self._slow.append((group[0].verb, seconds))

    def _read_foreign_events(self, head: int) -> list[Event] | None:
        """The events of other processes since this thread's last transaction; None if there are too many, or some were trimmed."""
        if head == self.head:
            return []
        events = event.read_after(self.head, MAX_FOREIGN_EVENTS)
        if len(events) == MAX_FOREIGN_EVENTS or (len(events) < head - self.head and facts.trimmed() > self.head):
            return None
        return events

    def _update_cache(self, foreign: list[Event] | None) -> None:
        """Drop what other processes' events made stale."""
        if foreign is None:
            self._cache.clear()
        for appended in foreign or ():
            self._cache.apply(appended.stream, appended.type)
        self._cache.limit_size()

    def _call_on_loop(self, callback: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: no request waits any more
            self._loop.call_soon_threadsafe(callback, *args)

    def _resolve(self, committed: CommittedBatch) -> None:
        """Pass the events on and answer. An error of the receiver does not make a batch that is on disk look failed."""
        if committed.appended:
            self._wrote_at = time.monotonic()
        try:
            self._on_commit(committed)
        except Exception:
            logger.exception("commit_listener_failed")
        for operation in committed.operations:
            self._unanswered.pop(operation, None)
            operation.committed = committed.at
            future, result = operation.future, operation.result
            resolve = future.set_exception if isinstance(result, RefusedError) else future.set_result
            if not future.done():
                resolve(result)
        self._outage.record_success()

    def _fail_all(self, error: Exception) -> None:
        self._fail(list(self._unanswered), error)

    def _fail(self, batch: Sequence[Operation[Any]], error: Exception) -> None:
        self._failed_at = time.monotonic()
        self._outage.record_failure(error, operations=len(batch))
        for operation in batch:
            self._unanswered.pop(operation, None)
            if not operation.future.done():
                operation.future.set_exception(StoreDownError(str(error)))
