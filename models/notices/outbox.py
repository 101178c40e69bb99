"""The outbox: mails that wait to be sent, and mails that were.

A mail is queued by the transaction that causes it, so neither exists without the other. A sender acquires it under a lease. When
a sender dies, the lease runs out and another sends the mail, so it is sent at least once (promise 5), always with the same
Message-ID.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import peewee

from models.log.event import Transaction
from models.notices import sending
from models.notices.sending import LEASE_MS
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.database import (
    Base,
    NeverReusedIdField,
    affected_rows,
    chunks,
    execute,
    fetch_rows,
    insert_rows,
    rows,
    values_cte,
)

CODE_PRIORITY, USUAL_PRIORITY = 0, 1  # the lower one is sent first
EMPTY_DATA = "{}"
MAX_READDRESSED_PER_STATEMENT = 200
# How far ahead `next_ms` may be. A new mail is due at once; the pauses of a relay that is down and of a mail are at most these.
MAX_DELAY_SQL = f"""CASE WHEN holder IS NOT NULL THEN {2 * LEASE_MS} WHEN attempts=0 THEN 0
 WHEN attempts<11 THEN 30000 + (2000 << attempts) ELSE 4530000 END"""
FUTURE_SQL = f"state='queued' AND next_ms>?+{MAX_DELAY_SQL}"
INSERT_COLUMNS = (
    *("kind", "receiver", "address", "name", "data", "message_id", "priority", "state"),
    *("attempts", "next_ms", "expires_ms", "created_ms", "tried_from_ms", "ended_ms"),
)
COLUMNS = """id, kind, receiver, address, name, data, message_id, attempts, next_ms, expires_ms, created_ms, tried_from_ms,
 (SELECT locale FROM profiles WHERE user_id=receiver)"""


class Email(Base):
    """One mail. `state`: queued, sent, dead (refused for good) or dropped (not wanted, or too late). `data` fills its template, as
    JSON. It is emptied when the mail has ended, unless the mail is dead and may be retried, or `data` has only numbers."""

    id = NeverReusedIdField()
    kind = peewee.CharField(max_length=16)
    receiver = peewee.BigIntegerField(null=True)
    address = peewee.CharField(max_length=255)
    name = peewee.CharField(max_length=80)
    data = peewee.TextField()
    message_id = peewee.CharField(max_length=255)
    priority = peewee.IntegerField()
    state = peewee.CharField(max_length=8)
    attempts = peewee.IntegerField()
    next_ms = peewee.BigIntegerField()
    holder = peewee.CharField(max_length=32, null=True)
    expires_ms = peewee.BigIntegerField(null=True)
    created_ms = peewee.BigIntegerField()
    tried_from_ms = peewee.BigIntegerField()
    ended_ms = peewee.BigIntegerField(null=True)
    error = peewee.TextField(null=True)

    class Meta:
        table_name = "emails"


Email.add_index(Email.index(Email.priority, Email.next_ms, where=peewee.SQL("state='queued'"), name="email_due"))
Email.add_index(Email.index(Email.receiver, Email.id, where=peewee.SQL("receiver IS NOT NULL"), name="email_receiver"))
Email.add_index(Email.index(Email.ended_ms, where=peewee.SQL("state<>'queued'"), name="email_ended"))


QUEUED = sending.queued(Email)


class NewMail(NamedTuple):
    """A mail to be queued: its template (`kind`), the template's data and the receiver."""

    kind: str
    receiver: int | None
    address: str
    name: str
    data: dict[str, Any]
    expires_ms: int | None = None
    priority: int = USUAL_PRIORITY


class Mail(NamedTuple):
    """A due mail. `receiver` is a user, if any, and `locale` their language; `tried_from_ms` is when it was first to be sent."""

    id: int
    kind: str
    receiver: int | None
    address: str
    name: str
    data: dict[str, Any]
    message_id: str
    attempts: int
    next_ms: int
    expires_ms: int | None
    created_ms: int
    tried_from_ms: int
    locale: str | None = None


