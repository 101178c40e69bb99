"""The consumer `search`: the full-text index of messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from jobs.drain.consumer import Consumer, Written
from jobs.rules.payloads import payload_of
from models.chat import search
from models.chat.search import Entry
from models.log.event import Event, Transaction


class SearchIndexConsumer(Consumer):
    """Indexes messages that were sent or edited, with their text as it is now and not as in the event.

    Deleting a message removes its text from the index in the same transaction, and this consumer does not add it again.
    """

    name: ClassVar[str] = "search"
    types: ClassVar[tuple[str, ...]] = ("message.created", "message.updated")
    events_per_slice: ClassVar[int] = 150  # a text's words take longer than a row

    def prepare(self, events: Sequence[Event]) -> Iterable[list[Entry]]:
        return search.batches(sorted({payload_of(event).id for event in events}))

    def write(self, tx: Transaction, batch: list[Entry]) -> Written:
        return Written(search.index(batch))
