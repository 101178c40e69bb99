"""The outbox: mails that wait to be sent, and what became of them.

A mail is queued by the transaction that causes it, so neither is there without the other. Whoever sends takes it under a lease; a
sender that dies leaves it to be taken again when the lease has run out, so that it goes out at least once (promise 5), always with
the same Message-ID.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import peewee

from models.log.event import Transaction
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.database import Base, NeverReusedIdField, affected_rows, execute, insert_rows, rows

CODE_PRIORITY, USUAL_PRIORITY = 0, 1  # priorities
EMPTY_DATA = "{}"
ERROR_CHARS = 500
INSERT_COLUMNS = (
    *("kind", "receiver", "address", "name", "data", "message_id", "priority", "state"),
    *("attempts", "next_ms", "expires_ms", "created_ms", "tried_from_ms", "ended_ms"),
)
COLUMNS = "id, kind, receiver, address, name, data, message_id, attempts, next_ms, expires_ms, created_ms, tried_from_ms"


class Email(Base):
    """One mail. `state`: queued, sent, dead (refused for good) or dropped (not wanted, or too late). `data` is what its template is
    filled with, as JSON; it is emptied when the mail has ended, unless it is dead and may be tried again, or but numbers."""

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


class NewMail(NamedTuple):
    """A mail to be queued: what its template is named and filled with, and to whom it goes."""

    kind: str
    receiver: int | None
    address: str
    name: str
    data: dict[str, Any]
    expires_ms: int | None = None
    priority: int = USUAL_PRIORITY


class Mail(NamedTuple):
    """A mail that is due. `receiver` is a user, if any; `tried_from_ms` is when it was first to be sent."""

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


def queue(tx: Transaction, letters: Sequence[NewMail], state: str = "queued") -> None:
    """Puts mails into the outbox; as `dropped`, they are but a trace, of as much work as a mail."""
    now = tx.now_ms
    ended = None if state == "queued" else now
    values = [
        (
            *(one.kind, one.receiver, one.address, one.name, msgspec.json.encode(one.data).decode()),
            *(secrets.token_hex(16), one.priority, state, 0, now, one.expires_ms, now, now, ended),
        )
        for one in letters
    ]
    insert_rows(Email, INSERT_COLUMNS, values)


def next_due(now_ms: int) -> Mail | None:
    """The mail to be sent next: codes before all others, then by time."""
    found = rows(
        f"SELECT {COLUMNS} FROM emails WHERE state='queued' AND next_ms<=? ORDER BY priority, next_ms LIMIT 1",
        (now_ms,),
    )
    if not found:
        return None
    number, kind, receiver, address, name, data, *rest = found[0]
    return Mail(number, kind, receiver, address, name, msgspec.json.decode(data), *rest)


def acquire(tx: Transaction, mail: Mail, holder: str, lease_ms: int, domain: str) -> Mail | None:
    """The right to send a mail, until the lease runs out; None when another has it.

    With the first try its Message-ID gets the sender's domain (RFC 5322, section 3.6.4), and keeps it.
    """
    taken = mail._replace(attempts=mail.attempts + 1)
    if "@" not in mail.message_id:
        taken = taken._replace(message_id=f"<{mail.message_id}@{domain}>")
    mine = affected_rows(
        "UPDATE emails SET next_ms=?, attempts=?, holder=?, message_id=? WHERE id=? AND state='queued' AND next_ms=?",
        (tx.now_ms + lease_ms, taken.attempts, holder, taken.message_id, mail.id, mail.next_ms),
    )
    return taken if mine else None


def renew_lease(tx: Transaction, number: int, holder: str, lease_ms: int) -> None:
    """Sending takes its time: the lease begins anew."""
    execute(
        "UPDATE emails SET next_ms=? WHERE id=? AND state='queued' AND holder=?",
        (tx.now_ms + lease_ms, number, holder),
    )


def mark_sent(tx: Transaction, number: int) -> None:
    """It is the relay's now, whoever else may have taken it meanwhile."""
    _end(tx, number, "sent")


def drop(tx: Transaction, number: int) -> None:
    """It is not sent any more."""
    _end(tx, number, "dropped")


def _end(tx: Transaction, number: int, state: str) -> None:
    execute(
        "UPDATE emails SET state=?, data=CASE WHEN kind IN ('notification','digest') THEN data ELSE ? END, ended_ms=?, error=NULL "
        "WHERE id=? AND state='queued'",
        (state, EMPTY_DATA, tx.now_ms, number),
    )


def defer(tx: Transaction, number: int, holder: str, next_ms: int, error: str) -> None:
    """It could not be sent now, and is tried again."""
    execute(
        "UPDATE emails SET next_ms=?, error=?, holder=NULL WHERE id=? AND state='queued' AND holder=?",
        (next_ms, error[:ERROR_CHARS], number, holder),
    )


def mark_dead(tx: Transaction, number: int, error: str) -> bool:
    """It can't be sent: dead, unless it has ended already, which the answer tells."""
    return affected_rows(
        "UPDATE emails SET state='dead', ended_ms=?, error=? WHERE id=? AND state='queued'",
        (tx.now_ms, error[:ERROR_CHARS], number),
    ) == 1  # fmt: skip


def retry(tx: Transaction, number: int) -> None:
    """A dead mail is queued again, as if it were new."""
    execute(
        "UPDATE emails SET state='queued', attempts=0, next_ms=?, tried_from_ms=?, ended_ms=NULL, error=NULL "
        "WHERE id=? AND state='dead'",
        (tx.now_ms, tx.now_ms, number),
    )


def count_queued() -> tuple[int, int | None]:
    """How many wait, and when the one that has waited longest was queued, in ms."""
    count, since = rows("SELECT count(*), min(tried_from_ms) FROM emails WHERE state='queued'")[0]
    return int(count), since


def list_about(receiver: int, notification: int, limit: int) -> list[dict[str, Any]]:
    """The newest mails to a user that hold a notification, and what became of them."""
    found = rows(
        "SELECT id, kind, state, data, created_ms, ended_ms, error FROM emails WHERE receiver=? "
        "AND kind IN ('notification','digest') ORDER BY id DESC LIMIT ?",
        (receiver, limit),
    )
    return [
        {"id": i, "kind": kind, "state": state, "queued_at": rfc3339(at), "ended_at": rfc3339_or_none(ended), "error": error}
        for i, kind, state, data, at, ended, error in found
        if notification in msgspec.json.decode(data).get("notifications", ())
    ]


def list_failing(limit: int) -> list[dict[str, Any]]:
    """Mails that could not be sent yet, those tried most often first."""
    found = rows(
        "SELECT id, kind, address, attempts, error, next_ms FROM emails WHERE state='queued' AND error IS NOT NULL "
        "ORDER BY attempts DESC, id LIMIT ?",
        (limit,),
    )
    return [
        {"mail": i, "type": kind, "to": address, "attempts": attempts, "error": error, "next_at": rfc3339(next_ms)}
        for i, kind, address, attempts, error, next_ms in found
    ]


def trim(tx: Transaction, ended_before_ms: int, limit: int) -> int:
    """Forgets mails that were sent or dropped long ago; returns how many."""
    return affected_rows(
        "DELETE FROM emails WHERE id IN (SELECT id FROM emails WHERE state IN ('sent', 'dropped') AND ended_ms<? "
        "ORDER BY ended_ms LIMIT ?)",
        (ended_before_ms, limit),
    )
