"""The rows of objects. Each object has one before its first byte is written, and until its last is removed.

So the table names all that a folder or a bucket may contain, at any moment and after any kill: `writing` while the bytes are
written, `stored` when they are durable, `unused` when nobody may have them any more. The sweeper removes objects, then
their rows, while `models.store.data_dir_lock.objects_may_go` says so.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

import peewee

from models.log.event import Transaction
from models.store.database import Base, NeverReusedIdField, chunks, execute, placeholders, rows
from models.store.errors import NotFoundError

WRITING, STORED, UNUSED = "writing", "stored", "unused"
MAX_WRITING_MS = 3600 * 1000  # an object that is written for longer was left behind by a kill
MAX_LATE_MS = 60 * 1000  # a request to a bucket may be carried out so long after its sender has given it up
MAX_IDS_PER_STATEMENT = 200


class Blob(Base):
    """One object. `key` is its name in the store, random, and never used twice. `bytes` is what is reserved while it is written,
    by `owner` (a user) if it counts towards their day, and its length from then on. `since_ms` is the time of its state."""

    id = NeverReusedIdField()
    key = peewee.CharField(max_length=32, unique=True)
    bytes = peewee.BigIntegerField()
    sha256 = peewee.CharField(max_length=64, null=True)
    state = peewee.CharField(max_length=8)
    owner = peewee.BigIntegerField(null=True)
    since_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "blobs"


Blob.add_index(Blob.index(Blob.since_ms, where=peewee.SQL("state<>'stored'"), name="blob_open"))
Blob.add_index(Blob.index(Blob.bytes, where=peewee.SQL("state='stored'"), name="blob_stored"))


class ObjectPlace(NamedTuple):
    """A place in the order in which unused objects are removed."""

    since_ms: int = 0
    id: int = 0


class UnusedObject(NamedTuple):
    """An object that is to be removed from the store."""

    id: int
    key: str
    since_ms: int

    @property
    def place(self) -> ObjectPlace:
        """Where it is in the order."""
        return ObjectPlace(self.since_ms, self.id)


class ObjectName(NamedTuple):
    """An object's row, and its name in the store."""

    id: int
    key: str


def begin(tx: Transaction, reserved_bytes: int, owner: int | None = None) -> ObjectName:
    """Insert the row of an object that is to be written."""
    key = secrets.token_hex(16)
    row = {"key": key, "bytes": reserved_bytes, "state": WRITING, "owner": owner, "since_ms": tx.now_ms}
    return ObjectName(int(Blob.insert(**row).execute()), key)


def mark_stored(tx: Transaction, blob: int, length: int, sha256: str) -> None:
    """Record that an object is durable. Raises NotFoundError if its time was over and it was removed."""
    changes = {"state": STORED, "bytes": length, "sha256": sha256, "owner": None, "since_ms": tx.now_ms}
    if not Blob.update(**changes).where(Blob.id == blob, Blob.state == WRITING).execute():
        raise NotFoundError("it took too long")


def discard(tx: Transaction, blobs: Sequence[int]) -> None:
    """Record that nobody may have these objects any more. Raw: part of deleting a message."""
    for part in chunks(blobs, MAX_IDS_PER_STATEMENT):
        sql = f"UPDATE blobs SET state=?, since_ms=? WHERE id IN ({placeholders(len(part))})"
        execute(sql, (UNUSED, tx.now_ms, *part))


def list_left(now_ms: int) -> list[int]:
    """Objects that their writers have left behind. Raw: SQLite uses a partial index only if its condition is written."""
    sql = "SELECT id FROM blobs WHERE state<>'stored' AND state='writing' AND since_ms<? ORDER BY since_ms LIMIT ?"
    return [number for (number,) in rows(sql, (now_ms - MAX_WRITING_MS, MAX_IDS_PER_STATEMENT))]


def list_uploads(before_ms: int) -> list[int]:
    """Objects of uploads that began before a time and are not complete. Raw, as above."""
    sql = "SELECT id FROM blobs WHERE state<>'stored' AND state='writing' AND owner IS NOT NULL AND since_ms<? LIMIT ?"
    return [number for (number,) in rows(sql, (before_ms, MAX_IDS_PER_STATEMENT))]


def list_unused(after: ObjectPlace, now_ms: int) -> list[UnusedObject]:
    """The next objects that nobody may have, oldest first. An object that was never stored is left for MAX_LATE_MS: its writer may
    have given up before a bucket did. Raw, as above."""
    sql = (
        "SELECT id, key, since_ms FROM blobs WHERE state<>'stored' AND state='unused' AND since_ms>=? AND (since_ms>? OR id>?) "
        "AND (sha256 IS NOT NULL OR since_ms NOT BETWEEN ? AND ?) ORDER BY since_ms, id LIMIT ?"
    )
    late = (now_ms - MAX_LATE_MS, now_ms + MAX_LATE_MS)
    found = rows(sql, (after.since_ms, after.since_ms, after.id, *late, MAX_IDS_PER_STATEMENT))
    return [UnusedObject(id_, key, since_ms) for id_, key, since_ms in found]


def forget(tx: Transaction, blobs: Sequence[int]) -> None:
    """Delete the rows of unused objects that were removed from the store."""
    execute(f"DELETE FROM blobs WHERE state='unused' AND id IN ({placeholders(len(blobs))})", blobs)


def stored_bytes() -> int:
    """The size of all files, with thumbnails. It reads a whole index. Raw, as above."""
    ((total,),) = rows("SELECT sum(bytes) FROM blobs WHERE state='stored'")
    return int(total or 0)
