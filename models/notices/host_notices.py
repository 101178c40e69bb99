"""The host's notifications: what one call asks for, and the progress of its delivery.

A call is one event of the log, and a row here. The transaction that notifies receivers also advances the position, so each receiver
is notified once despite crashes. A key of the host's, if it has one, is kept for good: a call that is repeated has the same event.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import peewee

from models.identity.user import User
from models.log.checkpoint import CheckpointMovedError
from models.log.event import HOST_NOTICES, Event, Transaction
from models.notices import host_types
from models.notices.audience import UNREAD_SQL
from models.notices.host_types import MAX_NAME_CHARS
from models.notices.notification import Notification
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.database import Base, NeverReusedIdField, affected_rows, engine, fetch_column, fetch_rows, placeholders, rows
from models.store.errors import InvalidError, NotFoundError

REQUESTED = "notify.requested"
CONSUMER = "host"  # of the checkpoint and the dead letters
MAX_KEY_CHARS = 200
MAX_VALUES_BYTES = 8_192
MAX_COUNTED = 10  # of a list: they are delivered one after the other, so more are parked
USERS, TOPIC, CONVERSATION, ROLE = "to", "topic", "conversation", "role"
# Raw: the model of dead letters is in models.ops, which imports this package.
PARKED_SQL = f"SELECT event_id FROM dead_work WHERE consumer='{CONSUMER}'"


class HostNotice(Base):
    """One call. `audience` is USERS, TOPIC, CONVERSATION or ROLE, and `receivers` which: user ids as JSON (ascending), a topic, an
    id or a role. `position` is the last user who was decided on, `done` how many were. It waits until `due_ms`, if set."""

    id = NeverReusedIdField()
    event = peewee.BigIntegerField(unique=True)
    type = peewee.CharField(max_length=MAX_NAME_CHARS)
    audience = peewee.CharField(max_length=12)
    receivers = peewee.TextField()
    actor = peewee.BigIntegerField(null=True)
    data = peewee.TextField()
    url = peewee.TextField(null=True)
    due_ms = peewee.BigIntegerField(null=True)
    unless_read = peewee.BooleanField()
    done = peewee.IntegerField()
    position = peewee.BigIntegerField()
    created_ms = peewee.BigIntegerField()
    ended_ms = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "host_notices"


HostNotice.add_index(HostNotice.index(HostNotice.event, where=peewee.SQL("ended_ms IS NULL"), name="host_notice_unfinished"))
HostNotice.add_index(
    HostNotice.index(HostNotice.due_ms, where=peewee.SQL("due_ms IS NOT NULL AND ended_ms IS NULL"), name="host_notice_due")
)
HostNotice.add_index(HostNotice.index(HostNotice.ended_ms, where=peewee.SQL("ended_ms IS NOT NULL"), name="host_notice_ended"))


class HostNoticeKey(Base):
    """The event of the first call with a key of the host's (`dedupe`)."""

    key = peewee.CharField(max_length=MAX_KEY_CHARS, primary_key=True)
    event = peewee.BigIntegerField()

    class Meta:
        table_name = "host_notice_keys"


class NewNotice(NamedTuple):
    """A notification to request. `data` is the values of its words, as JSON."""

    type: str
    audience: str
    receivers: str
    actor: int | None
    data: bytes
    url: str | None
    key: str | None
    due_ms: int | None
    unless_read: bool


class Notice(NamedTuple):
    """A requested notification and the progress of its delivery."""

    id: int
    event: int
    type: str
    audience: str
    receivers: str
    actor: int | None
    data: str
    url: str | None
    due_ms: int | None
    unless_read: bool
    done: int
    position: int
    created_ms: int
    ended_ms: int | None


def request(tx: Transaction, new: NewNotice) -> int:
    """Store a notification and append its event, from which a drain delivers it; returns the event's id.

    A key that was used before returns the event of then. Raises InvalidError for an unknown type or actor, NotFoundError for an
    unknown conversation.
    """
    earlier = find_by_key(new.key)
    if earlier is not None:
        return earlier
    _require_known(new)
    number = tx.next_id("host_notices")
    event = tx.append(HOST_NOTICES, REQUESTED, msgspec.json.encode({"notice": number, "type": new.type}))
    fields = {**new._asdict(), "data": new.data.decode()}
    key = fields.pop("key")
    row = {**fields, "id": number, "event": event, "done": 0, "position": 0, "created_ms": tx.now_ms}
    HostNotice.insert(row).as_rowcount().execute()
    if key is not None:
        HostNoticeKey.insert(key=key, event=event).as_rowcount().execute()
    return event


