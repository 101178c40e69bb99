"""Work that one process does for all: held for a while, renewed, and taken over when its holder is gone."""

from __future__ import annotations

import peewee

from models.log.event import Transaction
from models.store.database import Base, affected_rows


class Lease(Base):
    """Who holds it, and until when unless it is renewed."""

    name = peewee.CharField(primary_key=True, max_length=32)
    holder = peewee.CharField(max_length=32)
    until_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "duties"


def acquire(tx: Transaction, name: str, holder: str, for_ms: int) -> bool:
    """Takes a duty that nobody holds any more, or renews one's own; tells whether it is held now."""
    return affected_rows(
        "INSERT INTO duties (name, holder, until_ms) VALUES (?,?,?) ON CONFLICT (name) DO UPDATE SET holder=excluded.holder, "
        "until_ms=excluded.until_ms WHERE duties.holder=excluded.holder OR duties.until_ms<?",
        (name, holder, tx.now_ms + for_ms, tx.now_ms),
    ) == 1  # fmt: skip


def release(tx: Transaction, name: str, holder: str) -> None:
    """Ends one's own."""
    affected_rows("DELETE FROM duties WHERE name=? AND holder=?", (name, holder))
