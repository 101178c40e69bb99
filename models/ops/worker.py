"""Which workers there are, and what each does now: told by themselves every few seconds, for admins and `doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import peewee

from models.log.event import Transaction
from models.store.clock import now_ms, rfc3339
from models.store.database import Base, execute, rows

GONE_MS = 15_000  # a worker that has said nothing for so long is gone
FORGOTTEN_MS = 3_600_000


class Worker(Base):
    """One worker. `busy` is JSON: what it does, and since when."""

    name = peewee.CharField(primary_key=True, max_length=80)
    started_ms = peewee.BigIntegerField()
    seen_ms = peewee.BigIntegerField()
    busy = peewee.TextField()

    class Meta:
        table_name = "workers"


class Busy(NamedTuple):
    """Something that a worker is doing: `drain notify`, `mail 12`."""

    what: str
    since_ms: int


def record(tx: Transaction, name: str, started_ms: int, busy: Sequence[Busy]) -> None:
    """A worker says that it is there, and what it does. Those long gone are forgotten."""
    told = msgspec.json.encode([{"what": one.what, "since": rfc3339(one.since_ms)} for one in busy]).decode()
    execute(
        "INSERT INTO workers (name, started_ms, seen_ms, busy) VALUES (?,?,?,?) ON CONFLICT (name) DO UPDATE SET "
        "seen_ms=excluded.seen_ms, busy=excluded.busy",
        (name, started_ms, tx.now_ms, told),
    )
    execute("DELETE FROM workers WHERE seen_ms<?", (tx.now_ms - FORGOTTEN_MS,))


def remove(tx: Transaction, name: str) -> None:
    """A worker ends."""
    execute("DELETE FROM workers WHERE name=?", (name,))


def all_workers() -> list[dict[str, Any]]:
    """All of them, with whether they are alive."""
    now = now_ms()
    return [
        {
            "worker": name,
            "alive": now - seen < GONE_MS,
            "started_at": rfc3339(started),
            "seen_at": rfc3339(seen),
            "running": msgspec.json.decode(busy),
        }
        for name, started, seen, busy in rows("SELECT name, started_ms, seen_ms, busy FROM workers ORDER BY name")
    ]
