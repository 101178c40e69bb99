"""Notifications that wait to be mailed: at once or later, in a mail of their own or together as one digest.

Each waiting notification is a row. When it is due, the user's preferences at that time decide (jobs/mail/digests.py). A digest's
period is a row too, unique for each user, so a period has one mail despite crashes and several workers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import peewee
from peewee import Tuple

from models.identity.user import User
from models.log.event import Transaction
from models.notices import outbox
from models.notices.notification import Notification
from models.notices.outbox import NewMail
from models.store.database import Base, chunks, fetch_column, fetch_rows, insert_rows

SINGLE, DIGEST = "notification", "digest"  # kinds of mail
MAX_KEYS_PER_QUERY = 200
MAX_SINGLE_DELAY_MS = 5 * 60_000  # a mail of its own that is due later waits for the end of quiet hours


class WaitingMail(Base):
    """A notification to be mailed, not before `due_ms`. If `single`, in a mail of its own, else by its owner's preference, counted
    from `since_ms`."""

    notification = peewee.ForeignKeyField(Notification, primary_key=True, on_delete="CASCADE")
    user = peewee.ForeignKeyField(User)
    since_ms = peewee.BigIntegerField()
    due_ms = peewee.BigIntegerField(index=True)
    single = peewee.BooleanField(column_name="alone")

    class Meta:
        table_name = "waiting_mail"


class Digest(Base):
    """The digest of a user and a period is queued: `hourly 2026-11-26T10:00+01:00`, `daily 2026-11-26`."""

    user = peewee.ForeignKeyField(User, index=False)
    period = peewee.CharField(max_length=32)
    at_ms = peewee.BigIntegerField(index=True)

    class Meta:
        table_name = "digests"
        primary_key = peewee.CompositeKey("user", "period")


class PendingMail(NamedTuple):
    """A waiting notification, with the facts that decide about its mail."""

    notification: int
    user: int
    since_ms: int
    due_ms: int
    single: bool
    type: str
    unread: bool


def add(tx: Transaction, waiting: Iterable[tuple[int, int, int, bool]]) -> None:
    """Add (notification, user, due_ms, single). When a notification waits already, the earlier time counts."""
    # Raw: a bulk upsert whose new values depend on the old ones.
    for part in chunks(waiting, MAX_KEYS_PER_QUERY):
        insert_rows(
            WaitingMail,
            ("notification_id", "user_id", "since_ms", "due_ms", "alone"),
            [(notification, user, tx.now_ms, due_ms, single) for notification, user, due_ms, single in part],
            " ON CONFLICT (notification_id) DO UPDATE SET "
            "due_ms=CASE WHEN excluded.due_ms<waiting_mail.due_ms THEN excluded.due_ms ELSE waiting_mail.due_ms END, "
            "alone=waiting_mail.alone OR excluded.alone",
        )


def queue(tx: Transaction, kind: str, mails: Collection[tuple[int, Sequence[int], bool]]) -> None:
    """Queue mails to (user, their notifications, `again`). Their words are read when they are sent. With `again` they are also sent
    to a user who prefers digests by then."""
    new: list[NewMail] = []
    for part in chunks(mails, MAX_KEYS_PER_QUERY):
        query = User.select(User.id, User.email, User.display_name).where(User.id.in_([user for user, *_ in part]))
        addresses = {user: (address, name) for user, address, name in fetch_rows(query)}
        for user, ids, again in part:
            new.append(NewMail(kind, user, *addresses[user], {"notifications": list(ids), "again": again}))
    outbox.queue(tx, new)


def find_due_ms(notification: int) -> int | None:
    """When the mail about a notification is due; None when none waits."""
    due_ms: int | None = WaitingMail.select(WaitingMail.due_ms).where(WaitingMail.notification == notification).scalar()
    return due_ms


def has_future(now_ms: int) -> bool:
    """Whether a notification was added while the store's clock was ahead. Reads all that wait."""
    return bool(WaitingMail.select().where(WaitingMail.since_ms > now_ms).exists())


def correct_times(tx: Transaction) -> None:
    """Count from now what was added while the clock was ahead, and make it due."""
    WaitingMail.update(since_ms=tx.now_ms, due_ms=0).where(WaitingMail.since_ms > tx.now_ms).execute()


def list_due_users(now_ms: int, limit: int) -> list[int]:
    """Users with due notifications, the longest due first. A user may be listed several times."""
    due = WaitingMail.select(WaitingMail.user).where(WaitingMail.due_ms <= now_ms)
    return fetch_column(due.order_by(WaitingMail.due_ms).limit(limit))


def list_due(users: Collection[int], now_ms: int) -> list[PendingMail]:
    """All due notifications of these users, by id."""
    columns = (WaitingMail.notification, WaitingMail.user, WaitingMail.since_ms, WaitingMail.due_ms, WaitingMail.single)
    query = (
        WaitingMail.select(*columns, Notification.type, Notification.read_ms)
        .join(Notification)
        .where(WaitingMail.user.in_(list(users)), WaitingMail.due_ms <= now_ms)
        .order_by(WaitingMail.notification)
    )
    return [
        PendingMail(notification, user, since_ms, due_ms, single, type_, read_ms is None)
        for notification, user, since_ms, due_ms, single, type_, read_ms in fetch_rows(query)
    ]


def remove(tx: Transaction, notifications: Sequence[int]) -> set[int]:
    """Remove these; returns those that were still waiting: another worker may have been faster."""
    removed: set[int] = set()
    for part in chunks(notifications, MAX_KEYS_PER_QUERY):
        query = WaitingMail.delete().where(WaitingMail.notification.in_(part)).returning(WaitingMail.notification)
        removed.update(fetch_column(query))
    return removed


def postpone(tx: Transaction, later: Iterable[tuple[PendingMail, int]]) -> None:
    """Move (waiting, new time in ms) to their new times, unless their times have changed meanwhile."""
    same_times: dict[tuple[int, int], list[int]] = {}
    for waiting, until_ms in later:
        same_times.setdefault((waiting.due_ms, until_ms), []).append(waiting.notification)
    for (due_ms, until_ms), notifications in same_times.items():
        for part in chunks(notifications, MAX_KEYS_PER_QUERY):
            unchanged = (WaitingMail.due_ms == due_ms) & WaitingMail.notification.in_(part)
            WaitingMail.update(due_ms=until_ms).where(unchanged).execute()


def claim_digest(tx: Transaction, user: int, period: str) -> bool:
    """Claim a user's digest of a period; False when it is claimed already."""
    claim = Digest.insert(user=user, period=period, at_ms=tx.now_ms).on_conflict_ignore()
    return bool(claim.as_rowcount().execute() == 1)


def make_due_now(tx: Transaction, users: Sequence[int]) -> None:
    """Make all due that waits for the users' digests or for the end of their quiet hours, since these, their preferences or their
    time zones have changed: new times follow."""
    is_postponed = ~WaitingMail.single | (WaitingMail.due_ms > WaitingMail.since_ms + MAX_SINGLE_DELAY_MS)
    for part in chunks(users, MAX_KEYS_PER_QUERY):
        WaitingMail.update(due_ms=0).where(WaitingMail.user.in_(part), is_postponed).execute()


def trim(tx: Transaction, before_ms: int, limit: int) -> int:
    """Delete claims of digests from before a time, the oldest, and at most `limit`; returns how many."""
    oldest = Digest.select(Digest.user, Digest.period).where(Digest.at_ms < before_ms).order_by(Digest.at_ms).limit(limit)
    return int(Digest.delete().where(Tuple(Digest.user, Digest.period).in_(oldest)).execute())
