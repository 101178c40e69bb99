"""Files: their table, and FILE as messages and posts have it.

A file belongs to its owner alone until a send claims it. From then on its message or post decides who may have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import peewee

from models.blobs import blob as blobs
from models.blobs.blob import Blob
from models.identity.user import User
from models.log.event import Transaction
from models.store.clock import rfc3339
from models.store.database import Base, NeverReusedIdField, placeholders, rows

PENDING, READY, FAILED = "pending", "ready", "failed"
PENDING_JSON = f'"state":"{PENDING}"'.encode()  # a part of each event about a message or post with such a file
STATES = (READY, PENDING, FAILED)
MAX_NAME_CHARS = 255
VIEW_COLUMNS = "id, name, type, bytes, width, height, thumbnail_id, state, created_ms"


class File(Base):
    """One file. `private` while its content may name a place or a camera: then only its owner may have it. A picture is PENDING
    until `jobs/pictures` has looked at it, which it does from `next_ms` on, when the file was claimed."""

    id = NeverReusedIdField()
    owner = peewee.ForeignKeyField(User, index=False)
    name = peewee.CharField(max_length=MAX_NAME_CHARS)
    type = peewee.CharField(max_length=100)
    bytes = peewee.BigIntegerField()
    width = peewee.IntegerField(null=True)
    height = peewee.IntegerField(null=True)
    state = peewee.CharField(max_length=8)
    content = peewee.ForeignKeyField(Blob, unique=True)
    thumbnail = peewee.ForeignKeyField(Blob, null=True, unique=True)
    private = peewee.BooleanField()
    message = peewee.BigIntegerField(null=True)
    post = peewee.BigIntegerField(null=True)
    position = peewee.SmallIntegerField()
    attempts = peewee.SmallIntegerField()
    next_ms = peewee.BigIntegerField(null=True)
    holder = peewee.CharField(max_length=32, null=True)
    created_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "files"
        indexes = ((("owner", "id"), False),)


File.add_index(File.index(File.message, where=peewee.SQL("message IS NOT NULL"), name="file_message"))
File.add_index(File.index(File.post, where=peewee.SQL("post IS NOT NULL"), name="file_post"))
File.add_index(File.index(File.created_ms, where=peewee.SQL("message IS NULL AND post IS NULL"), name="file_unclaimed"))
File.add_index(File.index(File.owner, where=peewee.SQL("message IS NULL AND post IS NULL"), name="file_unclaimed_of_owner"))
File.add_index(File.index(File.next_ms, where=peewee.SQL("next_ms IS NOT NULL"), name="file_due"))
File.add_index(File.index(File.owner, File.next_ms, where=peewee.SQL("next_ms IS NOT NULL"), name="file_owner_due"))


class FileView(msgspec.Struct, gc=False):
    """FILE of the contract."""

    id: int
    name: str
    type: str
    bytes: int
    width: int | None
    height: int | None
    thumbnail: bool
    state: Annotated[str, msgspec.Meta(extra_json_schema={"enum": STATES})]
    created_at: str


def view_of(row: Sequence[object]) -> FileView:
    """FILE of a row with VIEW_COLUMNS."""
    id_, name, type_, length, width, height, thumbnail, state, created_ms = row
    return FileView(id_, name, type_, length, width, height, thumbnail is not None, state, rfc3339(created_ms))  # type: ignore[arg-type]


def views_of(column: str, owners: Sequence[int]) -> dict[int, list[FileView]]:
    """The files of messages, or of posts, in their order. `column` is `message` or `post`. Raw: part of every initial state."""
    if not owners:
        return {}
    sql = f"SELECT {column}, {VIEW_COLUMNS} FROM files WHERE {column} IN ({placeholders(len(owners))}) ORDER BY {column}, position"
    found: dict[int, list[FileView]] = {}
    for owner, *row in rows(sql, owners):
        found.setdefault(owner, []).append(view_of(row))
    return found


def names_of(messages: Sequence[int]) -> dict[int, list[str]]:
    """The names of the files of messages, in their order. Raw: part of indexing all messages."""
    found: dict[int, list[str]] = {}
    sql = f"SELECT message, name FROM files WHERE message IN ({placeholders(len(messages))}) ORDER BY message, position"
    for message, name in rows(sql, messages) if messages else ():
        found.setdefault(message, []).append(name)
    return found


def in_words(names: Sequence[str]) -> str:
    """The text for clients that show none of a message's files."""
    return f"📎 {', '.join(names)}" if names else ""


def remove(tx: Transaction, ids: Sequence[int]) -> None:
    """Remove files: from now on nobody may have them. Their bytes go by the sweeper."""
    if not ids:
        return
    chosen = f"WHERE id IN ({placeholders(len(ids))})"
    used = rows(f"SELECT content_id, thumbnail_id FROM files {chosen}", ids)  # raw: part of deleting a message
    File.delete().where(File.id.in_(list(ids))).execute()
    blobs.discard(tx, [blob for both in used for blob in both if blob is not None])
