"""What a consumer of the log is, and what of events the consumers look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from models.log.checkpoint import Part
from models.log.event import Event, Transaction
from models.store.database import engine

EVENTS_PER_SLICE = 200


class Written(NamedTuple):
    """What one transaction wrote: rows of all kinds, and how many notifications were made (not grown) and mails queued among them,
    by (type, channel)."""

    rows: int
    by_channel: Mapping[tuple[str, str], int] = {}


class Consumer(ABC):
    """One kind of work that follows from events. Events of a `notification.` type are made by drains and never drained.

    `prepare` reads facts in bulk, outside any transaction, and decides by pure functions; `write` writes one of its parts. All
    but the last part are committed before the checkpoint moves, so a crash may write them twice: only a consumer whose writes
    find out by themselves what is there already may prepare more than one. One part is written exactly once whatever it is.
    """

    name: ClassVar[str]
    types: ClassVar[tuple[str, ...]]
    appends_events: ClassVar[bool] = False  # whether `write` appends events, which clients see
    resumable: ClassVar[bool] = False  # whether it may stop between two parts: what is written says itself where to go on
    partitioned: ClassVar[bool] = True  # whether events of different streams may be done by different workers at once
    events_per_slice: ClassVar[int] = EVENTS_PER_SLICE
    max_slices_per_run: ClassVar[int | None] = None  # None: until the log's end
    min_interval_ms: ClassVar[int] = 0  # from one move of the checkpoint to the next run, whichever process makes it

    def parts(self) -> list[Part]:
        """What its work is divided into, each with a checkpoint of its own: as many as the store lets write at once."""
        of = engine().parts_per_consumer if self.partitioned else 1
        return [Part(self.name, number, of) for number in range(of)]

    def log_fields(self, event: Event) -> Mapping[str, int]:
        """Ids, besides the event's own, by which its trouble is found in the log."""
        return {}

    @abstractmethod
    def prepare(self, events: Sequence[Event]) -> Iterable[Any]:
        """The parts to write for these events, each in a transaction of its own. May be a generator: it is never advanced
        inside a transaction."""

    @abstractmethod
    def write(self, tx: Transaction, part: Any) -> Written:
        """Writes one part, inside the transaction."""
