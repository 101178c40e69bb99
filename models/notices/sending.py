"""The verbs that the outboxes of mails and of pushes share: a row waits, is acquired under a lease, and ends.

`table` is such a table. Its `state` is queued until the row has ended, `next_ms` when it is due, or while it has a `holder` the end
of the lease: the row of a dead sender is sent by another one then, so it is sent at least once.
"""

from __future__ import annotations

from typing import Any

import peewee
from peewee import SQL, fn

from models.log.event import Transaction
from models.store.database import fetch_rows

LEASE_MS = 15_000
MAX_ERROR_CHARS = 500


def queued(table: Any) -> peewee.Expression:
    """The condition that a row waits: with a literal, which lets the partial index serve it."""
    condition: peewee.Expression = table.state == SQL("'queued'")
    return condition


def _is_queued(table: Any, number: int) -> peewee.Expression:
    condition: peewee.Expression = (table.id == number) & (table.state == "queued")
    return condition


def renew_lease(table: Any, tx: Transaction, number: int, holder: str) -> None:
    """Extend the lease of a row while it is being sent."""
    table.update(next_ms=tx.now_ms + LEASE_MS).where(_is_queued(table, number), table.holder == holder).execute()


def defer(table: Any, tx: Transaction, number: int, holder: str, delay_ms: int, error: str) -> None:
    """Schedule another attempt after one has failed."""
    failed = table.update(next_ms=tx.now_ms + delay_ms, error=error[:MAX_ERROR_CHARS], holder=None)
    failed.where(_is_queued(table, number), table.holder == holder).execute()


def mark_dead(table: Any, tx: Transaction, number: int, error: str) -> bool:
    """Mark a row as one that cannot be sent; False when it has ended already."""
    dead = table.update(state="dead", ended_ms=tx.now_ms, error=error[:MAX_ERROR_CHARS])
    return bool(dead.where(_is_queued(table, number)).execute() == 1)


def count_queued(table: Any) -> tuple[int, int | None]:
    """How many rows wait, and since when the one does that has waited longest, in Unix ms."""
    ((count, since_ms),) = fetch_rows(table.select(fn.COUNT(table.id), fn.MIN(table.tried_from_ms)).where(queued(table)))
    return int(count), since_ms


def trim(table: Any, states: tuple[str, ...], ended_before_ms: int, limit: int) -> int:
    """Delete rows that ended in one of the states before a time, the oldest, and at most `limit`; returns how many."""
    ended = table.select(table.id).where(table.state != SQL("'queued'"), table.state.in_(states), table.ended_ms < ended_before_ms)
    return int(table.delete().where(table.id.in_(ended.order_by(table.ended_ms).limit(limit))).execute())
