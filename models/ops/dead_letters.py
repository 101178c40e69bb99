"""Dead letters: events that a consumer failed on and mails that failed for good, with their error, for an admin to retry."""

from __future__ import annotations

from typing import Any

import peewee

from models.log.checkpoint import CheckpointMovedError
from models.log.event import EventRow, Transaction
from models.notices.outbox import EMPTY_DATA, Email
from models.notices.outbox import retry as retry_mail
from models.store.clock import rfc3339
from models.store.database import Base, NeverReusedIdField, fetch_column, fetch_rows
from models.store.errors import NotFoundError

MAX_ERROR_CHARS = 500
MAIL = "mail"  # the value of `consumer` for mails


class DeadLetter(Base):
    """An event that a consumer failed on, or a mail. `retry`: an admin has requested another attempt."""

    id = NeverReusedIdField()
    consumer = peewee.CharField(max_length=32)
    event = peewee.ForeignKeyField(EventRow, null=True)
    email = peewee.ForeignKeyField(Email, index=False, null=True)
    error = peewee.TextField()
    parked_ms = peewee.BigIntegerField()
    retry = peewee.BooleanField(default=False)

    class Meta:
        table_name = "dead_work"
        indexes = ((("consumer", "event"), True), (("email",), True))


def _shortened(error: str) -> str:
    return error.replace("\0", "")[:MAX_ERROR_CHARS]  # PostgreSQL can't store NUL


def park(tx: Transaction, consumer: str, event: int, error: str) -> None:
    """Record an event that a consumer failed on."""
    _insert(tx, consumer, event, None, error)


def park_mail(tx: Transaction, email: int, error: str) -> None:
    """Record a mail that failed for good."""
    _insert(tx, MAIL, None, email, error)


def _insert(tx: Transaction, consumer: str, event: int | None, email: int | None, error: str) -> None:
    DeadLetter.insert(
        consumer=consumer, event=event, email=email, error=_shortened(error), parked_ms=tx.now_ms, retry=False
    ).on_conflict_ignore().execute()


def request_retry(tx: Transaction, dead: int) -> bool:
    """Request another attempt for an admin. Return whether it is a mail, which is queued at once. Raises NotFoundError."""
    found = fetch_column(DeadLetter.select(DeadLetter.email).where(DeadLetter.id == dead))
    if not found:
        raise NotFoundError
    (email,) = found
    if email is None:
        DeadLetter.update(retry=True).where(DeadLetter.id == dead).execute()
        return False
    DeadLetter.delete().where(DeadLetter.id == dead).execute()
    retry_mail(tx, email)
    return True


def trim_codes(tx: Transaction) -> int:
    """Delete expired codes from dead mails, which stay listed. Return the number of mails changed."""
    mails = DeadLetter.select(DeadLetter.email).where(DeadLetter.email.is_null(is_null=False))
    expired = (Email.expires_ms <= tx.now_ms) & (Email.data != EMPTY_DATA)
    return int(Email.update(data=EMPTY_DATA).where(Email.id.in_(mails) & expired).execute())


def trim_mails(tx: Transaction, before_ms: int, limit: int) -> int:
    """Delete the oldest dead mails that failed before a time, at most `limit`, and return their number."""
    old = (DeadLetter.email.is_null(is_null=False)) & (DeadLetter.parked_ms < before_ms)
    found = fetch_rows(DeadLetter.select(DeadLetter.id, DeadLetter.email).where(old).order_by(DeadLetter.id).limit(limit))
    if found:
        DeadLetter.delete().where(DeadLetter.id.in_([dead for dead, _ in found])).execute()
        Email.delete().where(Email.id.in_([mail for _, mail in found])).execute()
    return len(found)


def letters_to_retry(consumer: str, limit: int) -> list[tuple[int, int]]:
    """Return (dead letter, event id) of the consumer's letters whose retry was requested, in the order of events."""
    requested = (DeadLetter.consumer == consumer) & (DeadLetter.retry == True)  # noqa: E712 - builds SQL
    return fetch_rows(DeadLetter.select(DeadLetter.id, DeadLetter.event).where(requested).order_by(DeadLetter.event).limit(limit))


def consumers_to_retry() -> set[str]:
    """Return the consumers with a dead letter whose retry was requested."""
    requested = DeadLetter.retry == True  # noqa: E712 - builds SQL
    return set(fetch_column(DeadLetter.select(DeadLetter.consumer).where(requested).distinct()))


def _to_retry(dead: int) -> Any:
    return (DeadLetter.id == dead) & (DeadLetter.retry == True)  # noqa: E712 - builds SQL


def require_retry(tx: Transaction, dead: int) -> None:
    """Raise CheckpointMovedError unless the letter's retry is still requested.

    For a transaction that writes some of the effects, while a later one writes the rest and calls `remove_retried`.
    """
    if not DeadLetter.select().where(_to_retry(dead)).exists():
        raise CheckpointMovedError


def remove_retried(tx: Transaction, dead: int) -> None:
    """Delete a letter whose event is processed in this transaction. Raises CheckpointMovedError when another drain did it."""
    if DeadLetter.delete().where(_to_retry(dead)).execute() != 1:
        raise CheckpointMovedError


def park_again(tx: Transaction, dead: int, error: str) -> None:
    """Record that the retry failed as well, with its error."""
    DeadLetter.update(retry=False, error=_shortened(error)).where(DeadLetter.id == dead).execute()


def find(consumer: str, event: int) -> int | None:
    """Return the dead letter of a consumer's event, if there is one."""
    found: int | None = DeadLetter.select(DeadLetter.id).where(*_of(consumer, event)).scalar()
    return found


def remove(tx: Transaction, consumer: str, event: int) -> None:
    """Delete the dead letter of an event that is processed in this transaction, if there is one."""
    DeadLetter.delete().where(*_of(consumer, event)).execute()


def _of(consumer: str, event: int) -> tuple[Any, Any]:
    return DeadLetter.consumer == consumer, DeadLetter.event == event


def newest(limit: int) -> list[dict[str, Any]]:
    """Return dead letters, the newest first. `type` is the event's type or the mail's kind, `to` the mail's address."""
    query = (
        DeadLetter.select(
            DeadLetter.id,
            DeadLetter.consumer,
            DeadLetter.event,
            peewee.fn.coalesce(EventRow.type, Email.kind),
            Email.address,
            DeadLetter.error,
            DeadLetter.parked_ms,
            DeadLetter.retry,
        )
        .join(EventRow, peewee.JOIN.LEFT_OUTER, on=(EventRow.id == DeadLetter.event))
        .switch(DeadLetter)
        .join(Email, peewee.JOIN.LEFT_OUTER, on=(Email.id == DeadLetter.email))
        .order_by(DeadLetter.id.desc())
        .limit(limit)
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
        for i, consumer, event, kind, address, error, at, retry in fetch_rows(query)
    ]
