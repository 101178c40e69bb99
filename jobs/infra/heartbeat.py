"""A worker's row in the list of workers: that it is alive, and its work that takes long."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable

from models.log import event
from models.ops import worker
from models.ops.worker import Busy
from models.store.clock import now_ms

HEARTBEAT_INTERVAL_S = 5.0
MAX_HOST_CHARS = 60


class Heartbeat:
    """The heartbeat of this worker. `running` returns its work that takes long."""

    def __init__(self, running: Callable[[], list[Busy]]) -> None:
        self._running = running
        self._name = f"{socket.gethostname()[:MAX_HOST_CHARS]}:{os.getpid()}:{secrets.token_hex(2)}"
        self._started_ms = now_ms()
        self._sent: list[Busy] = []
        self._next_at = 0.0  # time.monotonic()

    def send(self) -> None:
        """Write the row if HEARTBEAT_INTERVAL_S have passed or the work has changed. Raises the store's errors."""
        running = self._running()
        if time.monotonic() < self._next_at and running == self._sent:
            return
        with event.transaction(appends=False, durable=False) as tx:
            worker.record(tx, self._name, self._started_ms, running)
        self._sent, self._next_at = running, time.monotonic() + HEARTBEAT_INTERVAL_S

    def stop(self) -> None:
        """Delete the row, since this worker ends. Raises the store's errors."""
        with event.transaction(appends=False, durable=False) as tx:
            worker.remove(tx, self._name)
