"""The list of workers and their current tasks, for admins and `doctor`. Each worker records itself every few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import peewee

from models.log.event import Transaction
from models.store.clock import rfc3339
from models.store.database import Base, engine, fetch_rows

ALIVE_MS = 15_000  # a worker that has recorded nothing for so long is gone
KEPT_MS = 3_600_000  # after so long it leaves the list


class Worker(Base):
    """One worker. `busy` is JSON: its current tasks, and since when."""

    name = peewee.CharField(primary_key=True, max_length=80)
    started_ms = peewee.BigIntegerField()
    seen_ms = peewee.BigIntegerField()
    busy = peewee.TextField()

    class Meta:
        table_name = "workers"


class Busy(NamedTuple):
    """A task that a worker is doing, such as `drain notify` or `mail 12`."""

    what: str
    since_ms: int


def record(tx: Transaction, name: str, started_ms: int, busy: Sequence[Busy]) -> None:
    """Record that a worker is alive, with its current tasks, and delete workers that are long gone."""
    tasks = msgspec.json.encode([{"what": task.what, "since": rfc3339(task.since_ms)} for task in busy]).decode()
    Worker.insert(name=name, started_ms=started_ms, seen_ms=tx.now_ms, busy=tasks).on_conflict(
        conflict_target=[Worker.name], preserve=[Worker.seen_ms, Worker.busy]
    ).execute()
    Worker.delete().where(Worker.seen_ms < tx.now_ms - KEPT_MS).execute()


def remove(tx: Transaction, name: str) -> None:
    """Delete a worker that ends."""
    Worker.delete().where(Worker.name == name).execute()


def all_workers() -> list[dict[str, Any]]:
    """Return all workers by name, each with its tasks and whether it is alive."""
    now = engine().now_ms()
    query = Worker.select(Worker.name, Worker.started_ms, Worker.seen_ms, Worker.busy).order_by(Worker.name)
    return [
        {
            "worker": name,
            "alive": abs(now - seen) < ALIVE_MS,
            "started_at": rfc3339(started),
            "seen_at": rfc3339(seen),
            "running": msgspec.json.decode(busy),
        }
        for name, started, seen, busy in fetch_rows(query)
    ]
