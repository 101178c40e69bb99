"""Activity records of what users send, of who signed up, and of what the application around tells; and how many each hour."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from jobs.drain.consumer import Consumer, Written
from jobs.rules.payloads import USER_ACTIVITY, USER_CREATED, ActivityPayload, MessagePayload, NewUserPayload, payload_of
from models.log.event import Event, Transaction
from models.notices.audience import sites
from models.records import activity

MESSAGE_SENT = "message.sent"
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
APART = (MESSAGE_SENT, USER_CREATED)  # actions of our own: each record is of one message, or one person
_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / the golden ratio: multiples of it fall evenly, so few events give the share already


def sampled(action: str, event: int, share: float) -> bool:
    """Whether this event is among the share (0 to 1) of an action's that are recorded: the same each time it is asked."""
    place = (event * _GOLDEN + (zlib.crc32(action.encode()) << 32)) % 2**64
    return place < share * 2**64


def recorded(event: int, message: MessagePayload, share: float) -> bool:
    """Whether a sent message is recorded: all important and urgent ones are."""
    return message.priority != "normal" or sampled(MESSAGE_SENT, event, share)


class Part(NamedTuple):
    """What is written of a slice: rows of COLUMNS in models/records/activity.py, and how many acts they are, by (hour, action,
    site)."""

    rows: list[tuple[Any, ...]]
    hours: Mapping[tuple[int, str, str], int]


class ActivityConsumer(Consumer):
    """One Activity row for each recorded message, for each new user, and for whatever the application around tells.

    Of that, what is the same within a minute and a slice is one row, which has their number. Which acts share a slice is decided
    by where the checkpoint stands when it is prepared, and the rows are written where it moves: so each act is counted once.
    """

    name: ClassVar[str] = "activity"
    types: ClassVar[tuple[str, ...]] = ("message.created", USER_CREATED, USER_ACTIVITY)

    def __init__(self, sample: Mapping[str, float]) -> None:
        self._sample = sample

    def prepare(self, events: Sequence[Event]) -> Iterable[Part]:
        acts = [(e, act) for e in events if self._is_recorded(e.id, act := payload_of(e))]
        site_of = sites({_of_whom(act) for _, act in acts} - {None})
        values = [_row(e, act, site_of) for e, act in acts]
        return [Part(merged(values), _hours(values))] if values else []

    def _is_recorded(self, event: int, act: Any) -> bool:
        match act:
            case MessagePayload():
                return recorded(event, act, self._share(MESSAGE_SENT))
            case ActivityPayload():
                return sampled(act.action, event, self._share(act.action))
        return sampled(USER_CREATED, event, self._share(USER_CREATED))

    def _share(self, action: str) -> float:
        return self._sample.get(action, 1.0)

    def write(self, tx: Transaction, part: Part) -> Written:
        activity.record(part.rows)
        activity.add_hourly_counts(tx, part.hours)
        return Written(len(part.rows))


def merged(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows that are the same but for the moment, within one minute, become the first of them, with `count` in its metadata. One
    that has a `count` of its own stays as it is, and so does what is APART."""
    groups: dict[Any, list[tuple[Any, ...]]] = {}
    for number, row in enumerate(rows):
        _, action, _, metadata, *_, at_ms = row
        same = action not in APART and '"count"' not in metadata
        groups.setdefault((row[:-1], at_ms // MINUTE_MS) if same else number, []).append(row)
    return [group[0] if len(group) == 1 else _counted(group[0], len(group)) for group in groups.values()]


def _counted(row: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    metadata = msgspec.json.encode({**msgspec.json.decode(row[3]), "count": count})
    return (*row[:3], metadata.decode(), *row[4:])


def _hours(rows: Sequence[tuple[Any, ...]]) -> Mapping[tuple[int, str, str], int]:
    """How many acts there were, by when they began: before they are merged."""
    return Counter((row[6] - row[6] % HOUR_MS, row[1], row[5] or "") for row in rows)


def _of_whom(act: Any) -> Any:
    return act.sender if isinstance(act, MessagePayload) else act.user


def _row(event: Event, act: Any, site_of: Mapping[int, str | None]) -> tuple[Any, ...]:
    """A record: of COLUMNS in models/records/activity.py."""
    match act:
        case MessagePayload():
            metadata = {"message": act.id, "conversation": act.conversation, "priority": act.priority}
            told = msgspec.json.encode(metadata).decode()
            return (act.sender, MESSAGE_SENT, "Sent a message", told, act.sender, site_of.get(act.sender), event.at_ms)
        case NewUserPayload():
            return (act.user, USER_CREATED, "Signed up", "{}", act.user, site_of.get(act.user), event.at_ms)
    site = act.site if act.site is not None else site_of.get(act.user)
    return (act.user, act.action, act.description, bytes(act.metadata).decode(), act.by, site, event.at_ms)
