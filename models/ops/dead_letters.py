"""Work that was given up on, with its error, until an admin has it tried again: events that a consumer failed on, and mails."""

from __future__ import annotations

from typing import Any

import peewee

from models.log.checkpoint import CheckpointMovedError
from models.log.event import EventRow, Transaction
from models.notices.outbox import EMPTY_DATA, Email
from models.notices.outbox import retry as retry_mail
from models.store.clock import rfc3339
from models.store.database import Base, NeverReusedIdField, affected_rows, execute, placeholders, rows
from models.store.errors import NotFoundError

ERROR_CHARS = 500
MAIL = "mail"  # the consumer, so to speak, of mails


class DeadLetter(Base):
    """Either an event that a consumer failed on, or a mail."""

    id = NeverReusedIdField()
    consumer = peewee.CharField(max_length=32)
    event = peewee.ForeignKeyField(EventRow, index=False, null=True)
    email = peewee.ForeignKeyField(Email, index=False, null=True)
    error = peewee.TextField()
    parked_ms = peewee.BigIntegerField()
    retry = peewee.BooleanField(default=False)

    class Meta:
        table_name = "dead_work"
        indexes = ((("consumer", "event"), True), (("email",), True))


def _told(error: str) -> str:
    return error.replace("\0", "")[:ERROR_CHARS]  # PostgreSQL keeps no NUL


def park(tx: Transaction, consumer: str, event: int, error: str) -> None:
    """Gives up on one event."""
    _insert(tx, consumer, event, None, error)


def park_mail(tx: Transaction, email: int, error: str) -> None:
    """Lists a mail that is dead."""
    _insert(tx, MAIL, None, email, error)


def _insert(tx: Transaction, consumer: str, event: int | None, email: int | None, error: str) -> None:
    execute(
        "INSERT INTO dead_work (consumer, event_id, email_id, error, parked_ms, retry) VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING",
        (consumer, event, email, _told(error), tx.now_ms, False),
    )


def request_retry(tx: Transaction, dead: int) -> bool:
    """An admin asks for another try; tells whether it is a mail, which is queued at once. Raises NotFoundError."""
    found = rows("SELECT email_id FROM dead_work WHERE id=?", (dead,))
    if not found:
        raise NotFoundError
    email = found[0][0]
    if email is None:
        execute("UPDATE dead_work SET retry=? WHERE id=?", (True, dead))
        return False
    execute("DELETE FROM dead_work WHERE id=?", (dead,))
    retry_mail(tx, email)
    return True


def trim_codes(tx: Transaction) -> int:
    """Takes codes that are no longer good out of dead mails, which stay listed; returns of how many."""
    return affected_rows(
        "UPDATE emails SET data=? WHERE id IN (SELECT email_id FROM dead_work WHERE email_id IS NOT NULL) "
        "AND expires_ms<=? AND data<>?",
        (EMPTY_DATA, tx.now_ms, EMPTY_DATA),
    )


def trim_mails(tx: Transaction, before_ms: int, limit: int) -> int:
    """Forgets mails that were given up on long ago; returns how many."""
    found = rows(
        "SELECT id, email_id FROM dead_work WHERE email_id IS NOT NULL AND parked_ms<? ORDER BY id LIMIT ?", (before_ms, limit)
    )
    for table, numbers in (("dead_work", [dead for dead, _ in found]), ("emails", [mail for _, mail in found])):
        if numbers:
            execute(f"DELETE FROM {table} WHERE id IN ({placeholders(len(numbers))})", numbers)
    return len(found)


def letters_to_retry(consumer: str, limit: int) -> list[tuple[int, int]]:
    """(dead work's id, event id) of those an admin wants retried."""
    return rows(
        "SELECT id, event_id FROM dead_work WHERE consumer=? AND retry=? ORDER BY event_id LIMIT ?",
        (consumer, True, limit),
    )


def consumers_to_retry() -> set[str]:
    """Consumers with a parked event that an admin wants retried."""
    return {c for (c,) in rows("SELECT DISTINCT consumer FROM dead_work WHERE retry=?", (True,))}


def require_retry(tx: Transaction, dead: int) -> None:
    """The right to write a part of a parked event's work that another transaction will end, or raises CheckpointMovedError."""
    if not rows("SELECT 1 FROM dead_work WHERE id=? AND retry=?", (dead, True)):
        raise CheckpointMovedError


def remove_retried(tx: Transaction, dead: int) -> None:
    """The right to do a parked event: takes it off the list, or raises CheckpointMovedError when another did."""
    if affected_rows("DELETE FROM dead_work WHERE id=? AND retry=?", (dead, True)) != 1:
        raise CheckpointMovedError


def park_again(tx: Transaction, dead: int, error: str) -> None:
    """The retry failed too: it stays parked, with the new error."""
    execute("UPDATE dead_work SET retry=?, error=? WHERE id=?", (False, _told(error), dead))


def newest(limit: int) -> list[dict[str, Any]]:
    """What is dead, newest first. `type` is the event's, or the mail's kind; `to` the mail's address."""
    found = rows(
        "SELECT d.id, d.consumer, d.event_id, coalesce(e.type, m.kind), m.address, d.error, d.parked_ms, d.retry FROM dead_work d "
        "LEFT JOIN events e ON e.id=d.event_id LEFT JOIN emails m ON m.id=d.email_id ORDER BY d.id DESC LIMIT ?",
        (limit,),
    )
    return [
        {
            "id": i,
            "consumer": consumer,
            "event": event,
            "type": kind,
            "to": address,
            "error": error,
            "parked_at": rfc3339(at),
            "retrying": bool(retry),
        }
        for i, consumer, event, kind, address, error, at, retry in found
    ]