def find_by_key(key: str | None) -> int | None:
    """Return the event of the call that has used a key first, if there was one."""
    event: int | None = HostNoticeKey.select(HostNoticeKey.event).where(HostNoticeKey.key == key).scalar()
    return event


def _require_known(new: NewNotice) -> None:
    if not host_types.exist([new.type]):
        raise InvalidError(("type", "must be a notification type of the host's"))
    if new.actor is not None and not User.select().where(User.id == new.actor).exists():
        raise InvalidError(("actor", "must be a user"))
    # Raw: the models of conversations are in models.chat, which imports this package.
    if new.audience == CONVERSATION and not rows("SELECT 1 FROM conversations WHERE id=?", (int(new.receivers),)):
        raise NotFoundError


def find(number: int) -> Notice | None:
    """Return a notification, None when it is no longer kept."""
    for row in fetch_rows(_select().where(HostNotice.id == number)):
        return Notice(*row)
    return None


def _select() -> Any:
    return HostNotice.select(*(getattr(HostNotice, field) for field in Notice._fields))


def next_receivers(notice: Notice, after: int, limit: int) -> list[int]:
    """Return the next receivers, by id: of a topic or conversation those who were members at the event."""
    if notice.audience == USERS:
        users = msgspec.json.decode(notice.receivers, type=list[int])
        begin = bisect_right(users, after)
        return users[begin : begin + limit]
    if notice.audience == ROLE:
        query = User.select(User.id).where(User.role == notice.receivers, User.status == "active", User.id > after)
        return fetch_column(query.order_by(User.id).limit(limit))
    members, subject = _members(notice)
    sql = f"SELECT user_id FROM {members} AND user_id>? ORDER BY user_id LIMIT ?"
    return [user for (user,) in rows(sql, (*subject, after, limit))]


def _members(notice: Notice) -> tuple[str, tuple[str | int, ...]]:
    """The table and condition of those who were in a topic or conversation at the event. Raw: written once for two tables, the
    models of which are in modules above."""
    in_conversation = notice.audience == CONVERSATION
    table, column = ("memberships", "conversation_id") if in_conversation else ("topic_members", "topic")
    subject = int(notice.receivers) if in_conversation else notice.receivers
    at_event = f"{column}=? AND from_event<=? AND (to_event IS NULL OR to_event>?)"
    return f"{table} WHERE {at_event}", (subject, notice.event, notice.event)


def _count_receivers(number: int) -> int | None:
    """Return the number of receivers: of a role those of now. None when the notification is no longer kept."""
    notice = find(number)
    if notice is None:
        return None
    if notice.audience == USERS:
        return len(msgspec.json.decode(notice.receivers, type=list[int]))
    if notice.audience == ROLE:
        return User.select().where(User.role == notice.receivers, User.status == "active").count()
    members, subject = _members(notice)
    return int(rows(f"SELECT count(*) FROM {members}", subject)[0][0])


def is_receiver(notice: Notice, user: int) -> bool:
    """Return whether a user is among the receivers."""
    return next_receivers(notice, user - 1, 1) == [user]


def readers(notice: Notice, users: Sequence[int], grouping: str) -> set[int]:
    """Return which of the users have read what the notification is about: for a conversation, all messages up to the event; else
    an earlier notification of the same group, none of which is unread."""
    if not notice.unless_read or not users:
        return set()
    if notice.audience == CONVERSATION:
        return _readers_of_conversation(int(notice.receivers), notice.event, users)
    columns = (Notification.user, Notification.read_ms)
    earlier = Notification.select(*columns).where(
        Notification.user.in_(list(users)), Notification.grouping == grouping, Notification.mail_only.is_null()
    )
    read, unread = set[int](), set[int]()
    for user, read_ms in fetch_rows(earlier):
        (unread if read_ms is None else read).add(user)
    return read - unread


def _readers_of_conversation(conversation: int, event: int, users: Sequence[int]) -> set[int]:
    # Raw: the models of conversations are in models.chat, which imports this package.
    upto = "y.conversation_id=? AND y.event<=?"
    if not rows(f"SELECT 1 FROM messages y WHERE {upto} AND y.deleted_ms IS NULL LIMIT 1", (conversation, event)):
        return set()
    found = rows(
        f"SELECT m.user_id FROM memberships m WHERE m.conversation_id=? AND m.user_id IN ({placeholders(len(users))}) "
        "AND m.from_event<=? AND (m.to_event IS NULL OR m.to_event>?) AND NOT EXISTS (SELECT 1 FROM messages y "
        f"WHERE {upto} AND {UNREAD_SQL})",
        (conversation, *users, event, event, conversation, event),
    )
    return {user for (user,) in found}


