"""Transactions of drains, paced so that senders get the store's one write lock.

Drains of a process write one at a time, and leave the lock free for three times as long as they had it. So at most every fourth
send meets the lock, and a fan-out to thousands leaves the median send time as it was (benchmarks `crowd` and `backlog`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from models.log import event
from models.log.event import Transaction
from models.store.database import engine

PAUSE_FACTOR = 3  # of the time that the lock was taken
_one_at_a_time = threading.Lock()
_free_at = 0.0  # time.monotonic() before which no drain of this process may begin a transaction


@contextmanager
def transaction(*, appends: bool, pause: bool = True) -> Iterator[Transaction]:
    """Begin `models.log.event.transaction` for a drain; it raises the same.

    Only a transaction that `appends` events waits for the disk: a client may have seen them, so their ids must never get another
    meaning. A power cut takes back the newest of the others as a whole, effects and checkpoint together, and the drain repeats
    them. Where the store lets several drains write at once, those that append nothing are not paced.
    """
    global _free_at
    if not appends and engine().parts_per_consumer > 1:
        with event.transaction(appends=False, durable=False) as tx:
            yield tx
        return
    with _one_at_a_time:
        time.sleep(max(0.0, _free_at - time.monotonic()))
        with event.transaction(appends=appends, durable=appends) as tx:
            began = time.monotonic()
            yield tx
        now = time.monotonic()
        _free_at = now + PAUSE_FACTOR * (now - began) if pause else now
