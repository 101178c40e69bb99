"""How much each account has uploaded on a day, which the setting `files_per_day_mb` bounds.

A whole upload is reserved when it begins, so that several at the same time can't exceed the bound together. What was reserved and
not used is given back: when the upload is complete, when it breaks off, or when the sweeper removes what a kill has left.
"""

from __future__ import annotations

from collections.abc import Sequence

import peewee

from models.blobs import blob as blobs
from models.identity.user import User
from models.log.event import Transaction
from models.store.database import Base, affected_rows, chunks, execute, placeholders, rows

DAY_MS = 24 * 3600 * 1000


class FileUsage(Base):
    """The bytes that a user has uploaded on a day, those that are being uploaded included. `day` is that of Unix time, in UTC."""

    user = peewee.ForeignKeyField(User, index=False)
    day = peewee.IntegerField()
    bytes = peewee.BigIntegerField()

    class Meta:
        table_name = "file_usage"
        primary_key = peewee.CompositeKey("user", "day")


def left(user: int, now_ms: int, limit_bytes: int) -> int:
    """How many bytes a user may still upload today."""
    used = rows("SELECT bytes FROM file_usage WHERE user_id=? AND day=?", (user, now_ms // DAY_MS))
    return max(0, limit_bytes - (used[0][0] if used else 0))


def reserve(tx: Transaction, user: int, size: int) -> None:
    """Count an upload of this size that begins."""
    sql = (
        "INSERT INTO file_usage (user_id, day, bytes) VALUES (?,?,?) "
        "ON CONFLICT (user_id, day) DO UPDATE SET bytes=file_usage.bytes+excluded.bytes"
    )
    execute(sql, (user, tx.now_ms // DAY_MS, size))


def refund(user: int, began_ms: int, size: int) -> None:
    """Count so many bytes less on the day on which an upload began."""
    if size:
        execute("UPDATE file_usage SET bytes=bytes-? WHERE user_id=? AND day=?", (size, user, began_ms // DAY_MS))


def refund_all(ids: Sequence[int]) -> None:
    """Give back what is reserved for those of the objects that are still being written, before their rows are removed."""
    for part in chunks(ids, blobs.MAX_IDS_PER_STATEMENT):
        sql = f"SELECT owner, since_ms, bytes FROM blobs WHERE state=? AND owner IS NOT NULL AND id IN ({placeholders(len(part))})"
        for owner, since_ms, size in rows(sql, (blobs.WRITING, *part)):
            refund(owner, since_ms, size)


def trim(tx: Transaction, limit: int) -> int:
    """Delete at most `limit` rows of days before yesterday, whose uploads are all done; returns how many."""
    oldest = "SELECT user_id, day FROM file_usage WHERE day<? LIMIT ?"
    return affected_rows(f"DELETE FROM file_usage WHERE (user_id, day) IN ({oldest})", (tx.now_ms // DAY_MS - 1, limit))
