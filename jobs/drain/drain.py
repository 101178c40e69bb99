"""The drain: how a consumer reads the log from its checkpoint, and processes each event exactly once even if a process crashes.

A run repeats these steps until the log's end:

1. Read the checkpoint, and the next slice of events after it.
2. Prepare what the events lead to, outside any transaction (`Consumer.prepare`).
3. Begin a transaction and move the checkpoint on from where it was read. When it is no longer there, another drain has processed
   the slice, and nothing is written.
4. Write in the same transaction (`Consumer.write`).

A slice that fails is halved until the event that fails is found. That event is parked as a dead letter, and the others go on.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
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

TRIES_PER_EVENT = 3  # before it is parked
MAX_SKIPPED_EVENTS = 200  # of other types: the checkpoint moves past them only after so many, to save transactions
MAX_RETRIES_PER_RUN = 50

logger = structlog.get_logger("jobs")

Stop = Callable[[], bool]


class _StoppedError(Exception):
    """A resumable consumer was stopped between two batches."""


class DrainResult(NamedTuple):
    """The result of one run: events processed or parked, rows written, mails queued, and whether there may be new pictures.

    `has_more`: the run ended before the log's end. `overtaken`: another drain processed some of its events first.
    """

    events: int
    rows: int
    has_more: bool
    overtaken: bool
    mails: int = 0
    pictures: bool = False


def never() -> bool:
    """A `stop` for runs that go on to the log's end."""
    return False


def drain(consumer: Consumer, stop: Stop = never, events_per_slice: int | None = None, *, pause: bool = True) -> DrainResult:
    """Process the events after the consumer's checkpoint, until the log's end or until `stop()`.

    Raises the store's own errors (locked, full, I/O): no event is to blame then, nothing of the slice was written, and a later run
    processes it. Benchmarks set `events_per_slice` and `pause`.
    """
    run = _Run(consumer, stop, events_per_slice or consumer.events_per_slice, pause=pause)
    try:
        return run.run()
    finally:
        run.stats.end()


class _SliceClaim(NamedTuple):
    """The right to write what follows from the events after `old`, up to the event id `new`.

    Both methods raise CheckpointMovedError when a checkpoint is no longer at `old`.
    """

    old: Positions
    new: int

    def check(self, tx: Transaction) -> None:
        """Called in every transaction of the slice but the last."""
        checkpoint.require_unmoved(tx, self.old)

    def complete(self, tx: Transaction) -> None:
        """Called in the last transaction of the slice: moves the checkpoints."""
        checkpoint.advance(tx, self.old, self.new)


class _RetryClaim(NamedTuple):
    """The right to write what follows from a parked event.

    Both methods raise CheckpointMovedError when another drain has retried it already.
    """

    dead: int

    def check(self, tx: Transaction) -> None:
        dead_letters.require_retry(tx, self.dead)

    def complete(self, tx: Transaction) -> None:
        dead_letters.remove_retried(tx, self.dead)


class _PostponedClaim:
    """The right to write what follows from an event that was left for a later time: `Consumer.write` checks it."""

    def check(self, tx: Transaction) -> None:
        pass

    def complete(self, tx: Transaction) -> None:
        pass


_Claim = _SliceClaim | _RetryClaim | _PostponedClaim


