"""Leases on periodic work: one worker does it, and another soon after that one is gone. With Huey alone, every worker would."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from models.log import event
from models.ops import lease

LEASE_NAME = "scheduler"
LEASE_S = 15.0  # another worker may acquire a lease that was not renewed for so long
RENEW_S = 5.0


class Scheduler:
    """This worker's lease on periodic work, or on other work that one worker of all does."""

    def __init__(self, name: str = LEASE_NAME) -> None:
        self._name = name
        self._holder_id = secrets.token_hex(8)
        self._expires_at = 0.0  # time.monotonic()
        self._renew_at = 0.0

    @property
    def has_lease(self) -> bool:
        """Whether this worker has the lease now. Exact: a process that was suspended for too long has it no more."""
        return time.monotonic() < self._expires_at

    def renew(self) -> None:
        """Renew the lease, or acquire it when it has expired. Raises the store's errors."""
        now = time.monotonic()
        if now < self._renew_at:
            return
        self._renew_at = now + RENEW_S
        with event.transaction(appends=False, durable=False) as tx:
            acquired = lease.acquire(tx, self._name, self._holder_id, int(LEASE_S * 1000))
        self._expires_at = now + LEASE_S if acquired else 0.0

    def release(self) -> None:
        """Release the lease, so that another worker can acquire it at once. Raises the store's errors."""
        self._expires_at = 0.0
        with event.transaction(appends=False, durable=False) as tx:
            lease.release(tx, self._name, self._holder_id)


@contextmanager
def exclusive(work: str, max_s: float) -> Iterator[bool]:
    """Yield whether this thread may do the work; no other thread of any worker may begin it until the block ends.

    The work must take less than `max_s`: after that others assume that this process was killed. Raises the store's errors.
    """
    holder_id = secrets.token_hex(8)
    with event.transaction(appends=False, durable=False) as tx:
        acquired = lease.acquire(tx, work, holder_id, int(max_s * 1000))
    try:
        yield acquired
    finally:
        if acquired:
            with event.transaction(appends=False, durable=False) as tx:
                lease.release(tx, work, holder_id)
