"""The consumer `imported_search`: the full-text index of imported messages.

It is not the consumer `search`, since what people write now must not wait for a million old messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import msgspec

from jobs.drain.consumer import Consumer, Written
from models.chat import search
from models.chat.search import Entry
from models.history import messages
from models.log.event import Event, Transaction
from models.store.database import chunks

MESSAGES_PER_READ = 50


class ImportedPayload(msgspec.Struct, gc=False):
    """The data of `history.imported`: the messages from `first` to `last` that are in the conversation."""

    conversation: int
    first: int
    last: int


decode_imported = msgspec.json.Decoder(ImportedPayload).decode


class ImportedSearchConsumer(Consumer):
    """Indexes the messages of an event, with their text as it is now. Indexing one again changes nothing."""

    name: ClassVar[str] = "imported_search"
    types: ClassVar[tuple[str, ...]] = (messages.IMPORTED,)
    partitioned: ClassVar[bool] = False
    events_per_slice: ClassVar[int] = 1  # of up to 500 messages

    def prepare(self, events: Sequence[Event]) -> Iterable[list[Entry]]:
        return _batches(events)

    def write(self, tx: Transaction, batch: list[Entry]) -> Written:
        return Written(search.index(batch))


def _batches(events: Sequence[Event]) -> Iterator[list[Entry]]:
    for event in events:
        for ids in chunks(messages.ids_between(*msgspec.structs.astuple(decode_imported(event.data))), MESSAGES_PER_READ):
            yield from search.batches(ids)
