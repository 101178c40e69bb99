"""In-app notifications: their table, listing them and marking them as read.

A user has one unread notification for each grouping; models/notices/counts.py increases its count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import peewee
from peewee import Case, fn

from models.identity.user import User
from models.log.event import Transaction, user_stream
from models.notices import message_counts, pushes
from models.notices.message_counts import MessageInterval, NewestMessage
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.database import (
    ID_MAX,
    Base,
    NeverReusedIdField,
    WidenedCharField,
    chunks,
    execute,
    fetch_column,
    fetch_rows,
    placeholders,
    rows,
)

MAX_TITLE_CHARS = 200
MAX_TYPE_CHARS = 60
MAIL_ONLY_PREFIX = "~"  # begins the grouping of notifications that are only mailed
VISIBLE_SQL = "mail_only IS NULL"
HAS_PUSH_SQL = "EXISTS (SELECT 1 FROM pushes p WHERE p.notification=notifications.id)"  # so most reads have no further statement
MAX_IDS_PER_QUERY = 500
NEWEST_SQL = (  # the newest message of the conversation that a notification is about, NULL for others
    "(SELECT max(y.id) FROM messages y "
    "WHERE y.conversation_id=(SELECT f.conversation_id FROM messages f WHERE f.id=notifications.from_message))"
)


class Notification(Base):
    """One notification. Causes with the same `grouping` are counted in it while it is unread. `by_user` is the user who caused it
    first, if any. `mail_only` is true for a notification that is only mailed, since its type is off in-app; else null. `url` is
    where one of the host's leads to."""

    id = NeverReusedIdField()
    user = peewee.ForeignKeyField(User, index=False)
    type = WidenedCharField(MAX_TYPE_CHARS, 16)
    title = peewee.CharField(max_length=MAX_TITLE_CHARS)
    body = peewee.TextField()
    data = peewee.TextField()
    count = peewee.IntegerField()
    grouping = peewee.CharField(max_length=64)
    created_ms = peewee.BigIntegerField()
    updated_ms = peewee.BigIntegerField()
    read_ms = peewee.BigIntegerField(null=True)
    by_user = peewee.BigIntegerField(null=True)
    mail_only = peewee.BooleanField(null=True)
    url = peewee.TextField(null=True)
    from_message = peewee.BigIntegerField(null=True)  # of one about messages: the first that it counts
    upto_message = peewee.BigIntegerField(null=True)  # the newest that it told of; of one that was read, the newest of all then
    mentions_only = peewee.BooleanField(null=True)  # it counts only messages that mention the user

    class Meta:
        table_name = "notifications"
        indexes = ((("user", "id"), False),)


Notification.add_index(  # one unread row for each user and grouping
    Notification.index(
        Notification.user,
        Notification.grouping,
        unique=True,
        where=peewee.SQL("read_ms IS NULL"),
        name="notification_unread",
    )
)
Notification.add_index(  # whether a message was told of before
    Notification.index(
        Notification.user,
        Notification.grouping,
        Notification.upto_message,
        where=peewee.SQL("read_ms IS NOT NULL AND upto_message IS NOT NULL"),
        name="notification_upto",
    )
)
Notification.add_index(  # for `causes.trim`
    Notification.index(Notification.read_ms, where=peewee.SQL("read_ms IS NOT NULL"), name="notification_read")
)
Notification.add_index(  # for the limit of notifications by one user to another
    Notification.index(
        Notification.by_user,
        Notification.user,
        Notification.type,
        Notification.created_ms,
        where=peewee.SQL("by_user IS NOT NULL"),
        name="notification_by_user",
    )
)


def conversation_grouping(conversation: int) -> str:
    """The grouping of the messages of one conversation."""
    return f"conversation:{conversation}"


def view(row: Sequence[Any]) -> dict[str, Any]:
    """NOTIFICATION of the contract, from the values of SHOWN. `url` is left out if it leads nowhere."""
    id_, _, type_, title, body, data, count, created_ms, read_ms, url = row
    link = {} if url is None else {"url": url}
    return {
        "id": id_,
        "type": type_,
        "title": title,
        "body": body,
        "data": msgspec.Raw(data if isinstance(data, bytes) else data.encode()),
        "count": count,
        "created_at": rfc3339(created_ms),
        "read_at": rfc3339_or_none(read_ms),
        **link,
    }


SHOWN = (
    *(Notification.id, Notification.user, Notification.type, Notification.title, Notification.body, Notification.data),
    *(Notification.count, Notification.created_ms, Notification.read_ms, Notification.url),
)
INTERVAL = (Notification.from_message, Notification.upto_message, Notification.mentions_only)


