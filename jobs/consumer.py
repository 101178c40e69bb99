"""What a consumer of the log is, and what of a message's event the consumers look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from models.event import Event, Log

EVENTS_A_SLICE = 200


class Written(NamedTuple):
    """What one transaction wrote: rows of all kinds, and how many notifications were made (not grown) among them."""

    rows: int
    notifications: int = 0


class Consumer(ABC):
    """One kind of work that follows from events. Events of a `notification.` type are made by drains and never drained.

    `prepare` reads facts in bulk, outside any transaction, and decides by pure functions; `write` writes one of its parts. All
    but the last part are committed before the checkpoint moves, so a crash may write them twice: only a consumer whose writes
    find out by themselves what is there already may prepare more than one. One part is written exactly once whatever it is.
    """

    name: ClassVar[str]
    types: ClassVar[tuple[str, ...]]
    appends: ClassVar[bool] = False  # whether `write` appends events, which clients see
    notifies: ClassVar[str] = ""  # the type of the notifications it makes
    events_a_slice: ClassVar[int] = EVENTS_A_SLICE
    slices_a_run: ClassVar[int | None] = None  # None: until the log's end
    interval_ms: ClassVar[int] = 0  # from one move of the checkpoint to the next run, whichever process makes it

    @abstractmethod
    def prepare(self, events: Sequence[Event]) -> Iterable[Any]:
        """The parts to write for these events, each in a transaction of its own. May be a generator: it is never advanced
        inside a transaction."""

    @abstractmethod
    def write(self, log: Log, part: Any) -> Written:
        """Writes one part, inside the transaction."""


class Sent(msgspec.Struct, gc=False):
    """What a message's event says besides its text."""

    id: int
    conversation: int
    sender: int
    priority: str
    deleted_at: str | None


sent = msgspec.json.Decoder(Sent).decode
