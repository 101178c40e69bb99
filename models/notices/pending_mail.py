"""Notifications that a mail is to be sent about: at once, or later, alone or with others as one digest.

What waits is a row; when it is due, what its owner wants by then decides (jobs/mail/digests.py). A digest's period is a row,
too, unique
for a person, so whatever crashes and however many workers look, a period has one mail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import peewee

from models.identity.user import User
from models.log.event import Transaction
from models.notices import outbox
from models.notices.notification import Notification
from models.notices.outbox import NewMail
from models.store.database import Base, affected_rows, chunks, execute, insert_rows, placeholders, rows

SINGLE, DIGEST = "notification", "digest"  # kinds of mail
KEYS_A_QUERY = 200


class WaitingMail(Base):
    """A notification that is to be mailed, not before `due_ms`. `alone`: in a mail of its own; else as its owner's preference has
    it, counted from `since_ms`."""

    notification = peewee.ForeignKeyField(Notification, primary_key=True, on_delete="CASCADE")
    user = peewee.ForeignKeyField(User)
    since_ms = peewee.BigIntegerField()
    due_ms = peewee.BigIntegerField(index=True)
    alone = peewee.BooleanField()

    class Meta:
        table_name = "waiting_mail"


class Digest(Base):
    """A person's digest of a period is made: `hourly 2026-11-26T10:00+01:00`, `daily 2026-11-26`."""

    user = peewee.ForeignKeyField(User, index=False)
    period = peewee.CharField(max_length=32)
    at_ms = peewee.BigIntegerField(index=True)

    class Meta:
        table_name = "digests"
        primary_key = peewee.CompositeKey("user", "period")


class PendingMail(NamedTuple):
    """One that waits, with what decides of it."""

    notification: int
    user: int
    since_ms: int
    due_ms: int
    alone: bool
    type: str
    unread: bool


def add(tx: Transaction, waiting: Iterable[tuple[int, int, int, bool]]) -> None:
    """Puts (notification, user, due_ms, alone) in line; of one that waits already, the earlier time counts."""
    for part in chunks(waiting, KEYS_A_QUERY):
        insert_rows(
            WaitingMail,
            ("notification_id", "user_id", "since_ms", "due_ms", "alone"),
            [(notification, user, tx.now_ms, due_ms, alone) for notification, user, due_ms, alone in part],
            " ON CONFLICT (notification_id) DO UPDATE SET "
            "due_ms=CASE WHEN excluded.due_ms<waiting_mail.due_ms THEN excluded.due_ms ELSE waiting_mail.due_ms END, "
            "alone=waiting_mail.alone OR excluded.alone",
        )


def queue(tx: Transaction, kind: str, mails: Collection[tuple[int, Sequence[int], bool]]) -> None:
    """Queues mails to (user, their notifications, `again`), whose words are looked up when they are sent. `again`: they go also to
    who wants digests by then."""
    letters = []
    for part in chunks(mails, KEYS_A_QUERY):
        found = rows(
            f"SELECT id, email, display_name FROM users WHERE id IN ({placeholders(len(part))})", [user for user, *_ in part]
        )
        people = {user: (address, name) for user, address, name in found}
        for user, ids, again in part:
            letters.append(NewMail(kind, user, *people[user], {"notifications": list(ids), "again": again}))
    outbox.queue(tx, letters)


def find_due_ms(notification: int) -> int | None:
    """When its mail is due, if one is to be sent."""
    found = rows("SELECT due_ms FROM waiting_mail WHERE notification_id=?", (notification,))
    return int(found[0][0]) if found else None


def list_due_users(now_ms: int, limit: int) -> list[int]:
    """People of whom something is due, those who have waited longest first."""
    return [u for (u,) in rows("SELECT user_id FROM waiting_mail WHERE due_ms<=? ORDER BY due_ms LIMIT ?", (now_ms, limit))]


def list_due(users: Collection[int], now_ms: int) -> list[PendingMail]:
    """All that is due of these people, oldest first."""
    found = rows(
        "SELECT w.notification_id, w.user_id, w.since_ms, w.due_ms, w.alone, n.type, n.read_ms IS NULL FROM waiting_mail w "
        f"JOIN notifications n ON n.id=w.notification_id WHERE w.user_id IN ({placeholders(len(users))}) AND w.due_ms<=? "
        "ORDER BY w.notification_id",
        (*users, now_ms),
    )
    return [PendingMail(n, user, since, at, bool(alone), kind, bool(unread)) for n, user, since, at, alone, kind, unread in found]


def remove(tx: Transaction, notifications: Sequence[int]) -> set[int]:
    """Takes these out of the line; returns those that were in it: another worker may have been faster."""
    taken: set[int] = set()
    for part in chunks(notifications, KEYS_A_QUERY):
        sql = f"DELETE FROM waiting_mail WHERE notification_id IN ({placeholders(len(part))}) RETURNING notification_id"
        taken |= {n for (n,) in rows(sql, part)}
    return taken


def postpone(tx: Transaction, later: Iterable[tuple[PendingMail, int]]) -> None:
    """(waiting, until): not yet, unless it has another time since."""
    same: dict[tuple[int, int], list[int]] = {}
    for waiting, until_ms in later:
        same.setdefault((waiting.due_ms, until_ms), []).append(waiting.notification)
    for (due_ms, until_ms), notifications in same.items():
        for part in chunks(notifications, KEYS_A_QUERY):
            where = f"due_ms=? AND notification_id IN ({placeholders(len(part))})"
            execute(f"UPDATE waiting_mail SET due_ms=? WHERE {where}", (until_ms, due_ms, *part))


def claim_digest(tx: Transaction, user: int, period: str) -> bool:
    """Claims a person's digest of a period; False when it is made already."""
    sql = "INSERT INTO digests (user_id, period, at_ms) VALUES (?,?,?) ON CONFLICT DO NOTHING"
    return affected_rows(sql, (user, period, tx.now_ms)) == 1


def make_due_now(tx: Transaction, user: int) -> None:
    """What the person wants, or their clock, has changed: all that waits for a digest is looked at now."""
    execute("UPDATE waiting_mail SET due_ms=0 WHERE user_id=? AND alone=?", (user, False))


def trim(tx: Transaction, before_ms: int, limit: int) -> int:
    """Forgets the periods of long ago; returns how many."""
    return affected_rows(
        "DELETE FROM digests WHERE (user_id, period) IN (SELECT user_id, period FROM digests WHERE at_ms<? ORDER BY at_ms LIMIT ?)",
        (before_ms, limit),
    )
