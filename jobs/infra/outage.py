"""Log an outage of something that Bellwire depends on: when it begins, once a minute while it lasts, and when it is over.

Every failure is counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from conf.masking import without_addresses
from metrics.declared import FAILURES_TOTAL
from models.store.clock import now_ms
from models.store.database import disconnect

REMINDER_INTERVAL_S = 60.0

logger = structlog.get_logger("jobs")


class Outage:
    """Outages of one thing, for any thread. Logs `NAME_failing`, with its `effect` meanwhile, and `NAME_recovered`."""

    def __init__(self, name: str, effect: str) -> None:
        self._name = name
        self._effect = effect
        self.since_ms: int | None = None  # when the present outage began
        self._logged_at = 0.0  # time.monotonic()
        self._lock = threading.Lock()  # of several threads that fail at once, one logs
        self._failures = FAILURES_TOTAL.labels(name)

    @property
    def ongoing(self) -> bool:
        """Whether the latest attempt failed."""
        return self.since_ms is not None

    def run_each(self, *steps: Callable[[], object]) -> None:
        """Run all steps, also when one of them fails. After a failure the next one begins with a fresh connection to the store."""
        failures = 0
        for step in steps:
            try:
                step()
            except Exception as error:  # of any kind: the caller's loop must live, and the next pass may succeed
                failures += 1
                self.record_failure(error)
                disconnect()
        if not failures:
            self.record_success()

    def record_failure(self, error: BaseException, **ids: object) -> None:
        """Note a failure; `ids` are further fields of the log line."""
        self._failures.inc()
        now = time.monotonic()
        with self._lock:
            due = not self.ongoing or now - self._logged_at >= REMINDER_INTERVAL_S
            self.since_ms = self.since_ms or now_ms()
            if due:
                self._logged_at = now
        if due:
            text = without_addresses(f"{type(error).__name__}: {error}")
            logger.warning(f"{self._name}_failing", effect=self._effect, error=text, **ids)

    def record_success(self) -> None:
        """Note that it works. Costs nothing while there is no outage."""
        if self.since_ms is None:
            return
        with self._lock:
            was_ongoing, self.since_ms = self.ongoing, None
        if was_ongoing:
            logger.info(f"{self._name}_recovered")
