"""Drains take turns at the store's one write lock, and leave it free for three times as long as they held it: senders need it, too.

So at most every fourth send meets the lock at all, and a fan-out to thousands leaves the median of sends where it was; the rows
`crowd` and `backlog` of the benchmarks hold this.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from models.log import event
from models.log.event import Transaction
from models.store.database import engine

PAUSE_HOLDS = 3
_one_at_a_time = threading.Lock()
_free_at = 0.0  # time.monotonic() before which no drain of this process may take the lock


@contextmanager
def transaction(*, appends: bool, pause: bool = True) -> Iterator[Transaction]:
    """`models.log.event.transaction` for drains; it raises the same.

    Only one that `appends` must outlive a power cut: a client may have seen its events, and their ids must never come to mean
    others. Of the rest a power cut takes the newest commits back as a whole, effects and checkpoint together, and the drain
    does them anew. And where the store does not make it, it takes no turn at the log's lock.
    """
    global _free_at
    if not appends and engine().parts_per_consumer > 1:
        with event.transaction(appends=False, durable=False) as tx:
            yield tx
        return
    with _one_at_a_time:
        time.sleep(max(0.0, _free_at - time.monotonic()))
        with event.transaction(appends=appends, durable=appends) as tx:
            held_from = time.monotonic()
            yield tx
        now = time.monotonic()
        _free_at = now + PAUSE_HOLDS * (now - held_from) if pause else now
