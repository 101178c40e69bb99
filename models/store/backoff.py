"""Delays between retries that grow while something is down, and a gate that refuses attempts between them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

MAX_EXPONENT = 64  # of `factor`: beyond every `max_s`, and no overflow of a float


class Backoff:
    """The delay before the next attempt, in seconds: `first_s` after one failure, `factor` times as long after each further one, at
    most `max_s`; then multiplied by a random number between the two of `jitter`."""

    def __init__(self, first_s: float, max_s: float, *, factor: float = 2.0, jitter: tuple[float, float] = (1.0, 1.0)) -> None:
        self.failures = 0  # in a row
        self._first_s = first_s
        self._max_s = max_s
        self._factor = factor
        self._jitter = jitter
        self._retry_at = 0.0  # time.monotonic()

    def delay_s(self, failures: int) -> float:
        """Return the delay after so many failures in a row, one or more."""
        exact_s = self._first_s * self._factor ** min(failures - 1, MAX_EXPONENT)
        return min(exact_s, self._max_s) * random.uniform(*self._jitter)

    def record_failure(self) -> float:
        """Count a failure and return the delay before the next attempt."""
        self.failures += 1
        delay_s = self.delay_s(self.failures)
        self._retry_at = time.monotonic() + delay_s
        return delay_s

    def record_success(self) -> None:
        """Forget the failures."""
        self.failures = 0
        self._retry_at = 0.0

    def is_due(self) -> bool:
        """Return whether the next attempt may be made now."""
        return time.monotonic() >= self._retry_at


class RetryGate:
    """A gate before a server that may be down, for any number of threads. While it is down, one thread at a time attempts, when its
    back-off is due; the others are refused at once instead of waiting for a time limit."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._lock = threading.Lock()
        self._last_error = ""

    @contextmanager
    def attempt(self, error: type[Exception]) -> Iterator[None]:
        """Wrap one attempt. Raise `error` with the last failure's text instead, when the back-off is not due or another thread is
        attempting."""
        if not self._backoff.failures:
            with self._recorded():
                yield
            return
        if not self._backoff.is_due() or not self._lock.acquire(blocking=False):
            raise error(self._last_error)
        try:
            with self._recorded():
                yield
        finally:
            self._lock.release()

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        try:
            yield
        except Exception as failure:
            self._last_error = str(failure)
            self._backoff.record_failure()
            raise
        self._backoff.record_success()
