"""How long sends took, as their sender saw it: kept until there is a batch to report."""

from __future__ import annotations

import threading
import time
from collections import deque

BATCH = 20
EVERY_S = 30.0
VALUES_MAX, SECONDS_MAX = 100, 300.0  # the server's


class Telemetry:
    """The measurements of one client. When nobody takes them, the oldest go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: deque[float] = deque(maxlen=VALUES_MAX)
        self._reported_at = time.monotonic()

    def record(self, seconds: float) -> None:
        """One send, from the call to its answer, with all its tries."""
        with self._lock:
            self._seconds.append(min(seconds, SECONDS_MAX))

    def due(self) -> list[float]:
        """A batch, when there is one: enough values, or some that have waited for long."""
        is_due = len(self._seconds) >= BATCH or time.monotonic() - self._reported_at > EVERY_S
        return self.rest() if is_due else []

    def rest(self) -> list[float]:
        """All that is left."""
        with self._lock:
            self._reported_at = time.monotonic()
            taken, self._seconds = self._seconds, deque(maxlen=VALUES_MAX)
            return list(taken)
