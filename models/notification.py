"""In-app notifications: one unread row for a group of causes, growing while unread, and the causes it shows.

A cause is a row of its own, unique by user and cause and kept when the notification is read, so that whatever is done again
after a crash is counted once (promise 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import peewee

from models.clock import rfc3339, rfc3339_or_none
from models.database import Base, NeverReusedIdField, chunks, execute, given, insert_rows, marks, rows
from models.event import Log, user_stream
from models.user import User

COLUMNS = "id, user_id, type, title, body, data, count, created_ms, read_ms"
INSERTED = ("id", "user_id", "type", "title", "body", "data", "count", "grouping", "created_ms", "updated_ms")
KEYS_A_QUERY = 200


class Notification(Base):
    """One notification. `grouping` says what is counted together while unread."""

    id = NeverReusedIdField()
    user = peewee.ForeignKeyField(User, index=False)
    type = peewee.CharField(max_length=16)
    title = peewee.CharField(max_length=200)
    body = peewee.TextField()
    data = peewee.TextField()
    count = peewee.IntegerField()
    grouping = peewee.CharField(max_length=64)
    created_ms = peewee.BigIntegerField()
    updated_ms = peewee.BigIntegerField()
    read_ms = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "notifications"
        indexes = ((("user", "id"), False),)


Notification.add_index(  # one unread row a user and group
    Notification.index(
        Notification.user,
        Notification.grouping,
        unique=True,
        where=peewee.SQL("read_ms IS NULL"),
        name="notification_unread",
    )
)


class NotificationCause(Base):
    """What a notification was made for: `message:12`."""

    user = peewee.ForeignKeyField(User, index=False)
    cause = peewee.CharField(max_length=64)
    notification = peewee.BigIntegerField()

    class Meta:
        table_name = "notification_causes"
        primary_key = peewee.CompositeKey("user", "cause")


class Cause(msgspec.Struct, gc=False):
    """One reason to notify one user. `title` and `body` are the words for a count of one, taken as they are, for they may hold
    people's names; `title_more` and `body_more` for larger counts, with `{n}` where the count stands (empty: the same words)."""

    user: int
    cause: str
    grouping: str
    type: str
    title: str
    body: str
    data: bytes
    title_more: str = ""
    body_more: str = ""


def _worded(cause: Cause, count: int) -> tuple[str, str]:
    if count == 1:
        return cause.title, cause.body
    n = str(count)
    return (
        cause.title_more.replace("{n}", n) if cause.title_more else cause.title,
        cause.body_more.replace("{n}", n) if cause.body_more else cause.body,
    )


def conversation_group(conversation: int) -> str:
    """Messages of one conversation are counted together."""
    return f"conversation:{conversation}"


def add(log: Log, causes: Sequence[Cause]) -> tuple[int, int]:
    """Counts each cause that is new, once: in the unread notification of its group, or a new one.

    Returns (notifications made, causes counted). A fixed few statements, whatever the number of causes.
    """
    fresh = _new_causes(causes)
    groups: dict[tuple[int, str], list[Cause]] = {}
    for cause in fresh:
        groups.setdefault((cause.user, cause.grouping), []).append(cause)
    made = grow(log, [(group[-1], len(group)) for group in groups.values()])
    values = [(c.user, c.cause, made[c.user, c.grouping][0]) for c in fresh]
    insert_rows(NotificationCause, ("user_id", "cause", "notification"), values)
    return sum(new for _, new in made.values()), len(fresh)


def _new_causes(causes: Sequence[Cause]) -> list[Cause]:
    known: set[tuple[int, str]] = set()
    for part in chunks(causes, KEYS_A_QUERY):
        keys = [v for c in part for v in (c.user, c.cause)]
        known |= set(
            rows(
                given("member, cause", len(part)) + "SELECT c.user_id, c.cause FROM given CROSS JOIN notification_causes c "
                "WHERE c.user_id=given.member AND c.cause=given.cause",
                keys,
            )
        )
    fresh = {(c.user, c.cause): c for c in causes if (c.user, c.cause) not in known}
    return list(fresh.values())


def grow(log: Log, counted: Sequence[tuple[Cause, int]]) -> dict[tuple[int, str], tuple[int, bool]]:
    """Adds counts to unread notifications, one of each (user, group), making those that are not there, and announces each.

    Returns (user, group) -> (notification id, whether it is new).
    """
    unread = _unread_of(counted)
    made: dict[tuple[int, str], tuple[int, bool]] = {}
    new: list[tuple[Any, ...]] = []
    grown: list[tuple[Any, ...]] = []
    for cause, n in counted:
        there = unread.get((cause.user, cause.grouping))
        id_, count, created = there or (log.take_id("notifications"), 0, log.now_ms)
        count += n
        title, body = _worded(cause, count)
        data = cause.data.decode()
        if there is None:
            new.append((id_, cause.user, cause.type, title, body, data, count, cause.grouping, created, log.now_ms))
        else:
            grown.append((id_, count, title, body, data))
        made[cause.user, cause.grouping] = (id_, there is None)
        seen = msgspec.json.encode(view((id_, cause.user, cause.type, title, body, cause.data, count, created, None)))
        log.append(user_stream(cause.user), "notification.created" if there is None else "notification.updated", seen)
    insert_rows(Notification, INSERTED, new)
    _update(log, grown)
    return made


class Growth(NamedTuple):
    """How an unread notification will look when its count has grown from `old` to `new`; `seen` is NOTIFICATION as JSON."""

    cause: Cause
    id: int
    old: int
    new: int
    title: str
    body: str
    seen: bytes


