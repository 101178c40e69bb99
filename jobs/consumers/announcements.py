"""The consumer `fanout`: it notifies the receivers of an announcement, a few per transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple

import msgspec
import structlog

from jobs.drain.consumer import JobConsumer, Written
from jobs.rules.decisions import Content, decide
from jobs.rules.facts import Facts, with_receivers
from jobs.rules.precedence import Case
from models.log.event import Event, Transaction
from models.notices import announcement
from models.notices.announcement import AnnouncementProgress, Receiver
from models.notices.schedule import AT_ONCE
from models.store.database import chunks, engine

RECEIVERS_PER_TRANSACTION = 25  # so that the log's lock is free again after a millisecond
RECEIVERS_PER_READ = 200  # what is known of them is read without the lock

logger = structlog.get_logger("jobs")


class AnnouncementPayload(msgspec.Struct, gc=False):
    """The event's data: the announcement's id."""

    fanout: int


decode_announcement = msgspec.json.Decoder(AnnouncementPayload).decode


class ReceiverBatch(NamedTuple):
    """The next `users` of an announcement's receivers, the last of which is `position`; none of them means that all were done.

    `receivers` are those of them whose preferences allow a notification or a mail.
    """

    state: AnnouncementProgress
    receivers: list[Receiver]
    position: int
    users: int
    total: int


class AnnouncementConsumer(JobConsumer):
    """Notifies each receiver once: the announcement's position moves in the transaction that notifies."""

    name: ClassVar[str] = "fanout"
    types: ClassVar[tuple[str, ...]] = (announcement.REQUESTED,)

    def job_of(self, event: Event) -> int:
        return decode_announcement(event.data).fanout

    def prepare(self, events: Sequence[Event]) -> Iterable[ReceiverBatch]:
        for event in events:
            yield from _batches(self.job_of(event))

    def write(self, tx: Transaction, batch: ReceiverBatch) -> Written:
        if not batch.users:
            return _end(tx, batch.state)
        announcement.advance(tx, batch.state, batch.position, batch.state.done + batch.users, batch.total)
        announcement.notify(tx, batch.state, batch.receivers)
        notification_type = batch.state.content.type
        shown = sum(receiver.in_app for receiver in batch.receivers)
        mailed = sum(receiver.mail_ms == AT_ONCE for receiver in batch.receivers)
        return Written(len(batch.receivers), {(notification_type, "in_app"): shown, (notification_type, "email"): mailed})


def _end(tx: Transaction, state: AnnouncementProgress) -> Written:
    announcement.complete(tx, state)
    logger.info("announcement_done", job=state.id, people=state.done, seconds=(tx.now_ms - state.created_ms) / 1000)
    return Written(1)


def _batches(number: int) -> Iterable[ReceiverBatch]:
    """All batches that are left: the first begins at the stored position, each other one at the end of the one before it."""
    state = announcement.find(number)
    total = state.total if state.total is not None else announcement.count_receivers(state.content)
    if state.ended_ms is not None:
        return
    while users := announcement.next_receivers(state.content, state.position, RECEIVERS_PER_READ):
        receivers = {receiver.user: receiver for receiver in _receivers(state, users)}
        for part in chunks(users, RECEIVERS_PER_TRANSACTION):
            yield ReceiverBatch(state, [receivers[user] for user in part if user in receivers], part[-1], len(part), total)
            state = state._replace(position=part[-1], done=state.done + len(part), total=total)
    yield ReceiverBatch(state, [], state.position, 0, total)


def _receivers(state: AnnouncementProgress, users: Sequence[int]) -> Iterable[Receiver]:
    facts = with_receivers(Facts(engine().now_ms()), users)
    content = Content(None, "", "", b"{}", {})
    for user in users:
        decision = decide(state.content.type, content, Case(user), facts)
        if decision.in_app or decision.mail_ms is not None or decision.push_ms is not None:
            yield Receiver(user, decision.in_app, decision.mail_ms, decision.push_ms)