def with_counts(found: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """The values of SHOWN, from those of SHOWN and INTERVAL. Those about messages are as of now: an unread one has the names and
    the link of the newest that is left."""
    intervals = {
        id_: MessageInterval(user, first, None if read_ms is None else upto, bool(mentions_only))
        for id_, user, *_, read_ms, _url, first, upto, mentions_only in found
        if first is not None
    }
    unread = {id_: interval for id_, interval in intervals.items() if interval.last is None}
    counts = dict(zip(intervals, message_counts.count(list(intervals.values())), strict=True))
    newest = dict(zip(unread, message_counts.newest(list(unread.values())), strict=True))
    return [_as_of_now(row[: len(SHOWN)], counts.get(row[0]), newest.get(row[0])) for row in found]


def _as_of_now(row: Sequence[Any], count: int | None, newest: NewestMessage | None) -> tuple[Any, ...]:
    if count is None:
        return tuple(row)
    id_, user, type_, title, _, data, _, *times_and_url = row
    if newest is not None:
        title = newest.title[:MAX_TITLE_CHARS]
        data = msgspec.json.encode({"conversation": newest.conversation, "message": newest.id}).decode()
    return id_, user, type_, title, message_counts.body(count), data, count, *times_and_url


def list_page(user: int, type_: str | None, before: int | None, limit: int, *, unread_only: bool) -> list[dict[str, Any]]:
    """The user's notifications, newest first."""
    end = before if before is not None else ID_MAX
    shown = (Notification.user == user) & Notification.mail_only.is_null()
    query = Notification.select(*SHOWN, *INTERVAL).where(shown, Notification.id < end)
    if unread_only:
        query = query.where(Notification.read_ms.is_null())
    if type_ is not None:
        query = query.where(Notification.type == type_)
    return [view(row) for row in with_counts(fetch_rows(query.order_by(Notification.id.desc()).limit(limit)))]


def find(number: int) -> dict[str, Any] | None:
    """One notification, of any user; None if it does not exist."""
    found = with_counts(fetch_rows(Notification.select(*SHOWN, *INTERVAL).where(Notification.id == number)))
    return view(found[0]) if found else None


def unread_count(user: int) -> int:
    """How many of the user's notifications are unread."""
    # Raw: part of moving a read mark.
    return int(rows(f"SELECT count(*) FROM notifications WHERE user_id=? AND read_ms IS NULL AND {VISIBLE_SQL}", (user,))[0][0])


def unread_counts(user: int) -> tuple[int, int]:
    """How many of the user's notifications are unread, and how many of them are about messages."""
    unread = Notification.select(fn.COUNT(Notification.id), fn.COUNT(Case(None, [(Notification.type == "message", 1)])))
    ((count, of_messages),) = fetch_rows(
        unread.where(Notification.user == user, Notification.read_ms.is_null(), Notification.mail_only.is_null())
    )
    return int(count), int(of_messages)


def mark_read(tx: Transaction, user: int, ids: Sequence[int] | None) -> int:
    """Mark notifications of the user as read (None: all); returns how many are unread after it. Ids of other users are ignored."""
    # Raw: part of moving a read mark.
    chosen = "" if ids is None else f" AND id IN ({placeholders(len(ids))})"
    where = f"user_id=? AND read_ms IS NULL AND {VISIBLE_SQL}{chosen}"
    found = rows(f"SELECT id, {HAS_PUSH_SQL} FROM notifications WHERE {where}", (user, *(ids or ())))
    read = sorted(id_ for id_, _ in found)
    _set_read(tx, read)
    pushes.recall(tx, [id_ for id_, has_push in found if has_push])
    unread = unread_count(user)
    if read:
        marked: dict[str, Any] = {"all": True} if ids is None else {"ids": read}
        tx.append(user_stream(user), "notification.read", msgspec.json.encode({**marked, "unread": unread}))
    return unread


def mark_group_read(tx: Transaction, user: int, grouping: str) -> None:
    """Mark the user's unread notifications of a grouping as read, both the shown and the mail-only one."""
    # Raw: part of moving a read mark.
    unread = rows(
        f"SELECT id, mail_only, {HAS_PUSH_SQL} FROM notifications WHERE user_id=? AND grouping IN (?,?) AND read_ms IS NULL",
        (user, grouping, MAIL_ONLY_PREFIX + grouping),
    )
    _set_read(tx, [id_ for id_, mail_only, _ in unread if mail_only])
    pushes.recall(tx, [id_ for id_, mail_only, has_push in unread if mail_only and has_push])
    shown = [id_ for id_, mail_only, _ in unread if not mail_only]
    if shown:
        mark_read(tx, user, shown)


def mark_mail_only_read(tx: Transaction, ids: Sequence[int]) -> None:
    """Mark those of the notifications as read that are only mailed: after their mail, the next cause creates a new one."""
    mail_only = Notification.select(Notification.id).where(Notification.mail_only.is_null(is_null=False))
    for part in chunks(ids, MAX_IDS_PER_QUERY):
        _set_read(tx, fetch_column(mail_only.where(Notification.id.in_(part))), by_user=False)


def _set_read(tx: Transaction, ids: Sequence[int], *, by_user: bool = True) -> None:
    """Mark unread notifications as read. Those about messages that the user has read are about all up to the newest, also when the
    drain has not come to it; that it was mailed is no reason not to be notified of those."""
    # Raw: part of moving a read mark.
    upto = f", upto_message={NEWEST_SQL}" if by_user else ""
    for part in chunks(ids, MAX_IDS_PER_QUERY):
        execute(
            f"UPDATE notifications SET read_ms=?{upto} WHERE id IN ({placeholders(len(part))}) AND read_ms IS NULL",
            (tx.now_ms, *part),
        )


class UnreadNotification(NamedTuple):
    """The content of an unread notification, for a mail."""

    id: int
    type: str
    title: str
    body: str
    data: dict[str, Any]
    grouping: str
    url: str | None


def find_unread(user: int, ids: Sequence[int]) -> list[UnreadNotification]:
    """Those of the user's notifications that are unread, oldest first; without those all of whose messages are deleted or read."""
    query = Notification.select(*SHOWN, *INTERVAL, Notification.grouping)
    query = query.where(Notification.user == user, Notification.read_ms.is_null())
    unread: list[UnreadNotification] = []
    for part in chunks(sorted(ids), MAX_IDS_PER_QUERY):
        found = fetch_rows(query.where(Notification.id.in_(part)).order_by(Notification.id))
        shown = with_counts([row[:-1] for row in found])
        unread += [_unread(row, grouping) for row, (*_, grouping) in zip(shown, found, strict=True) if row[6]]
    return unread


def _unread(shown: Sequence[Any], grouping: str) -> UnreadNotification:
    id_, _, type_, title, body, data, *_, url = shown
    return UnreadNotification(id_, type_, title, body, msgspec.json.decode(data), grouping, url)
