"""Bursts: the messages to one large group that are notified together, and how far that is done.

A message to thousands is not decided on member by member in the slice of the log that has it: that would delay everybody else's
notifications. It is listed here by the transaction that moves the checkpoint. A burst is what is listed when it begins; each of its
transactions notifies a few members, in the order of their ids, and moves `position`, so each member is notified once despite
crashes and several workers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import peewee
from peewee import SQL, fn

from models.log.checkpoint import CheckpointMovedError
from models.log.event import Event, Transaction
from models.notices.levels import MAX_MEMBERS_FOR_ALL
from models.store.database import Base, chunks, fetch_rows, insert_rows, placeholders, rows
from models.store.due import due

LARGE = MAX_MEMBERS_FOR_ALL  # members: a message to more is listed here
MAX_EVENTS = 1_000  # in one burst
INTERVAL_MS = 500  # from the end of a conversation's burst to its next
MAX_DELAY_MS = 60_000  # no burst is planned further ahead
MAX_IDS_PER_QUERY = 500
CONSUMER = "bursts"  # of the dead letter that lists the first event of a burst that failed
# Raw: the model of dead letters is in models.ops, which imports this package.
PARKED_SQL = (
    "SELECT b.conversation FROM dead_work d JOIN burst_events b ON b.event=d.event_id "
    f"WHERE d.consumer='{CONSUMER}' AND NOT d.retry"
)


class Burst(Base):
    """The state of a conversation. With `position` 0, all events up to `upto` are done; otherwise they are done for the users up
    to `position`."""

    conversation = peewee.BigIntegerField(primary_key=True)
    upto = peewee.BigIntegerField()
    position = peewee.BigIntegerField()
    due_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "bursts"


class BurstEvent(Base):
    """The event of a message that is not notified yet, or not to all members."""

    event = peewee.BigIntegerField(primary_key=True)
    conversation = peewee.BigIntegerField()

    class Meta:
        table_name = "burst_events"
        indexes = ((("conversation", "event"), False),)


class BurstProgress(NamedTuple):
    """A row of Burst, as it was read."""

    conversation: int
    upto: int
    position: int


def large_since(conversations: Collection[int]) -> dict[int, int]:
    """conversation -> the event with which it became large, for those that are.

    All members that it ever had are counted, so the answer for an event never changes.
    """
    since: dict[int, int] = {}
    for part in chunks(sorted(conversations), MAX_IDS_PER_QUERY):
        # Raw: the models of conversations are in models.chat, which imports this package.
        sql = f"""
            SELECT c.id, (SELECT m.from_event FROM memberships m WHERE m.conversation_id=c.id ORDER BY m.id LIMIT 1 OFFSET {LARGE})
            FROM conversations c WHERE c.id IN ({placeholders(len(part))})"""
        since |= {conversation: event for conversation, event in rows(sql, part) if event is not None}
    return since


def add(tx: Transaction, events: Mapping[int, int]) -> None:
    """List events (event -> conversation). Call it in the transaction that moves the checkpoint past them."""
    insert_rows(BurstEvent, ("event", "conversation"), sorted(events.items()))
    first: dict[int, int] = {}
    for number, conversation in sorted(events.items()):
        first.setdefault(conversation, number)
    new = [(conversation, number - 1, 0, tx.now_ms) for conversation, number in first.items()]
    insert_rows(Burst, ("conversation", "upto", "position", "due_ms"), new, " ON CONFLICT DO NOTHING")


def list_due(at_ms: int) -> list[BurstProgress]:
    """The bursts to begin or to continue, the longest due first, without those that are parked."""
    query = (
        Burst.select(Burst.conversation, Burst.upto, Burst.position)
        .where(due(Burst.due_ms, at_ms, MAX_DELAY_MS), Burst.conversation.not_in(SQL(f"({PARKED_SQL})")))
        .order_by(Burst.due_ms)
    )
    return [BurstProgress(*row) for row in fetch_rows(query)]


def read_events(burst: BurstProgress) -> list[Event]:
    """The events of a burst, in order: those that it began with, or the oldest MAX_EVENTS when it has not begun."""
    # Raw: one join, which Peewee has no foreign key for.
    end = " AND b.event<=?" if burst.position else ""
    found = rows(
        "SELECT e.id, e.stream, e.type, e.at_ms, e.data FROM burst_events b JOIN events e ON e.id=b.event "
        f"WHERE b.conversation=?{end} ORDER BY b.event LIMIT {MAX_EVENTS}",
        (burst.conversation, burst.upto) if burst.position else (burst.conversation,),
    )
    return [Event(number, stream, kind, at_ms, data.encode()) for number, stream, kind, at_ms, data in found]


def advance(tx: Transaction, burst: BurstProgress, upto: int, position: int) -> BurstProgress:
    """Move on from what was read: users up to `position` are notified of the events up to `upto`.

    Raises CheckpointMovedError when another worker has moved it meanwhile.
    """
    _update(burst, {"upto": upto, "position": position})
    return BurstProgress(burst.conversation, upto, position)


def complete(tx: Transaction, burst: BurstProgress, upto: int) -> None:
    """End a burst, whose events up to `upto` are done. Raises like `advance`."""
    _update(burst, {"upto": upto, "position": 0, "due_ms": tx.now_ms + INTERVAL_MS})
    BurstEvent.delete().where(BurstEvent.conversation == burst.conversation, BurstEvent.event <= upto).execute()


def postpone(tx: Transaction, conversation: int, delay_ms: int) -> None:
    """Do not try a conversation's burst again for so long, since it failed."""
    Burst.update(due_ms=tx.now_ms + delay_ms).where(Burst.conversation == conversation).execute()


def remove_if_empty(tx: Transaction, burst: BurstProgress) -> None:
    """Delete the state of a conversation that nothing waits for. Needs the log's lock, so that `add` does not miss the row."""
    waiting = BurstEvent.select(BurstEvent.event).where(BurstEvent.conversation == burst.conversation)
    Burst.delete().where(_unmoved(burst), ~fn.EXISTS(waiting)).execute()


def _update(burst: BurstProgress, values: Mapping[str, int]) -> None:
    if Burst.update(**values).where(_unmoved(burst)).execute() != 1:
        raise CheckpointMovedError


def _unmoved(burst: BurstProgress) -> peewee.Expression:
    same = (Burst.upto == burst.upto) & (Burst.position == burst.position)
    condition: peewee.Expression = (Burst.conversation == burst.conversation) & same
    return condition


def first_event(conversation: int) -> int | None:
    """The oldest event that is listed for a conversation, if any is."""
    first: int | None = BurstEvent.select(fn.MIN(BurstEvent.event)).where(BurstEvent.conversation == conversation).scalar()
    return first


def is_listed(event: int) -> bool:
    """Whether an event still waits to be notified to some members."""
    return bool(BurstEvent.select().where(BurstEvent.event == event).exists())


def oldest_waiting_ms() -> int | None:
    """When the oldest event that is listed was appended, in Unix ms, without those of parked bursts."""
    # Raw: one join, which Peewee has no foreign key for.
    found: Sequence[tuple[int]] = rows(
        "SELECT e.at_ms FROM burst_events b JOIN events e ON e.id=b.event "
        f"WHERE b.conversation NOT IN ({PARKED_SQL}) ORDER BY b.event LIMIT 1"
    )
    return found[0][0] if found else None
