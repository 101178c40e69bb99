"""Announcements to many people: a few at a time, on from where it stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

import msgspec
import structlog

from jobs.drain.consumer import Consumer, Written
from jobs.rules.decisions import NOTIFIED, Content, decide
from jobs.rules.facts import Facts, with_receivers
from models.log.event import Event, Transaction
from models.notices import announcement
from models.notices.announcement import AnnouncementProgress, Receiver
from models.notices.schedule import AT_ONCE
from models.store.clock import now_ms

RECEIVERS_PER_TRANSACTION = 50

logger = structlog.get_logger("jobs")


class Ask(msgspec.Struct, gc=False):
    """Which announcement an event asks for."""

    fanout: int


payload_of_announcement = msgspec.json.Decoder(Ask).decode


class Batch(NamedTuple):
    """The next of an announcement's receivers; none: that was all. `position` is the last of those who were looked at."""

    asked: AnnouncementProgress
    receivers: list[Receiver]
    position: int
    looked_at: int
    total: int


class AnnouncementConsumer(Consumer):
    """Tells each receiver once: the place reached moves in the transaction that tells them."""

    name: ClassVar[str] = "fanout"
    types: ClassVar[tuple[str, ...]] = (announcement.REQUESTED,)
    appends_events: ClassVar[bool] = True
    partitioned: ClassVar[bool] = False
    events_per_slice: ClassVar[int] = 1
    resumable: ClassVar[bool] = True

    def log_fields(self, event: Event) -> Mapping[str, int]:
        with contextlib.suppress(msgspec.MsgspecError):
            return {"job": payload_of_announcement(event.data).fanout}
        return {}

    def prepare(self, events: Sequence[Event]) -> Iterable[Batch]:
        for event in events:
            yield from _batches(payload_of_announcement(event.data).fanout)

    def write(self, tx: Transaction, part: Batch) -> Written:
        if not part.looked_at:
            announcement.complete(tx, part.asked)
            seconds = (tx.now_ms - part.asked.created_ms) / 1000
            logger.info("everybody was told of an announcement", job=part.asked.id, people=part.asked.done, seconds=seconds)
            return Written(1)
        announcement.advance(tx, part.asked, part.position, part.asked.done + part.looked_at, part.total)
        announcement.notify(tx, part.asked, part.receivers)
        kind = part.asked.content.type
        shown = sum(receiver.in_app for receiver in part.receivers)
        mailed = sum(receiver.mail_ms == AT_ONCE for receiver in part.receivers)
        return Written(len(part.receivers), {(kind, "in_app"): shown, (kind, "email"): mailed})


def _batches(number: int) -> Iterable[Batch]:
    """The first goes on from the place that is stored, each other one from where the one before it ends."""
    asked = announcement.find(number)
    total = asked.total if asked.total is not None else announcement.count_receivers(asked.content)
    while asked.ended_ms is None:
        users = announcement.next_receivers(asked.content, asked.position, RECEIVERS_PER_TRANSACTION)
        batch = Batch(asked, list(_receivers(asked, users)), users[-1] if users else asked.position, len(users), total)
        yield batch
        if not users:
            return
        asked = asked._replace(position=batch.position, done=asked.done + len(users), total=total)


def _receivers(asked: AnnouncementProgress, users: Sequence[int]) -> Iterable[Receiver]:
    facts = with_receivers(Facts(now_ms()), users)
    content = Content(None, "", "", b"{}", {})
    for user in users:
        decision = decide(asked.content.type, content, user, None, facts)
        if decision.in_app is NOTIFIED or decision.mail_ms is not None:
            yield Receiver(user, decision.in_app is NOTIFIED, decision.mail_ms)
