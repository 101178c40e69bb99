"""Which worker sees to periodic work: one of all, and another soon after it is gone. Huey itself would have every worker do it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from models.log import event
from models.ops import lease

LEASE_NAME = "scheduler"
LEASE_S = 15.0  # a worker that renews no more is followed by another after so long
RENEW_S = 5.0


class Scheduler:
    """This worker's part in it. `has_lease` is exact: who stood still for too long is not on duty when it wakes up."""

    def __init__(self) -> None:
        self._me = secrets.token_hex(8)
        self._until = 0.0
        self._renew_at = 0.0

    @property
    def has_lease(self) -> bool:
        """Whether periodic work is this worker's now."""
        return time.monotonic() < self._until

    def renew(self) -> None:
        """Renews the duty, or takes it when nobody has it any more. Raises what the store raises."""
        now = time.monotonic()
        if now < self._renew_at:
            return
        self._renew_at = now + RENEW_S
        with event.transaction(appends=False, durable=False) as tx:
            acquired = lease.acquire(tx, LEASE_NAME, self._me, int(LEASE_S * 1000))
        self._until = now + LEASE_S if acquired else 0.0

    def release(self) -> None:
        """Lays the duty down, for another to take it at once. Raises what the store raises."""
        self._until = 0.0
        with event.transaction(appends=False, durable=False) as tx:
            lease.release(tx, LEASE_NAME, self._me)


@contextmanager
def exclusive(work: str, max_s: float) -> Iterator[bool]:
    """Tells whether no other thread of any worker is at this work; none begins it until the end. The work is to take less than so
    long, after which others believe that this process was killed. Raises what the store raises."""
    me = secrets.token_hex(8)
    with event.transaction(appends=False, durable=False) as tx:
        acquired = lease.acquire(tx, work, me, int(max_s * 1000))
    try:
        yield acquired
    finally:
        if acquired:
            with event.transaction(appends=False, durable=False) as tx:
                lease.release(tx, work, me)
