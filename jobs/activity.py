"""Activity records of what users send."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from jobs.consumer import Consumer, Sent, Written, sent
from models import activity
from models.audience import sites
from models.event import Event, Log

MESSAGE_SENT = "message.sent"
_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / the golden ratio: multiples of it fall evenly, so few events give the share already


def sampled(action: str, event: int, share: float) -> bool:
    """Whether this event is among the share (0 to 1) of an action's that are recorded: the same each time it is asked."""
    place = (event * _GOLDEN + (zlib.crc32(action.encode()) << 32)) % 2**64
    return place < share * 2**64


def recorded(event: int, message: Sent, share: float) -> bool:
    """Whether a sent message is recorded: all important and urgent ones are."""
    return message.priority != "normal" or sampled(MESSAGE_SENT, event, share)


class Activities(Consumer):
    """One Activity row for each recorded message."""

    name: ClassVar[str] = "activity"
    types: ClassVar[tuple[str, ...]] = ("message.created",)

    def __init__(self, sample: Mapping[str, float]) -> None:
        self._share = sample.get(MESSAGE_SENT, 1.0)

    def prepare(self, events: Sequence[Event]) -> Iterable[list[tuple[Any, ...]]]:
        messages = [(e, sent(e.data)) for e in events]
        kept = [(e, m) for e, m in messages if recorded(e.id, m, self._share)]
        site_of = sites({m.sender for _, m in kept})
        values = [_row(e, m, site_of.get(m.sender)) for e, m in kept]
        return [values] if values else []

    def write(self, log: Log, part: list[tuple[Any, ...]]) -> Written:
        activity.record(part)
        return Written(len(part))


def _row(event: Event, message: Sent, site: str | None) -> tuple[Any, ...]:
    metadata = {"message": message.id, "conversation": message.conversation, "priority": message.priority}
    told = msgspec.json.encode(metadata).decode()
    return (message.sender, MESSAGE_SENT, "Sent a message", told, message.sender, site, event.at_ms)