def queue(tx: Transaction, mails: Sequence[NewMail], state: str = "queued") -> None:
    """Add mails to the outbox, but none to accounts without an address. A mail that begins as `dropped` is never sent, but costs
    the same work: timing reveals nothing."""
    now = tx.now_ms
    ended = None if state == "queued" else now
    values = [
        (
            *(mail.kind, mail.receiver, mail.address, mail.name, msgspec.json.encode(mail.data).decode()),
            *(secrets.token_hex(16), mail.priority, state, 0, now, mail.expires_ms, now, now, ended),
        )
        for mail in mails
        if mail.address or ended
    ]
    insert_rows(Email, INSERT_COLUMNS, values)


def readdress(tx: Transaction, addresses: Mapping[int, str]) -> None:
    """Send what waits for these users to their new addresses. What has no address any more is dropped, and so are codes: they were
    for the owner of the old one."""
    for part in chunks(addresses.items(), MAX_READDRESSED_PER_STATEMENT):
        waiting = QUEUED & Email.receiver.in_([user for user, _ in part])
        without = [user for user, address in part if not address]
        gone = Email.receiver.in_(without) | (Email.priority == CODE_PRIORITY)
        Email.update(state="dropped", data=EMPTY_DATA, ended_ms=tx.now_ms, error=None).where(waiting, gone).execute()
        execute(
            values_cte("receiver, address", len(part))
            + "UPDATE emails SET address=input.address FROM input WHERE emails.receiver=input.receiver AND state='queued'",
            [value for pair in part for value in pair],
        )


def next_due(now_ms: int) -> Mail | None:
    """The mail to be sent next at a time of the store's clock: codes first, then by time."""
    # Raw: measured, the mailer runs it for each mail; the literal state lets the partial index serve it.
    due = rows(
        f"SELECT {COLUMNS} FROM emails WHERE state='queued' AND next_ms<=? ORDER BY priority, next_ms LIMIT 1",
        (now_ms,),
    )
    if not due:
        return None
    number, kind, receiver, address, name, data, *rest = due[0]
    return Mail(number, kind, receiver, address, name, msgspec.json.decode(data), *rest)


def has_future(now_ms: int) -> bool:
    """Whether a mail is planned further ahead than it may be: the clock was ahead then (models/store/due.py). Reads all mail that
    waits."""
    # Raw: the literal state lets the partial index serve it.
    return bool(rows(f"SELECT 1 FROM emails WHERE {FUTURE_SQL} LIMIT 1", (now_ms,)))


def make_future_due(tx: Transaction) -> None:
    """Make these mails due now."""
    execute(f"UPDATE emails SET next_ms=? WHERE {FUTURE_SQL}", (tx.now_ms, tx.now_ms))


def acquire(tx: Transaction, mail: Mail, holder: str, domain: str) -> Mail | None:
    """Acquire the right to send a mail until the lease runs out; None when another sender has it.

    At the first attempt its Message-ID gets the sender's domain (RFC 5322, section 3.6.4), and keeps it.
    """
    acquired = mail._replace(attempts=mail.attempts + 1)
    if "@" not in mail.message_id:
        acquired = acquired._replace(message_id=f"<{mail.message_id}@{domain}>")
    # Raw: measured, the mailer runs it for each mail.
    count = affected_rows(
        "UPDATE emails SET next_ms=?, attempts=?, holder=?, message_id=? WHERE id=? AND state='queued' AND next_ms=?",
        (tx.now_ms + LEASE_MS, acquired.attempts, holder, acquired.message_id, mail.id, mail.next_ms),
    )
    return acquired if count else None


def is_interrupted(number: int) -> bool:
    """Whether the latest attempt at a mail has no result: its sender was killed, before or after the relay accepted it."""
    return bool(Email.select(Email.holder).where(Email.id == number).scalar())


def renew_lease(tx: Transaction, number: int, holder: str) -> None:
    """Extend the lease of a mail while it is being sent."""
    sending.renew_lease(Email, tx, number, holder)


