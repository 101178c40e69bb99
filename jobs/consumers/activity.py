"""The consumer `activity`: activity records of messages, new users and what applications report, and their hourly counts."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from jobs.drain.consumer import Consumer, Written
from jobs.rules.payloads import USER_ACTIVITY, USER_CREATED, ActivityPayload, MessagePayload, NewUserPayload, payload_of
from models.log.event import Event, Transaction
from models.notices.audience import sites
from models.records import activity
from models.records.activity import HOUR_MS

MESSAGE_SENT = "message.sent"
MINUTE_MS = 60_000
NEVER_MERGED = (MESSAGE_SENT, USER_CREATED)  # each record of these is about one message or one person
_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / the golden ratio: its multiples are spread evenly, so that few events already have the share

Row = tuple[Any, ...]  # the values of COLUMNS in models/records/activity.py: user, action, description, metadata, by, site, at_ms
HourlyCounts = Mapping[tuple[int, str, str], int]  # (hour in Unix ms, action, site or "") -> number of acts


def sampled(action: str, event: int, share: float) -> bool:
    """Whether an event is in the recorded share (0 to 1) of its action. The answer for an event is always the same."""
    position = (event * _GOLDEN + (zlib.crc32(action.encode()) << 32)) % 2**64
    return position < share * 2**64


def recorded(event: int, message: MessagePayload, share: float) -> bool:
    """Whether a sent message is recorded. Important and urgent ones always are."""
    return message.priority != "normal" or sampled(MESSAGE_SENT, event, share)


class ActivityBatch(NamedTuple):
    """The rows to insert for a slice, and the acts behind them by hour."""

    rows: list[Row]
    hours: HourlyCounts


class ActivityConsumer(Consumer):
    """Writes one record for each recorded message, new user and reported act.

    Reported acts that are equal within a minute and a slice are one record, which has their number. The checkpoint decides which
    acts are in a slice, and it moves in the transaction that writes the records, so each act is counted once.
    """

    name: ClassVar[str] = "activity"
    types: ClassVar[tuple[str, ...]] = ("message.created", USER_CREATED, USER_ACTIVITY)

    def __init__(self, sample: Mapping[str, float]) -> None:
        """`sample` is BELLWIRE_ACTIVITY_SAMPLE: action -> share to record."""
        self._sample = sample

    def prepare(self, events: Sequence[Event]) -> Sequence[ActivityBatch]:
        decoded = [(event, payload_of(event)) for event in events]
        acts = [(event, payload) for event, payload in decoded if self._is_recorded(event.id, payload)]
        site_of = sites({_user_of(payload) for _, payload in acts} - {None})
        rows = [_row(event, payload, site_of) for event, payload in acts]
        return [ActivityBatch(merged(rows), _hourly_counts(rows))] if rows else []

    def write(self, tx: Transaction, batch: ActivityBatch) -> Written:
        activity.record(batch.rows)
        activity.add_hourly_counts(tx, batch.hours)
        return Written(len(batch.rows))

    def _is_recorded(self, event: int, payload: Any) -> bool:
        match payload:
            case MessagePayload():
                return recorded(event, payload, self._share(MESSAGE_SENT))
            case ActivityPayload():
                return sampled(payload.action, event, self._share(payload.action))
        return sampled(USER_CREATED, event, self._share(USER_CREATED))

    def _share(self, action: str) -> float:
        return self._sample.get(action, 1.0)


def merged(rows: Sequence[Row]) -> list[Row]:
    """Merge rows of one minute that differ only in their time to the first of them, with `count` in its metadata.

    Rows whose metadata has a `count` already, and those of NEVER_MERGED, stay as they are.
    """
    groups: dict[Any, list[Row]] = {}
    for number, row in enumerate(rows):
        _, action, _, metadata, *_, at_ms = row
        mergeable = action not in NEVER_MERGED and '"count"' not in metadata
        groups.setdefault((row[:-1], at_ms // MINUTE_MS) if mergeable else number, []).append(row)
    return [group[0] if len(group) == 1 else _with_count(group[0], len(group)) for group in groups.values()]


def _with_count(row: Row, count: int) -> Row:
    metadata = msgspec.json.encode({**msgspec.json.decode(row[3]), "count": count})
    return (*row[:3], metadata.decode(), *row[4:])


def _hourly_counts(rows: Sequence[Row]) -> HourlyCounts:
    """Count acts by hour, before they are merged."""
    return Counter((at_ms - at_ms % HOUR_MS, action, site or "") for _, action, _, _, _, site, at_ms in rows)


def _user_of(payload: Any) -> Any:
    return payload.sender if isinstance(payload, MessagePayload) else payload.user


def _row(event: Event, payload: Any, site_of: Mapping[int, str | None]) -> Row:
    match payload:
        case MessagePayload(sender=sender):
            fields = {"message": payload.id, "conversation": payload.conversation, "priority": payload.priority}
            metadata = msgspec.json.encode(fields).decode()
            return (sender, MESSAGE_SENT, "Sent a message", metadata, sender, site_of.get(sender), event.at_ms)
        case NewUserPayload(user=user):
            return (user, USER_CREATED, "Signed up", "{}", user, site_of.get(user), event.at_ms)
    site = payload.site if payload.site is not None else site_of.get(payload.user)
    metadata = bytes(payload.metadata).decode()
    return (payload.user, payload.action, payload.description, metadata, payload.by, site, event.at_ms)
