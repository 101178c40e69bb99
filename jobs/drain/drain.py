"""The drain: how every consumer reads on from its checkpoint, and how each event is done exactly once whatever crashes.

What a slice of events leads to is prepared outside any transaction, then written in one that first moves the checkpoint from
where it was read. If it isn't there any more, another drain was faster, and nothing is written.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import structlog

from jobs.drain.consumer import Consumer
from jobs.drain.pacing import transaction
from jobs.drain.stats import DrainStats
from metrics.declared import DEAD_EVENTS_TOTAL, LOG_LAG_SECONDS
from models.log import checkpoint, event
from models.log.checkpoint import CheckpointMovedError, Part, Positions
from models.log.event import Event, Transaction, TransactionLostError
from models.ops import dead_letters
from models.store.clock import now_ms
from models.store.database import is_store_error

TRIES = 3  # of an event by itself, before it is parked
MAX_SKIPPED_EVENTS = 200  # that nobody wants are passed over in memory; after so many the checkpoint follows
RETRIES_A_RUN = 50

logger = structlog.get_logger("jobs")

Stop = Callable[[], bool]
Right = Callable[[Transaction, bool], None]  # takes the right to write inside the transaction; True in the last one of a slice
_END = object()


class _StoppedError(Exception):
    """Between two parts of a consumer that `resumable`."""


class DrainResult(NamedTuple):
    """What one run did. `more`: it was stopped before the end; `lost`: another drain was faster; `mails`: so many were queued."""

    events: int
    rows: int
    has_more: bool
    overtaken: bool
    mails: int = 0


def never() -> bool:
    """A `stop` for runs that go on to the end."""
    return False


def drain(consumer: Consumer, stop: Stop = never, events_per_slice: int | None = None, *, pause: bool = True) -> DrainResult:
    """Does what the consumer has not done yet, until the log's end or until `stop()`.

    Raises what the store's own faults raise (locked, full, I/O): nothing of the slice was written then, and a later run does it;
    no event is to blame. `events_per_slice` and `pause` are for measurements.
    """
    run = _Run(consumer, stop, events_per_slice or consumer.events_per_slice, pause=pause)
    try:
        return run.result()
    finally:
        run.done.end()


class _Run:
    """One run of one drain."""

    def __init__(self, consumer: Consumer, stop: Stop, size: int, *, pause: bool) -> None:
        self.done = DrainStats(consumer.name)
        self._consumer = consumer
        self._parts = consumer.parts()
        self._overtaken = False
        self._stop = stop
        self._size = size
        self._pause = pause

    def result(self) -> DrainResult:
        self._retry_parked()
        more = True
        try:
            more = self._read_on()
        except (CheckpointMovedError, _StoppedError) as end:
            self._overtaken = isinstance(end, CheckpointMovedError)  # another worker is at it
        return DrainResult(self.done.events, self.done.rows, more, self._overtaken, self.done.mails)

    def _places(self, parts: Sequence[Part]) -> Positions:
        """Where they stand; those that are new stand at the log's beginning from now on."""
        found = checkpoint.positions(parts)
        if len(found) < len(parts):
            with transaction(appends=False) as tx:
                checkpoint.ensure(tx, parts)
            found = checkpoint.positions(parts)
        return found

    def _read_on(self) -> bool:
        """Tells whether more is left: it was to stop before the end."""
        done = 0
        while not self._stop():
            if done == self._consumer.max_slices_per_run:
                return True
            if not self._together():
                return False
            done += 1
            if len(self._parts) > 1:
                self._share()
        return True

    def _together(self) -> bool:
        """A slice of all parts. When another worker was faster with it and there are several, each worker goes on with some of
        them."""
        try:
            return self._next_slice(self._parts)
        except CheckpointMovedError:
            if len(self._parts) == 1:
                raise
            self._overtaken = True
            return True

    def _share(self) -> None:
        """There is more than a slice of all parts: each by itself, in an order of its own, so that workers seldom meet at one."""
        for part in random.sample(self._parts, len(self._parts)):
            try:
                while not self._stop() and self._next_slice([part]):
                    pass
            except CheckpointMovedError:
                self._overtaken = True

    def _next_slice(self, parts: Sequence[Part]) -> bool:
        """Does the next slice after the checkpoints of these parts together; False when that was the last."""
        old = self._places(parts)
        newest = event.head()  # read first: what is appended meanwhile must not be passed over
        events, reached = checkpoint.read_unread(old, newest, self._consumer.types, self._size)
        if events:
            self._do(old, reached, events)
        elif reached < newest or newest - min(old.values()) >= MAX_SKIPPED_EVENTS:
            self._write([], partial(self._move, old, reached))
        lag_ms = now_ms() - events[-1].at_ms if events and reached < newest else 0
        LOG_LAG_SECONDS.labels(self._consumer.name).set(max(0, lag_ms) / 1000)
        return reached < newest

    def _do(self, old: Positions, new: int, events: Sequence[Event]) -> None:
        """Does these events, all there are up to `new`. When they fail, halves of them, down to the one that is to blame."""
        error = None
        for _ in range(TRIES if len(events) == 1 else 1):
            error = self._failure(events, partial(self._move, old, new))
            if error is None:
                self.done.events += len(events)
                return
        if len(events) == 1:
            self._park(old, new, events[0], error)
            return
        middle = len(events) // 2
        place = events[middle - 1].id
        self._do(old, place, events[:middle])
        self._do(checkpoint.advanced(old, place), new, events[middle:])

    def _failure(self, events: Sequence[Event], right: Right) -> Exception | None:
        """Prepares and writes; returns the error that these events are to blame for."""
        self.done.begin(events)
        try:
            self._write(self._consumer.prepare(events), right)
        except (CheckpointMovedError, TransactionLostError, _StoppedError):
            raise
        except Exception as error:
            if is_store_error(error):
                raise
            return error
        return None

    def _write(self, parts: Iterable[Any], right: Right) -> None:
        """Writes each part in a transaction, or just moves on if there is none. A part is prepared before one begins."""
        remaining = iter(parts)
        part = next(remaining, _END)
        following = None
        while following is not _END:
            if self._consumer.resumable and self._stop():
                raise _StoppedError
            following = next(remaining, _END) if part is not _END else _END
            with transaction(appends=self._consumer.appends_events and part is not _END, pause=self._pause) as tx:
                right(tx, following is _END)
                written = self._consumer.write(tx, part) if part is not _END else None
            if written is not None:
                self.done.count(tx, written)
            part = following

    def _move(self, old: Positions, new: int, tx: Transaction, last: bool) -> None:
        if last:
            checkpoint.advance(tx, old, new)
        else:
            checkpoint.require_unmoved(tx, old)

    def _park(self, old: Positions, new: int, event: Event, error: Exception | None) -> None:
        with transaction(appends=False) as tx:
            checkpoint.advance(tx, old, new)
            dead_letters.park(tx, self._consumer.name, event.id, _told(error))
        DEAD_EVENTS_TOTAL.labels(self._consumer.name).inc()
        self.done.events += 1
        self._tell("an event is parked", event, error)

    def _retry_parked(self) -> None:
        for dead, parked in dead_letters.letters_to_retry(self._consumer.name, RETRIES_A_RUN):
            if self._stop():
                return
            self._retry(dead, checkpoint.read_one(parked, self._consumer.types))

    def _retry(self, dead: int, events: Sequence[Event]) -> None:
        """Does a parked event again, when it still is kept."""
        try:
            error = self._failure(events, partial(_revive, dead))
        except (CheckpointMovedError, _StoppedError):  # another drain has done it, or a later one will
            return
        if error is None:
            self.done.events += 1
            return
        with transaction(appends=False) as tx:
            dead_letters.park_again(tx, dead, _told(error))
        self._tell("a parked event failed again", events[0], error, dead=dead)

    def _tell(self, what: str, event: Event, error: Exception | None, **ids: int) -> None:
        ids.update(self._consumer.log_fields(event))
        logger.error(what, consumer=self._consumer.name, event_id=event.id, type=event.type, **ids, exc_info=error)


def _revive(dead: int, tx: Transaction, last: bool) -> None:
    if last:
        dead_letters.remove_retried(tx, dead)
    else:
        dead_letters.require_retry(tx, dead)


def _told(error: Exception | None) -> str:
    return f"{type(error).__name__}: {error}"
