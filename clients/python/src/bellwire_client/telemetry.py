"""Durations of sends, as the sender measured them, collected for a report to the server."""

from __future__ import annotations

import threading
import time
from collections import deque

BATCH_SIZE = 20
REPORT_EVERY_S = 30.0
MAX_VALUES, MAX_SECONDS = 100, 300.0  # limits of the server


class Telemetry:
    """The unreported durations of one client. Beyond MAX_VALUES the oldest are dropped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: deque[float] = deque(maxlen=MAX_VALUES)
        self._reported_at = time.monotonic()

    def record(self, seconds: float) -> None:
        """Add the duration of one send, from the call to its answer, with all attempts."""
        with self._lock:
            self._seconds.append(min(seconds, MAX_SECONDS))

    def collect_due(self) -> list[float]:
        """Remove and return all durations if a report is due: there are enough, or the last report is long ago. Else return []."""
        is_due = len(self._seconds) >= BATCH_SIZE or time.monotonic() - self._reported_at > REPORT_EVERY_S
        return self.collect_all() if is_due else []

    def collect_all(self) -> list[float]:
        """Remove and return all durations."""
        with self._lock:
            self._reported_at = time.monotonic()
            seconds = list(self._seconds)
            self._seconds.clear()
            return seconds
