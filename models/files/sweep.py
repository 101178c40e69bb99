"""The removal of files that nobody has any more: those that were never sent, and those that a kill or an earlier version has left.

All of it happens under the log's lock, as sends do: a file that is being sent is not removed.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.blobs import blob as blobs
from models.files import file as files
from models.files import usage
from models.log.event import Transaction, transaction
from models.store.database import chunks, execute, placeholders, rows

MAX_UNCLAIMED_MS = 24 * 3600 * 1000  # a file that is not sent in this time is removed
FILES_PER_TRANSACTION = 100
FILES_PER_CHECK = 500
UNCLAIMED_SQL = "SELECT id FROM files WHERE message IS NULL AND post IS NULL AND created_ms<? ORDER BY created_ms LIMIT ?"


def has_unclaimed(now_ms: int) -> bool:
    """Whether there are files whose day has passed. Raw, as below: partial indexes."""
    return bool(rows(UNCLAIMED_SQL, (now_ms - MAX_UNCLAIMED_MS, 1)))


def remove_unclaimed(tx: Transaction) -> None:
    """Remove the next files that nobody has sent within a day."""
    files.remove(tx, [number for (number,) in rows(UNCLAIMED_SQL, (tx.now_ms - MAX_UNCLAIMED_MS, FILES_PER_TRANSACTION))])


def discard_left(tx: Transaction) -> None:
    """Discard objects that a kill has left behind, and give back what is reserved for them."""
    left = blobs.list_left(tx.now_ms)
    usage.refund_all(left)
    blobs.discard(tx, left)


def leave(tx: Transaction, ids: Sequence[int]) -> None:
    """Leave objects to the sweeper, unless they are stored: whether the transaction that was to record them was committed is not
    known. What is reserved for them is given back."""
    usage.refund_all(ids)
    for part in chunks(ids, blobs.MAX_IDS_PER_STATEMENT):
        sql = f"UPDATE blobs SET state=?, owner=NULL, since_ms=? WHERE state=? AND id IN ({placeholders(len(part))})"
        execute(sql, (blobs.UNUSED, tx.now_ms, blobs.WRITING, *part))


def discard_uploads(began_ms: int) -> None:
    """Discard what uploads have left behind whose gateways had all ended at this time, and give back what is reserved for them."""
    while blobs.list_uploads(began_ms):
        with transaction(appends=True) as tx:
            left = blobs.list_uploads(began_ms)
            usage.refund_all(left)
            blobs.discard(tx, left)


def find_left(after: int) -> tuple[int, list[int]]:
    """Those of the next FILES_PER_CHECK files after an id whose message or post is deleted, and the last id that was checked, 0 at
    the end. A gateway of the version before deletes messages without their files."""
    sql = (
        "SELECT f.id, x.deleted_ms IS NOT NULL OR p.deleted_ms IS NOT NULL FROM files f LEFT JOIN messages x ON x.id=f.message "
        "LEFT JOIN posts p ON p.id=f.post WHERE f.id>? ORDER BY f.id LIMIT ?"
    )
    checked = rows(sql, (after, FILES_PER_CHECK))
    end = checked[-1][0] if len(checked) == FILES_PER_CHECK else 0
    return end, [number for number, is_left in checked if is_left]


def remove_left(tx: Transaction, ids: Sequence[int]) -> None:
    """Remove the files of deleted messages and posts, which have none from then on."""
    chosen = f"FROM files WHERE id IN ({placeholders(len(ids))})"
    for column, table in (("message", "messages"), ("post", "posts")):
        execute(f"UPDATE {table} SET files=NULL WHERE deleted_ms IS NOT NULL AND id IN (SELECT {column} {chosen})", ids)
    files.remove(tx, ids)
