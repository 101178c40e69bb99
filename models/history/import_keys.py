"""The rows that imports have made, by the source and the key that it has for each: a line imported again changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

import peewee

from models.store.database import Base, chunks, insert_rows, placeholders, rows

MAX_SOURCE_CHARS = 64
MAX_KEY_CHARS = 200
MAX_KEYS_PER_QUERY = 500
DEFAULT_SOURCE = "host"
USER, CONVERSATION, MESSAGE = "user", "conversation", "message"


class ImportKey(Base):
    """The row (`number` is its id) that a line of an import has made, or found."""

    source = peewee.CharField(max_length=MAX_SOURCE_CHARS)
    kind = peewee.CharField(max_length=12)
    key = peewee.CharField(max_length=MAX_KEY_CHARS)
    number = peewee.BigIntegerField()

    class Meta:
        table_name = "import_keys"
        primary_key = peewee.CompositeKey("source", "kind", "key")
        indexes = ((("kind", "number"), False),)  # for the deletion of a user


def find(source: str, kind: str, keys: Iterable[str]) -> dict[str, int]:
    """Return the ids of the rows that have been imported, by key. Raw SQL: it runs while the log's lock is acquired."""
    found: dict[str, int] = {}
    for part in chunks(dict.fromkeys(keys), MAX_KEYS_PER_QUERY):
        sql = f"SELECT key, number FROM import_keys WHERE source=? AND kind=? AND key IN ({placeholders(len(part))})"
        found.update(rows(sql, (source, kind, *part)))
    return found


def insert(source: str, kind: str, numbers: Iterable[tuple[str, int]]) -> None:
    """Record the rows that lines have made."""
    insert_rows(ImportKey, ("source", "kind", "key", "number"), [(source, kind, key, number) for key, number in numbers])
