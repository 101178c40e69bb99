"""Trying again, ever more seldom, while something is down; whoever asks in between is refused at once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

FIRST_S, LONGEST_S = 0.05, 1.0


class Backoff:
    """One thing that may be down, asked for by any thread. While it is, one thread at a time tries."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._delay_s = 0.0
        self._again_at = 0.0
        self._why = ""

    @contextmanager
    def attempt(self, error: type[Exception]) -> Iterator[None]:
        """Wraps one attempt. Raises `error` instead of letting it be made when the last one failed a moment ago, or another
        goes on."""
        if not self._delay_s:
            with self._counted():
                yield
            return
        if time.monotonic() < self._again_at or not self._lock.acquire(blocking=False):
            raise error(self._why)
        try:
            with self._counted():
                yield
        finally:
            self._lock.release()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except Exception as failure:
            self._why = str(failure)
            self._delay_s = min(LONGEST_S, 2 * self._delay_s or FIRST_S)
            self._again_at = time.monotonic() + self._delay_s * random.uniform(0.75, 1)
            raise
        self._delay_s = 0.0
