"""Drains take turns at the store's one write lock, and leave it free for three times as long as they held it: senders need it, too.

So at most every fourth send meets the lock at all, and a fan-out to thousands leaves the median of sends where it was; the rows
`crowd` and `backlog` of the benchmarks hold this.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import peewee

from models import event
from models.database import db, execute, rows
from models.event import Log

PAUSE_HOLDS = 3
_one_at_a_time = threading.Lock()
_free_at = 0.0  # time.monotonic() before which no drain of this process may take the lock


@contextmanager
def transaction(durable: bool, pause: bool = True) -> Iterator[Log]:
    """`models.event.transaction` for drains; it raises the same. `durable` says whether it must outlive a power cut."""
    global _free_at
    with _one_at_a_time:
        time.sleep(max(0.0, _free_at - time.monotonic()))
        with _sync(durable), event.transaction() as log:
            held_from = time.monotonic()
            yield log
        now = time.monotonic()
        _free_at = now + PAUSE_HOLDS * (now - held_from) if pause else now


@contextmanager
def _sync(durable: bool) -> Iterator[None]:
    """Lets this connection commit without waiting for the disk when nothing that is seen depends on it.

    A power cut then takes the newest commits back as a whole, effects and checkpoint together, and the drain does them anew. Not
    so for events: a client may have seen one already, and its id must never come to mean another.
    """
    if durable or not isinstance(db.obj, peewee.SqliteDatabase):
        yield
        return
    usual = rows("PRAGMA synchronous")[0][0]
    execute("PRAGMA synchronous=NORMAL")
    try:
        yield
    finally:
        execute(f"PRAGMA synchronous={int(usual)}")