class _Run:
    """One run of the drain of one consumer."""

    def __init__(self, consumer: Consumer, stop: Stop, events_per_slice: int, *, pause: bool) -> None:
        self.stats = DrainStats(consumer.name)
        self._consumer = consumer
        self._parts = consumer.parts()
        self._known: dict[Part, int] = {}  # positions, as they were read or as this run has moved them
        self._head = 0  # newest event id when the latest slice of all parts began
        self._overtaken = False
        self._stop = stop
        self._events_per_slice = events_per_slice
        self._pause = pause

    def run(self) -> DrainResult:
        self._retry_parked()
        has_more = True
        try:
            self._process_postponed()
            has_more = self._drain_log()
        except CheckpointMovedError:
            self._overtaken = True
        except _StoppedError:
            pass
        return DrainResult(self.stats.events, self.stats.rows, has_more, self._overtaken, self.stats.mails, self.stats.pictures)

    # Reading: which slice is next

    def _drain_log(self) -> bool:
        """Process slices until the log's end; returns whether events are left.

        All parts share the slices until another worker has processed one first: from then on each worker drains part by part.
        """
        for slices in itertools.count():
            if self._stop() or slices == self._consumer.max_slices_per_run:
                return True
            self._head = event.head()  # before the events: checkpoints must not pass over what is appended meanwhile
            try:
                if not self._drain_slice(self._parts):
                    return False
            except CheckpointMovedError:
                if len(self._parts) == 1:
                    raise
                self._overtaken = True
                self._drain_parts()
        return True

    def _drain_parts(self) -> None:
        """Drain one part after the other, in random order, so that workers seldom meet at the same part."""
        for part in random.sample(self._parts, len(self._parts)):
            try:
                while not self._stop() and self._drain_slice([part]):
                    pass
            except CheckpointMovedError:
                self._overtaken = True

    def _drain_slice(self, parts: Sequence[Part]) -> bool:
        """Process the next slice of events of these parts; returns whether events are left."""
        old, newest = self._positions(parts), self._head
        events, reached = checkpoint.read_unread(old, newest, self._consumer.types, self._events_per_slice)
        moves = events or reached < newest or newest - min(old.values()) >= MAX_SKIPPED_EVENTS
        if events:
            self._process(events, _SliceClaim(old, reached))
        elif moves:
            self._complete(_SliceClaim(old, reached))
        self._known |= checkpoint.advanced(old, reached) if moves else old
        lag_ms = now_ms() - events[-1].at_ms if events and reached < newest else 0
        LOG_LAG_SECONDS.labels(self._consumer.name).set(max(0, lag_ms) / 1000)
        return reached < newest

    def _positions(self, parts: Sequence[Part]) -> Positions:
        """The positions of these parts: where this run has moved them, else as read. When the slice fails they are read again."""
        if not self._known.keys() >= set(parts):
            self._known |= self._read_positions(parts)
        return {part: self._known.pop(part) for part in parts}

    def _read_positions(self, parts: Sequence[Part]) -> Positions:
        """Read the checkpoints of these parts; those that are missing are created at the log's beginning."""
        positions = checkpoint.positions(parts)
        if len(positions) < len(parts):
            with transaction(appends=False) as tx:
                checkpoint.ensure(tx, parts)
            positions = checkpoint.positions(parts)
        return positions

    # Processing: a slice, or the event in it that fails

    def _process_postponed(self) -> None:
        for postponed in self._consumer.postponed():
            if self._stop():
                raise _StoppedError
            with suppress(CheckpointMovedError):  # another drain does it
                self._process_one(postponed, _PostponedClaim())

    def _process(self, events: Sequence[Event], claim: _SliceClaim) -> None:
        """Process these events, which are all up to `claim.new`. When they fail, process each half, down to single events."""
        if len(events) == 1:
            self._process_one(events[0], claim)
        elif self._try(events, claim) is None:
            self.stats.events += len(events)
        else:
            middle = len(events) // 2
            between = events[middle - 1].id
            self._process(events[:middle], _SliceClaim(claim.old, between))
            self._process(events[middle:], _SliceClaim(checkpoint.advanced(claim.old, between), claim.new))

    def _process_one(self, single: Event, claim: _Claim) -> None:
        error: Exception | None = None
        for _ in range(TRIES_PER_EVENT):
            error = self._try([single], claim)
            if error is None:
                self.stats.events += 1
                return
        self._park(single, claim, error)

    def _try(self, events: Sequence[Event], claim: _Claim) -> Exception | None:
        """Prepare and write; returns the error if these events are to blame for it, and raises all others."""
        self.stats.begin(events)
        try:
            self._write(self._consumer.prepare(events), claim)
        except (CheckpointMovedError, TransactionLostError, _StoppedError):
            raise
        except Exception as error:
            if is_store_error(error):
                raise
            return error
        return None

    def _write(self, batches: Iterable[Any], claim: _Claim) -> None:
        """Write each batch in a transaction of its own. The next batch is prepared before that transaction begins."""
        remaining = iter(batches)
        batch = next(remaining, None)
        if batch is None:
            self._complete(claim)
        while batch is not None:
            following = next(remaining, None)
            if self._consumer.resumable and self._stop():
                raise _StoppedError
            self._write_batch(batch, claim, is_last=following is None)
            batch = following

    def _write_batch(self, batch: Any, claim: _Claim, *, is_last: bool) -> None:
        with transaction(appends=self._consumer.appends_events, pause=self._pause) as tx:
            if is_last:
                claim.complete(tx)
            else:
                claim.check(tx)
            written = self._consumer.write(tx, batch)
        self.stats.count(tx, written)

    def _complete(self, claim: _Claim) -> None:
        """Move the checkpoint past events that lead to nothing."""
        with transaction(appends=False, pause=self._pause) as tx:
            claim.complete(tx)

    # Dead letters: events that failed

    def _park(self, failed: Event, claim: _Claim, error: Exception | None) -> None:
        with transaction(appends=False) as tx:
            claim.complete(tx)
            dead_letters.park(tx, self._consumer.name, failed.id, error_text(error))
        DEAD_EVENTS_TOTAL.labels(self._consumer.name).inc()
        self.stats.events += 1
        self._log_failure("event_parked", failed, error)

    def _retry_parked(self) -> None:
        """Process the parked events that an admin has requested to retry."""
        for dead, parked in dead_letters.letters_to_retry(self._consumer.name, MAX_RETRIES_PER_RUN):
            if self._stop():
                return
            self._retry(dead, checkpoint.read_one(parked, self._consumer.types))

    def _retry(self, dead: int, events: Sequence[Event]) -> None:
        """Process a parked event once. `events` is empty when it is no longer kept."""
        try:
            error = self._try(events, _RetryClaim(dead))
        except (CheckpointMovedError, _StoppedError):  # another drain has processed it, or a later run will
            return
        if error is None:
            self.stats.events += 1
            return
        with transaction(appends=False) as tx:
            dead_letters.park_again(tx, dead, error_text(error))
        self._log_failure("parked_event_failed", events[0], error, dead=dead)

    def _log_failure(self, key: str, failed: Event, error: Exception | None, **ids: int) -> None:
        ids.update(self._consumer.log_fields(failed))
        logger.error(key, consumer=self._consumer.name, event_id=failed.id, type=failed.type, **ids, exc_info=error)


def error_text(error: Exception | None) -> str:
    """Return the text that a dead letter keeps of an error."""
    return f"{type(error).__name__}: {error}"