def mark_sent(tx: Transaction, number: int) -> None:
    """Mark a mail as accepted by the relay, also when another sender has acquired it meanwhile."""
    _end(tx, number, "sent")


def drop(tx: Transaction, number: int) -> None:
    """Mark a mail as no longer to be sent."""
    _end(tx, number, "dropped")


def _end(tx: Transaction, number: int, state: str) -> None:
    # Raw: measured, the mailer runs it for each mail.
    execute(
        "UPDATE emails SET state=?, data=CASE WHEN kind IN ('notification','digest') THEN data ELSE ? END, ended_ms=?, error=NULL "
        "WHERE id=? AND state='queued'",
        (state, EMPTY_DATA, tx.now_ms, number),
    )


def defer(tx: Transaction, number: int, holder: str, delay_ms: int, error: str) -> None:
    """Schedule another attempt after one has failed."""
    sending.defer(Email, tx, number, holder, delay_ms, error)


def mark_dead(tx: Transaction, number: int, error: str) -> bool:
    """Mark a mail as one that cannot be sent; False when it has ended already."""
    return sending.mark_dead(Email, tx, number, error)


def retry(tx: Transaction, number: int) -> None:
    """Queue a dead mail again, like a new one."""
    queued = Email.update(
        state="queued", attempts=0, holder=None, next_ms=tx.now_ms, tried_from_ms=tx.now_ms, ended_ms=None, error=None
    )
    queued.where(Email.id == number, Email.state == "dead").execute()


def count_queued() -> tuple[int, int | None]:
    """How many mails wait, and when the one that has waited longest was queued, in ms."""
    return sending.count_queued(Email)


def list_about(receiver: int, notification: int, limit: int) -> list[dict[str, Any]]:
    """Among the newest `limit` mails to a user about notifications, those with this notification, and their states."""
    columns = (Email.id, Email.kind, Email.state, Email.data, Email.created_ms, Email.ended_ms, Email.error)
    about = (Email.receiver == receiver) & Email.kind.in_(["notification", "digest"])
    return [
        {
            "id": number,
            "kind": kind,
            "state": state,
            "queued_at": rfc3339(created_ms),
            "ended_at": rfc3339_or_none(ended_ms),
            "error": error,
        }
        for number, kind, state, data, created_ms, ended_ms, error in fetch_rows(
            Email.select(*columns).where(about).order_by(Email.id.desc()).limit(limit)
        )
        if notification in msgspec.json.decode(data).get("notifications", ())
    ]


def newest(receiver: int, kind: str) -> dict[str, Any] | None:
    """The newest mail of a kind to a user, with its state and its last error, if there is one."""
    columns = (Email.address, Email.state, Email.created_ms, Email.ended_ms, Email.error)
    found = Email.select(*columns).where(Email.receiver == receiver, Email.kind == kind).order_by(Email.id.desc())
    for address, state, created_ms, ended_ms, error in fetch_rows(found.limit(1)):
        times = {"queued_at": rfc3339(created_ms), "ended_at": rfc3339_or_none(ended_ms)}
        return {"to": address, "state": state, "error": error, **times}
    return None


def list_failing(limit: int) -> list[dict[str, Any]]:
    """Mails whose attempts have failed so far, those with the most attempts first."""
    columns = (Email.id, Email.kind, Email.address, Email.attempts, Email.error, Email.next_ms)
    failing = Email.select(*columns).where(QUEUED, Email.error.is_null(is_null=False))
    return [
        {"mail": number, "type": kind, "to": address, "attempts": attempts, "error": error, "next_at": rfc3339(next_ms)}
        for number, kind, address, attempts, error, next_ms in fetch_rows(
            failing.order_by(Email.attempts.desc(), Email.id).limit(limit)
        )
    ]


def trim(tx: Transaction, ended_before_ms: int, limit: int) -> int:
    """Delete mails that were sent or dropped before a time, the oldest, and at most `limit`; returns how many."""
    return sending.trim(Email, ("sent", "dropped"), ended_before_ms, limit)