def foresee(counted: Sequence[tuple[Cause, int]]) -> list[Growth]:
    """What `grow` would make of the notifications that are unread now: most of its work, done before the write lock is taken."""
    unread = _unread_of(counted)
    found = []
    for cause, n in counted:
        there = unread.get((cause.user, cause.grouping))
        if there is not None:
            id_, old, created = there
            title, body = _worded(cause, old + n)
            seen = view((id_, cause.user, cause.type, title, body, cause.data, old + n, created, None))
            found.append(Growth(cause, id_, old, old + n, title, body, msgspec.json.encode(seen)))
    return found


def grow_foreseen(log: Log, counted: Sequence[tuple[Cause, int]], foreseen: Sequence[Growth]) -> tuple[int, int]:
    """The same as `grow(log, counted)`, faster: those still as they were foreseen are written as prepared, the others grow now.

    Returns (notifications made or grown, those made).
    """
    still: set[int] = set()
    for part in chunks(foreseen, KEYS_A_QUERY):
        still |= {
            i
            for (i,) in rows(
                given("id, old, count, title, body, data", len(part)) + "UPDATE notifications SET count=given.count, "
                "title=given.title, body=given.body, data=given.data, updated_ms=? FROM given WHERE notifications.id=given.id "
                "AND notifications.count=given.old AND notifications.read_ms IS NULL RETURNING notifications.id",
                [*(v for g in part for v in (g.id, g.old, g.new, g.title, g.body, g.cause.data.decode())), log.now_ms],
            )
        }
    written = [g for g in foreseen if g.id in still]
    for growth in written:
        log.append(user_stream(growth.cause.user), "notification.updated", growth.seen)
    done = {(g.cause.user, g.cause.grouping) for g in written}
    made = grow(log, [(cause, n) for cause, n in counted if (cause.user, cause.grouping) not in done])
    return len(written) + len(made), sum(new for _, new in made.values())


def _update(log: Log, grown: Sequence[tuple[Any, ...]]) -> None:
    """Writes (id, count, title, body, data) of those that grew, many a statement: thousands may grow at once."""
    for part in chunks(grown, KEYS_A_QUERY):
        execute(
            given("id, count, title, body, data", len(part)) + "UPDATE notifications SET count=given.count, title=given.title, "
            "body=given.body, data=given.data, updated_ms=? FROM given WHERE notifications.id=given.id",
            [*(value for row in part for value in row), log.now_ms],
        )


def _unread_of(counted: Iterable[tuple[Cause, int]]) -> dict[tuple[int, str], tuple[int, int, int]]:
    unread: dict[tuple[int, str], tuple[int, int, int]] = {}
    for part in chunks(counted, KEYS_A_QUERY):
        keys = [v for c, _ in part for v in (c.user, c.grouping)]
        found = rows(
            given("member, grouping", len(part)) + "SELECT n.user_id, n.grouping, n.id, n.count, n.created_ms FROM given "
            "CROSS JOIN notifications n WHERE n.user_id=given.member AND n.grouping=given.grouping AND n.read_ms IS NULL",
            keys,
        )
        unread |= {(user, grouping): (i, count, created) for user, grouping, i, count, created in found}
    return unread


def view(row: Sequence[Any]) -> dict[str, Any]:
    """NOTIFICATION of the contract, from a row of COLUMNS."""
    id_, _, kind, title, body, data, count, created, read = row
    return {
        "id": id_,
        "type": kind,
        "title": title,
        "body": body,
        "data": msgspec.Raw(data if isinstance(data, bytes) else data.encode()),
        "count": count,
        "created_at": rfc3339(created),
        "read_at": rfc3339_or_none(read),
    }


def listed(user: int, unread_only: bool, kind: str | None, before: int | None, limit: int) -> list[dict[str, Any]]:
    """The user's notifications, newest first."""
    where, params = ["user_id=?", "id<?"], [user, before if before is not None else 2**62]  # type: list[str], list[Any]
    if unread_only:
        where.append("read_ms IS NULL")
    if kind is not None:
        where.append("type=?")
        params.append(kind)
    found = rows(f"SELECT {COLUMNS} FROM notifications WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?", (*params, limit))
    return [view(row) for row in found]


def unread_count(user: int) -> int:
    """How many of the user's notifications are unread."""
    return int(rows("SELECT count(*) FROM notifications WHERE user_id=? AND read_ms IS NULL", (user,))[0][0])


def mark_read(log: Log, user: int, ids: Sequence[int] | None) -> int:
    """Marks the user's notifications read (None: all) and returns how many are left unread. Other people's ids are passed over."""
    chosen = "" if ids is None else f" AND id IN ({marks(len(ids))})"
    params = (user, *(ids or ()))
    changed = sorted(i for (i,) in rows(f"SELECT id FROM notifications WHERE user_id=? AND read_ms IS NULL{chosen}", params))
    if ids is None and changed:
        execute("UPDATE notifications SET read_ms=? WHERE user_id=? AND read_ms IS NULL", (log.now_ms, user))
    elif changed:
        execute(f"UPDATE notifications SET read_ms=? WHERE id IN ({marks(len(changed))})", (log.now_ms, *changed))
    left = unread_count(user)
    if changed:
        what: dict[str, Any] = {"all": True} if ids is None else {"ids": changed}
        log.append(user_stream(user), "notification.read", msgspec.json.encode({**what, "unread": left}))
    return left


def mark_group_read(log: Log, user: int, grouping: str) -> None:
    """Reads the group's unread notification, when there is one: its conversation was read."""
    found = rows("SELECT id FROM notifications WHERE user_id=? AND grouping=? AND read_ms IS NULL", (user, grouping))
    if found:
        mark_read(log, user, [found[0][0]])
