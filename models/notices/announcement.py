"""Announcements to many people: their contents, and how far their delivery has come.

The place reached is moved by the transaction that notifies, so whatever crashes, each receiver hears once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import peewee

from models.log.checkpoint import CheckpointMovedError
from models.log.event import FANOUTS, Transaction, user_stream
from models.notices import pending_mail
from models.notices.counts import INSERT_COLUMNS
from models.notices.notification import MAIL_ONLY_PREFIX, TITLE_CHARS, Notification, view
from models.notices.schedule import AT_ONCE
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.database import Base, NeverReusedIdField, affected_rows, execute, insert_rows, placeholders, rows

REQUESTED = "announcement.asked"
BODY_CHARS = 2_000
DATA_BYTES = 4_096
IDS_A_QUERY = 500
COLUMNS = "id, by_user, role, user_ids, type, title, body, data, total, done, position, created_ms, ended_ms"


class Announcement(Base):
    """One announcement: to all active users of a role, or to those of `user_ids` (JSON, ascending). `position` is the last user
    that was reached, `done` how many were, of `total` when that is known."""

    id = NeverReusedIdField()
    by_user = peewee.BigIntegerField()
    role = peewee.CharField(max_length=8, null=True)
    user_ids = peewee.TextField(null=True)
    type = peewee.CharField(max_length=16)
    title = peewee.CharField(max_length=TITLE_CHARS)
    body = peewee.TextField()
    data = peewee.TextField()
    total = peewee.IntegerField(null=True)
    done = peewee.IntegerField()
    position = peewee.BigIntegerField()
    created_ms = peewee.BigIntegerField()
    ended_ms = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "fanouts"


class AnnouncementContent(NamedTuple):
    """What is to be said, and to whom."""

    by: int
    role: str | None
    users: Sequence[int] | None
    type: str
    title: str
    body: str
    data: bytes


class AnnouncementProgress(NamedTuple):
    """An announcement as it stands."""

    id: int
    content: AnnouncementContent
    total: int | None
    done: int
    position: int
    created_ms: int
    ended_ms: int | None


class Receiver(NamedTuple):
    """Somebody to be told, and how: `mail_ms` as in models.notices.causes.Cause."""

    user: int
    in_app: bool
    mail_ms: int | None


def create(tx: Transaction, content: AnnouncementContent) -> int:
    """Takes an announcement; returns its number. Telling people is a drain's work."""
    users = None if content.users is None else msgspec.json.encode(sorted(set(content.users))).decode()
    number = tx.next_id("fanouts")
    insert_rows(
        Announcement,
        ("id", "by_user", "role", "user_ids", "type", "title", "body", "data", "done", "position", "created_ms"),
        [
            (
                number,
                content.by,
                content.role,
                users,
                content.type,
                content.title,
                content.body,
                content.data.decode(),
                0,
                0,
                tx.now_ms,
            )
        ],
    )
    tx.append(FANOUTS, REQUESTED, msgspec.json.encode({"fanout": number}))
    return number


def find(number: int) -> AnnouncementProgress:
    """One announcement."""
    return _progress(rows(f"SELECT {COLUMNS} FROM fanouts WHERE id=?", (number,))[0])


def _progress(row: tuple[Any, ...]) -> AnnouncementProgress:
    number, by, role, users, kind, title, body, data, *rest = row
    ids = None if users is None else msgspec.json.decode(users, type=list[int])
    return AnnouncementProgress(number, AnnouncementContent(by, role, ids, kind, title, body, data.encode()), *rest)


