"""Important and urgent messages: after a while, the members who were online when one came and have not read it are notified.

Each is a row, listed by the transaction that moves the checkpoint past its event. When it is due, a few members a transaction are
decided on, in the order of their ids, by the transaction that moves `position`: so each is notified once despite crashes and
several workers. A row whose event is still to be notified in a burst waits for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import peewee

from models.log.checkpoint import CheckpointMovedError
from models.log.event import Transaction
from models.notices.audience import Interval
from models.notices.notification import MAIL_ONLY_PREFIX, conversation_grouping
from models.store.database import Base, execute, insert_rows, placeholders, rows

DELAYS_MS = {"important": 5 * 60_000, "urgent": 60_000}  # from a message, by its priority
MAX_DELAY_MS = max(DELAYS_MS.values())
MAX_LISTED = 100
CAUSE = "message:"  # begins the causes that are kept of these
CONSUMER = "unseen"  # of the dead letter of a row that failed
# Raw: the model of dead letters is in models.ops, which imports this package.
NOT_PARKED_SQL = f"NOT EXISTS (SELECT 1 FROM dead_work d WHERE d.consumer='{CONSUMER}' AND d.event_id=u.event AND NOT d.retry)"
DUE_SQL = f"""
    SELECT message, event, conversation, position FROM unseen_messages u WHERE NOT (due_ms BETWEEN ? AND ?)
    AND NOT EXISTS (SELECT 1 FROM burst_events b WHERE b.event=u.event)
    AND {NOT_PARKED_SQL}
    ORDER BY due_ms, message LIMIT {MAX_LISTED}"""
# The members who have not read a message and were online at some moment since it came; those whose account is erased have none.
MEMBERS_SQL = """
    SELECT m.user_id, u.status, m.from_event, m.to_event, m.read_message, m.level, m.level_until_ms
    FROM memberships m JOIN users u ON u.id=m.user_id
    WHERE m.conversation_id=? AND m.to_event IS NULL AND m.user_id>? AND coalesce(m.read_message, 0)<?
    AND (EXISTS (SELECT 1 FROM online o WHERE o.user_id=m.user_id)
         OR EXISTS (SELECT 1 FROM visits v WHERE v.user_id=m.user_id AND v.went_ms>=?))
    ORDER BY m.user_id LIMIT ?"""


class UnseenMessage(Base):
    """A message that becomes due at `due_ms`. Members up to the user `position` are done."""

    message = peewee.BigIntegerField(primary_key=True)
    event = peewee.BigIntegerField()
    conversation = peewee.BigIntegerField()
    due_ms = peewee.BigIntegerField(index=True)
    position = peewee.BigIntegerField()

    class Meta:
        table_name = "unseen_messages"


class NewUnseen(NamedTuple):
    """A message to be listed, with the event that created it and when that was."""

    message: int
    event: int
    conversation: int
    priority: str
    at_ms: int


class UnseenProgress(NamedTuple):
    """A row of UnseenMessage, as it was read."""

    message: int
    event: int
    conversation: int
    position: int


def add(tx: Transaction, new: Sequence[NewUnseen]) -> None:
    """List messages. Call it in the transaction that moves the checkpoint past them."""
    values = [(each.message, each.event, each.conversation, each.at_ms + DELAYS_MS[each.priority], 0) for each in new]
    insert_rows(UnseenMessage, ("message", "event", "conversation", "due_ms", "position"), values, " ON CONFLICT DO NOTHING")


def list_due(at_ms: int) -> list[UnseenProgress]:
    """The messages that are due, the longest due first, without those that a burst still has, or that are parked."""
    return [UnseenProgress(*row) for row in rows(DUE_SQL, (at_ms + 1, at_ms + MAX_DELAY_MS))]


def next_members(due: UnseenProgress, since_ms: int, limit: int) -> list[Interval]:
    """The next members of a message's conversation who have not read it and were online at some moment since it came, by id."""
    found = rows(MEMBERS_SQL, (due.conversation, due.position, due.message, since_ms, limit))
    return [
        Interval(user, status == "active", from_event, to_event, read or 0, *level)
        for user, status, from_event, to_event, read, *level in found
    ]


