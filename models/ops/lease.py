"""Leases: work that one process does for all, until it releases the lease or its lease expires."""

from __future__ import annotations

import peewee

from models.log.event import Transaction
from models.store.database import Base
from models.store.due import due


class Lease(Base):
    """A lease on the work `name`: its holder, and when it expires unless it is renewed."""

    name = peewee.CharField(primary_key=True, max_length=32)
    owner = peewee.CharField(max_length=32, column_name="holder")
    until_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "duties"


def acquire(tx: Transaction, name: str, owner: str, for_ms: int) -> bool:
    """Acquire a lease that is free or has expired, or renew the owner's own. Return whether the owner has it now.

    A lease that ends much later than a new one would was written while a clock was ahead, and is free.
    """
    expired = due(Lease.until_ms, tx.now_ms, 2 * for_ms)
    written = (
        Lease.insert(name=name, owner=owner, until_ms=tx.now_ms + for_ms)
        .on_conflict(
            conflict_target=[Lease.name],
            preserve=[Lease.owner, Lease.until_ms],
            where=(Lease.owner == owner) | expired,
        )
        .as_rowcount()
        .execute()
    )
    return bool(written == 1)


def release(tx: Transaction, name: str, owner: str) -> None:
    """Release the owner's lease, if it still has it."""
    Lease.delete().where(Lease.name == name, Lease.owner == owner).execute()
