"""Announcements to many users: their contents, and the progress of their delivery.

The transaction that notifies receivers also advances the position, so each receiver is notified once despite crashes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import peewee
from peewee import fn

from models.identity.user import User
from models.log.checkpoint import CheckpointMovedError
from models.log.event import FANOUTS, Transaction, user_stream
from models.notices import pending_mail, pushes
from models.notices.counts import INSERT_COLUMNS
from models.notices.notification import MAIL_ONLY_PREFIX, MAX_TITLE_CHARS, Notification, view
from models.notices.pushes import NewPush
from models.notices.schedule import AT_ONCE
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.database import Base, NeverReusedIdField, affected_rows, chunks, fetch_column, fetch_rows, insert_rows

REQUESTED = "announcement.asked"
MAX_BODY_CHARS = 2_000
MAX_DATA_BYTES = 4_096
MAX_IDS_PER_QUERY = 500


class Announcement(Base):
    """One announcement: to all active users of a role, or to those of `user_ids` (JSON, ascending). `position` is the last user
    who was notified, `done` how many were, of `total` when that is known."""

    id = NeverReusedIdField()
    by_user = peewee.BigIntegerField()
    role = peewee.CharField(max_length=8, null=True)
    user_ids = peewee.TextField(null=True)
    type = peewee.CharField(max_length=16)
    title = peewee.CharField(max_length=MAX_TITLE_CHARS)
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
    """The words of an announcement, its author and its receivers: a role or users."""

    by: int
    role: str | None
    users: Sequence[int] | None
    type: str
    title: str
    body: str
    data: bytes


class AnnouncementProgress(NamedTuple):
    """An announcement and the progress of its delivery."""

    id: int
    content: AnnouncementContent
    total: int | None
    done: int
    position: int
    created_ms: int
    ended_ms: int | None


class Receiver(NamedTuple):
    """A user to notify, and how: `mail_ms` and `push_ms` as in models.notices.causes.Cause."""

    user: int
    in_app: bool
    mail_ms: int | None
    push_ms: int | None = None


def create(tx: Transaction, content: AnnouncementContent) -> int:
    """Store an announcement and append the event from which a drain delivers it; returns its id."""
    users = None if content.users is None else msgspec.json.encode(sorted(set(content.users))).decode()
    number = tx.next_id("fanouts")
    Announcement.insert(
        id=number,
        by_user=content.by,
        role=content.role,
        user_ids=users,
        type=content.type,
        title=content.title,
        body=content.body,
        data=content.data.decode(),
        done=0,
        position=0,
        created_ms=tx.now_ms,
    ).as_rowcount().execute()
    tx.append(FANOUTS, REQUESTED, msgspec.json.encode({"fanout": number}))
    return number


def find(number: int) -> AnnouncementProgress:
    """An announcement that must exist."""
    (row,) = fetch_rows(_select().where(Announcement.id == number))
    return _progress(row)


def _select() -> Any:
    content = (Announcement.by_user, Announcement.role, Announcement.user_ids, Announcement.type, Announcement.title)
    progress = (Announcement.total, Announcement.done, Announcement.position, Announcement.created_ms, Announcement.ended_ms)
    return Announcement.select(Announcement.id, *content, Announcement.body, Announcement.data, *progress)


def _progress(row: tuple[Any, ...]) -> AnnouncementProgress:
    number, by, role, users, type_, title, body, data, *progress = row
    ids = None if users is None else msgspec.json.decode(users, type=list[int])
    return AnnouncementProgress(number, AnnouncementContent(by, role, ids, type_, title, body, data.encode()), *progress)


def next_receivers(content: AnnouncementContent, after: int, limit: int) -> list[int]:
    """The next receivers by id: active users only."""
    active = User.select(User.id).where(User.status == "active").order_by(User.id)
    if content.users is None:
        return fetch_column(active.where(User.role == content.role, User.id > after).limit(limit))
    receivers: list[int] = []
    left = content.users[bisect_right(content.users, after) :]
    for part in chunks(left, min(limit, MAX_IDS_PER_QUERY)):
        receivers += fetch_column(active.where(User.id.in_(part)))
        if len(receivers) >= limit:
            break
    return receivers[:limit]


def count_receivers(content: AnnouncementContent) -> int:
    """The number of receivers at present."""
    if content.users is not None:
        return len(next_receivers(content, 0, len(content.users)))
    return User.select().where(User.role == content.role, User.status == "active").count()


def advance(tx: Transaction, progress: AnnouncementProgress, position: int, done: int, total: int) -> None:
    """Advance the position, unless it has moved since `progress` was read: then raise CheckpointMovedError."""
    # Raw: a query that is built takes a tenth of the time for which this transaction has the log's lock.
    moved = "UPDATE fanouts SET position=?, done=?, total=? WHERE id=? AND position=? AND ended_ms IS NULL"
    if affected_rows(moved, (position, done, total, progress.id, progress.position)) != 1:
        raise CheckpointMovedError


def complete(tx: Transaction, progress: AnnouncementProgress) -> None:
    """Mark the announcement as delivered to all."""
    ended = Announcement.update(ended_ms=tx.now_ms, total=fn.COALESCE(Announcement.total, 0))
    ended.where(Announcement.id == progress.id, Announcement.ended_ms.is_null()).execute()


def notify(tx: Transaction, progress: AnnouncementProgress, receivers: Sequence[Receiver]) -> None:
    """Notify receivers, all with the same words, and queue their mails and pushes."""
    content, group = progress.content, f"fanout:{progress.id}"
    before, after = _halves(content, tx.now_ms)
    words, data = (content.type, content.title, content.body), content.data.decode()
    new, now, later, pushed = [], [], [], []
    for user, in_app, mail_ms, push_ms in receivers:
        number = tx.next_id("notifications")
        grouping = group if in_app else MAIL_ONLY_PREFIX + group
        row = (number, user, *words, data, 1, grouping, tx.now_ms, tx.now_ms)
        new.append((*row, None, None if in_app else True, None))
        if in_app:
            tx.append(user_stream(user), "notification.created", b"%s%d%s" % (before, number, after))
        if mail_ms == AT_ONCE:
            now.append((user, [number], False))
        elif mail_ms is not None:
            later.append((number, user, mail_ms, False))
        if push_ms is not None:
            pushed.append(NewPush(user, number, group, push_ms))
    insert_rows(Notification, INSERT_COLUMNS, new)
    pending_mail.queue(tx, pending_mail.SINGLE, now)
    pending_mail.add(tx, later)
    pushes.queue(tx, pushed)


def _halves(content: AnnouncementContent, now_ms: int) -> tuple[bytes, bytes]:
    """NOTIFICATION as JSON, before and after its id: all else is the same for every receiver."""
    whole = msgspec.json.encode(view((0, 0, content.type, content.title, content.body, content.data, 1, now_ms, None, None)))
    before, _, after = whole.partition(b"0")
    return before, after


def list_newest(limit: int) -> list[Mapping[str, Any]]:
    """Announcements with the progress of their delivery, newest first."""
    newest = [_progress(row) for row in fetch_rows(_select().order_by(Announcement.id.desc()).limit(limit))]
    return [
        {
            "job": progress.id,
            "title": progress.content.title,
            "by": progress.content.by,
            "state": "running" if progress.ended_ms is None else "done",
            "done": progress.done,
            "total": progress.total,
            "created_at": rfc3339(progress.created_ms),
            "ended_at": rfc3339_or_none(progress.ended_ms),
        }
        for progress in newest
    ]


def trim(tx: Transaction, before_ms: int, limit: int) -> int:
    """Delete announcements that ended before a time, and at most `limit`; returns how many."""
    ended = Announcement.select(Announcement.id).where(Announcement.ended_ms < before_ms).order_by(Announcement.id).limit(limit)
    return int(Announcement.delete().where(Announcement.id.in_(ended)).execute())
