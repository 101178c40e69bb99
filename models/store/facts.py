"""Facts about the store itself: its epoch, and the low-water mark of the log."""

from __future__ import annotations

import secrets

import peewee

from models.store.database import Base, execute, rows


class Fact(Base):
    """One fact by name: `epoch` (changes when a store is restored), `trimmed` (the newest event id that was deleted), `probed`."""

    name = peewee.CharField(primary_key=True, max_length=32)
    value = peewee.TextField()

    class Meta:
        table_name = "facts"


EPOCH = "epoch"
TRIMMED = "trimmed"
PROBED = "probed"  # when a gateway last tried whether commits succeed, in ms
COPYING = "copying"  # present while a SQLite store is being copied to this one


def is_half_copied() -> bool:
    """Return whether a copy to this store has begun and not finished."""
    return Fact.select().where(Fact.name == COPYING).exists()


def new_epoch() -> str:
    """Return a random label for a new epoch."""
    return secrets.token_hex(4)


def epoch() -> str:
    """Return the store's epoch."""
    return str(Fact.get_by_id(EPOCH).value)


def trimmed() -> int:
    """Return the newest event id that was deleted; 0 when all events are kept. Raw SQL: every poll that reads the store runs it."""
    return int(rows("SELECT value FROM facts WHERE name=?", (TRIMMED,))[0][0])


def write_probe(at_ms: int) -> None:
    """Write one row, so that the commit that follows has something to write. Raw SQL: it runs under the log's lock."""
    execute(
        "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value=excluded.value", (PROBED, str(at_ms))
    )
