"""Consumer: the base class of everything that reads the log in the background."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from models.log.checkpoint import Part
from models.log.event import Event, Transaction
from models.store.database import engine

EVENTS_PER_SLICE = 200


class Written(NamedTuple):
    """The rows that one transaction wrote.

    `by_channel` counts new notifications and queued mails among them, by (notification type, "in_app" or "email"). Notifications
    whose count grew are not new.
    """

    rows: int
    by_channel: Mapping[tuple[str, str], int] = {}


class Consumer(ABC):
    """One kind of work that follows from events. To add one, subclass it in jobs/consumers/ and list it in `jobs.tasks.bind`.

    `prepare` reads what it needs, outside any transaction, and returns batches; `write` writes one batch in a transaction. All
    batches but the last are committed before the checkpoint moves, so after a crash they are written again. A consumer may
    therefore return several batches only if `write` finds out what is written already. A single batch is written exactly once.

    Drains append events of the types `notification.…`; no consumer may read these.
    """

    name: ClassVar[str]  # stored with the checkpoints and in the queue: never change it
    types: ClassVar[tuple[str, ...]]  # of the events to read
    appends_events: ClassVar[bool] = False  # whether `write` appends events
    resumable: ClassVar[bool] = False  # whether a run may stop between two batches: the stored state says where to go on
    partitioned: ClassVar[bool] = True  # whether several workers may process events of different streams at the same time
    events_per_slice: ClassVar[int] = EVENTS_PER_SLICE
    max_slices_per_run: ClassVar[int | None] = None  # None: until the log's end
    min_interval_ms: ClassVar[int] = 0  # from a move of the checkpoint to the next run, in all processes

    def parts(self) -> list[Part]:
        """Return the parts of its work, each with a checkpoint: as many as the store lets write at the same time."""
        count = engine().parts_per_consumer if self.partitioned else 1
        return [Part(self.name, number, count) for number in range(count)]

    def log_fields(self, event: Event) -> Mapping[str, int]:
        """Return ids to log when this event fails, besides the event's own."""
        return {}

    def postponed(self) -> Sequence[Event]:
        """Return events that were left for a later time, which has come. `write` finds out what was done by another worker."""
        return ()

    @abstractmethod
    def prepare(self, events: Sequence[Event]) -> Iterable[Any]:
        """Return the batches to write for these events, each in a transaction of its own. None is not a batch.

        It may be a generator: it is never advanced inside a transaction.
        """

    @abstractmethod
    def write(self, tx: Transaction, batch: Any) -> Written:
        """Write one batch, inside the transaction."""


class JobConsumer(Consumer):
    """Work that one event requests and many transactions do: a job, whose row says how far it is done."""

    appends_events: ClassVar[bool] = True
    partitioned: ClassVar[bool] = False
    events_per_slice: ClassVar[int] = 1
    resumable: ClassVar[bool] = True

    @abstractmethod
    def job_of(self, event: Event) -> int:
        """Return the id of the job that an event requests. Raises msgspec.MsgspecError."""

    def log_fields(self, event: Event) -> Mapping[str, int]:
        with contextlib.suppress(msgspec.MsgspecError):
            return {"job": self.job_of(event)}
        return {}
