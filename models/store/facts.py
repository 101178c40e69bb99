"""The store's own facts: its epoch, and how far the log is kept."""

from __future__ import annotations

import secrets

import peewee

from models.store.database import Base, rows


class Fact(Base):
    """One fact by name: `epoch` (changes when a store is restored) and `trimmed` (the newest event id that is gone)."""

    name = peewee.CharField(primary_key=True, max_length=32)
    value = peewee.TextField()

    class Meta:
        table_name = "facts"


EPOCH = "epoch"
TRIMMED = "trimmed"


COPYING = "copying"  # there while another store is being carried over to this one


def is_half_copied() -> bool:
    """Whether a copy to this store was begun and not finished."""
    return bool(rows("SELECT 1 FROM facts WHERE name=?", (COPYING,)))


def new_epoch() -> str:
    """A label that no earlier state of any store has had."""
    return secrets.token_hex(4)


def epoch() -> str:
    """The store's epoch."""
    return str(rows("SELECT value FROM facts WHERE name=?", (EPOCH,))[0][0])


def trimmed() -> int:
    """The newest event id that is no longer kept; 0 when all are."""
    return int(rows("SELECT value FROM facts WHERE name=?", (TRIMMED,))[0][0])