def next_receivers(content: AnnouncementContent, after: int, limit: int) -> list[int]:
    """The next of its receivers by id: active users only."""
    if content.users is None:
        sql = "SELECT id FROM users WHERE role=? AND status='active' AND id>? ORDER BY id LIMIT ?"
        return [i for (i,) in rows(sql, (content.role, after, limit))]
    found: list[int] = []
    rest = [user for user in content.users if user > after]
    for start in range(0, len(rest), IDS_A_QUERY):
        part = rest[start : start + IDS_A_QUERY]
        sql = f"SELECT id FROM users WHERE id IN ({placeholders(len(part))}) AND status='active' ORDER BY id"
        found += [i for (i,) in rows(sql, part)]
        if len(found) >= limit:
            break
    return found[:limit]


def count_receivers(content: AnnouncementContent) -> int:
    """How many receivers there are now."""
    if content.users is None:
        return int(rows("SELECT count(*) FROM users WHERE role=? AND status='active'", (content.role,))[0][0])
    return len(next_receivers(content, 0, len(content.users)))


def advance(tx: Transaction, progress: AnnouncementProgress, position: int, done: int, total: int) -> None:
    """The right to tell the next: moves the place on from where it was read, or raises CheckpointMovedError."""
    sql = "UPDATE fanouts SET position=?, done=?, total=? WHERE id=? AND position=? AND ended_ms IS NULL"
    if affected_rows(sql, (position, done, total, progress.id, progress.position)) != 1:
        raise CheckpointMovedError


def complete(tx: Transaction, progress: AnnouncementProgress) -> None:
    """Everybody was told."""
    execute("UPDATE fanouts SET ended_ms=?, total=coalesce(total, 0) WHERE id=? AND ended_ms IS NULL", (tx.now_ms, progress.id))


def notify(tx: Transaction, progress: AnnouncementProgress, receivers: Sequence[Receiver]) -> None:
    """Notifies receivers, all in the same words, and has the mails sent."""
    content, group = progress.content, f"fanout:{progress.id}"
    before, after = _halves(content, tx.now_ms)
    data, new = content.data.decode(), []
    now, later = [], []
    for user, in_app, mail_ms in receivers:
        number = tx.next_id("notifications")
        row = (
            number,
            user,
            content.type,
            content.title,
            content.body,
            data,
            1,
            group if in_app else MAIL_ONLY_PREFIX + group,
            tx.now_ms,
            tx.now_ms,
        )
        new.append((*row, None, None if in_app else True))
        if in_app:
            tx.append(user_stream(user), "notification.created", b"%s%d%s" % (before, number, after))
        if mail_ms == AT_ONCE:
            now.append((user, [number], False))
        elif mail_ms is not None:
            later.append((number, user, mail_ms, False))
    insert_rows(Notification, INSERT_COLUMNS, new)
    pending_mail.queue(tx, pending_mail.SINGLE, now)
    pending_mail.add(tx, later)


def _halves(content: AnnouncementContent, now_ms: int) -> tuple[bytes, bytes]:
    """NOTIFICATION as JSON, before and after its id, which comes first: all else is the same for everybody."""
    whole = msgspec.json.encode(view((0, 0, content.type, content.title, content.body, content.data, 1, now_ms, None)))
    before, _, after = whole.partition(b"0")
    return before, after


def list_newest(limit: int) -> list[Mapping[str, Any]]:
    """Announcements, newest first, and how far each is."""
    found = [_progress(row) for row in rows(f"SELECT {COLUMNS} FROM fanouts ORDER BY id DESC LIMIT ?", (limit,))]
    return [
        {
            "job": one.id,
            "title": one.content.title,
            "by": one.content.by,
            "state": "running" if one.ended_ms is None else "done",
            "done": one.done,
            "total": one.total,
            "created_at": rfc3339(one.created_ms),
            "ended_at": rfc3339_or_none(one.ended_ms),
        }
        for one in found
    ]


def trim(tx: Transaction, before_ms: int, limit: int) -> int:
    """Forgets those that ended long ago; returns how many."""
    return affected_rows(
        "DELETE FROM fanouts WHERE id IN (SELECT id FROM fanouts WHERE ended_ms<? ORDER BY id LIMIT ?)", (before_ms, limit)
    )
