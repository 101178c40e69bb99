"""The search index: messages as they stand when the drain comes by, not as the event has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from jobs.drain.consumer import Consumer, Written
from jobs.rules.payloads import payload_of
from models.chat import search
from models.log.event import Event, Transaction


class SearchIndexConsumer(Consumer):
    """Indexes what was sent or edited. A deleted message was taken out of the index with its text, and stays out."""

    name: ClassVar[str] = "search"
    events_per_slice: ClassVar[int] = 50  # full text costs several times a plain row
    types: ClassVar[tuple[str, ...]] = ("message.created", "message.updated")

    def prepare(self, events: Sequence[Event]) -> Iterable[list[int]]:
        return [sorted({payload_of(e).id for e in events})]

    def write(self, tx: Transaction, part: list[int]) -> Written:
        return Written(search.index(part))
