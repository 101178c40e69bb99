"""A worker's entry in the list of workers: that it is there, and what it is doing."""

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

INTERVAL_S = 5.0
HOST_CHARS = 60


class Heartbeat:
    """Tells every few seconds, and sooner when what takes long has changed. `busy` says what goes on."""

    def __init__(self, busy: Callable[[], list[Busy]]) -> None:
        self._busy = busy
        self._name = f"{socket.gethostname()[:HOST_CHARS]}:{os.getpid()}:{secrets.token_hex(2)}"
        self._started_ms = now_ms()
        self._sent_busy: list[Busy] = []
        self._again_at = 0.0

    def send(self) -> None:
        """Called at each look. Raises what the store raises."""
        busy = self._busy()
        if time.monotonic() < self._again_at and busy == self._sent_busy:
            return
        with event.transaction(appends=False, durable=False) as tx:
            worker.record(tx, self._name, self._started_ms, busy)
        self._sent_busy, self._again_at = busy, time.monotonic() + INTERVAL_S

    def stop(self) -> None:
        """This worker ends. Raises what the store raises."""
        with event.transaction(appends=False, durable=False) as tx:
            worker.remove(tx, self._name)