def advance(tx: Transaction, due: UnseenProgress, position: int) -> UnseenProgress:
    """Move on from what was read: users up to `position` are done. Raises CheckpointMovedError when another worker has moved it."""
    moved = UnseenMessage.update(position=position).where(_unmoved(due))
    if moved.execute() != 1:
        raise CheckpointMovedError
    return due._replace(position=position)


def complete(tx: Transaction, due: UnseenProgress) -> None:
    """Delete the row of a message whose members are all done. Raises like `advance`."""
    if UnseenMessage.delete().where(_unmoved(due)).execute() != 1:
        raise CheckpointMovedError


def _unmoved(due: UnseenProgress) -> peewee.Expression:
    condition: peewee.Expression = (UnseenMessage.message == due.message) & (UnseenMessage.position == due.position)
    return condition


def oldest_due_ms() -> int | None:
    """When the message that is due first is due, without those that are parked."""
    ((oldest,),) = rows(f"SELECT min(u.due_ms) FROM unseen_messages u WHERE {NOT_PARKED_SQL}")
    return None if oldest is None else int(oldest)


def notified_before(due: UnseenProgress, users: Sequence[int], since_ms: int) -> set[int]:
    """Those of the users who were notified when the message came, as far as is written: with a new notification that begins with it
    or before, or with a mail or a push about an older one that is still unread."""
    return _with_new_notification(due, users, since_ms) | _with_mail(due, users, since_ms) | _with_push(due, users, since_ms)


def _groupings(due: UnseenProgress) -> tuple[str, str]:
    grouping = conversation_grouping(due.conversation)
    return grouping, MAIL_ONLY_PREFIX + grouping


def _with_new_notification(due: UnseenProgress, users: Sequence[int], since_ms: int) -> set[int]:
    found = rows(
        f"SELECT user_id FROM notifications WHERE user_id IN ({placeholders(len(users))}) AND grouping IN (?,?) "
        "AND created_ms>=? AND coalesce(from_message, 0)<=?",
        (*users, *_groupings(due), since_ms, due.message),
    )
    return {user for (user,) in found}


def _with_mail(due: UnseenProgress, users: Sequence[int], since_ms: int) -> set[int]:
    found = rows(
        "SELECT n.id, n.user_id, w.alone FROM notifications n LEFT JOIN waiting_mail w ON w.notification_id=n.id "
        f"WHERE n.user_id IN ({placeholders(len(users))}) AND n.grouping IN (?,?) AND n.read_ms IS NULL",
        (*users, *_groupings(due)),
    )
    waiting = {user for _, user, single in found if single}
    unread = {number: user for number, user, _ in found if user not in waiting}
    if not unread:
        return waiting
    receivers = sorted(set(unread.values()))
    mails = rows(
        f"SELECT data FROM emails WHERE receiver IN ({placeholders(len(receivers))}) "
        "AND kind IN ('notification','digest') AND created_ms>=?",
        (*receivers, since_ms),
    )
    mailed = {number for (data,) in mails for number in msgspec.json.decode(data).get("notifications", ())}
    return waiting | {user for number, user in unread.items() if number in mailed}


def _with_push(due: UnseenProgress, users: Sequence[int], since_ms: int) -> set[int]:
    found = rows(
        "SELECT n.user_id FROM notifications n JOIN pushes p ON p.notification=n.id "
        f"WHERE n.user_id IN ({placeholders(len(users))}) AND n.grouping IN (?,?) AND n.read_ms IS NULL AND NOT p.recall "
        "AND (p.sent_ms>=? OR (p.state='queued' AND p.tried_from_ms>=?))",
        (*users, *_groupings(due), since_ms, since_ms),
    )
    return {user for (user,) in found}


def with_unseen(users: Sequence[int], notifications: Sequence[int]) -> set[int]:
    """Those of the users who were notified so of a message, by one of these notifications: nothing says that they look."""
    found = rows(
        f"SELECT DISTINCT user_id FROM notification_causes WHERE user_id IN ({placeholders(len(users))}) "
        f"AND notification IN ({placeholders(len(notifications))}) AND substr(cause, 1, {len(CAUSE)})='{CAUSE}'",
        (*users, *notifications),
    )
    return {user for (user,) in found}


def postpone(tx: Transaction, message: int, delay_ms: int) -> None:
    """Do not try a message again for so long, since it failed."""
    execute("UPDATE unseen_messages SET due_ms=? WHERE message=?", (tx.now_ms + delay_ms, message))