def advance(tx: Transaction, notice: Notice, position: int, users: int) -> None:
    """Advance the position past so many users, unless it has moved since it was read: then raise CheckpointMovedError."""
    # Raw: a query that is built takes a tenth of the time for which this transaction has the log's lock.
    moved = "UPDATE host_notices SET position=?, done=? WHERE id=? AND position=? AND ended_ms IS NULL"
    if affected_rows(moved, (position, notice.done + users, notice.id, notice.position)) != 1:
        raise CheckpointMovedError


def complete(tx: Transaction, notice: Notice) -> None:
    """Mark the notification as delivered to all. Raises like `advance`."""
    unmoved = (HostNotice.position == notice.position) & HostNotice.ended_ms.is_null()
    if HostNotice.update(ended_ms=tx.now_ms).where(HostNotice.id == notice.id, unmoved).execute() != 1:
        raise CheckpointMovedError


def list_due(now_ms: int, limit: int) -> list[Event]:
    """Return the events of notifications whose time has come, the longest due first, without those that are parked."""
    # Raw: one join, which Peewee has no foreign key for.
    found = rows(
        "SELECT e.id, e.stream, e.type, e.at_ms, e.data FROM host_notices n JOIN events e ON e.id=n.event "
        f"WHERE n.due_ms IS NOT NULL AND n.ended_ms IS NULL AND n.due_ms<=? AND e.id NOT IN ({PARKED_SQL}) "
        f"ORDER BY n.due_ms LIMIT {limit}",
        (now_ms,),
    )
    return [Event(number, stream, kind, at_ms, data.encode()) for number, stream, kind, at_ms, data in found]


def delivered(events: Collection[int]) -> set[int]:
    """Return which of these events are delivered to all, or are no longer kept."""
    left = HostNotice.select(HostNotice.event).where(HostNotice.event.in_(list(events)), HostNotice.ended_ms.is_null())
    return set(events) - set(fetch_column(left))


def list_newest(limit: int) -> list[Mapping[str, Any]]:
    """Notifications with the progress of their delivery, newest first.

    `total` is None before the first receiver was notified, and for all but the first MAX_COUNTED that are being delivered.
    """
    named = peewee.Case(None, [(HostNotice.audience != USERS, HostNotice.receivers)])
    about = (HostNotice.id, HostNotice.event, HostNotice.type, HostNotice.audience, named, HostNotice.done)
    query = HostNotice.select(*about, HostNotice.due_ms, HostNotice.created_ms, HostNotice.ended_ms)
    newest = fetch_rows(query.order_by(HostNotice.id.desc()).limit(limit))
    begun = [number for number, _, _, _, _, done, _, _, ended_ms in newest if done and ended_ms is None]
    totals = {number: _count_receivers(number) for number in begun[:MAX_COUNTED]}
    parked, now = {event for (event,) in rows(PARKED_SQL)}, engine().now_ms()
    return [
        {
            "job": number,
            "event": event,
            "type": type_,
            "audience": audience,
            "receivers": receivers,
            "state": _state(ended_ms, is_parked=event in parked, waits=(due_ms or 0) > now),
            "done": done,
            "total": totals.get(number) if ended_ms is None else done,
            "due_at": rfc3339_or_none(due_ms),
            "created_at": rfc3339(created_ms),
            "ended_at": rfc3339_or_none(ended_ms),
        }
        for number, event, type_, audience, receivers, done, due_ms, created_ms, ended_ms in newest
    ]


def _state(ended_ms: int | None, *, is_parked: bool, waits: bool) -> str:
    if ended_ms is not None:
        return "done"
    return "failed" if is_parked else "waiting" if waits else "running"


def trim(tx: Transaction, before_ms: int, limit: int) -> int:
    """Delete notifications that were delivered before a time, and at most `limit`; returns how many. Keys stay."""
    ended = HostNotice.select(HostNotice.id).where(HostNotice.ended_ms < before_ms).order_by(HostNotice.ended_ms).limit(limit)
    return int(HostNotice.delete().where(HostNotice.id.in_(ended)).execute())
