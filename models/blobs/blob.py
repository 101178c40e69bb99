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
from models.store.database import Base, NeverReusedIdField, chunks, execute, fetch_rows, placeholders
from models.store.errors import NotFoundError

WRITING, STORED, UNUSED = "writing", "stored", "unused"
MAX_WRITING_MS = 3600 * 1000  # an object that is written for longer was left behind by a kill
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


def list_removable(now_ms: int, limit: int) -> list[ObjectName]:
    """Objects that nobody may have, and those whose writer has left them behind."""
    is_left = (Blob.state == WRITING) & (Blob.since_ms < now_ms - MAX_WRITING_MS)
    query = Blob.select(Blob.id, Blob.key).where((Blob.state == UNUSED) | is_left).order_by(Blob.since_ms).limit(limit)
    return [ObjectName(*row) for row in fetch_rows(query)]
