"""Log an outage of something that Bellwire depends on: when it begins, once a minute while it lasts, and when it is over."""

from __future__ import annotations

import threading
import time

import structlog

from conf.masking import without_addresses

REMINDER_INTERVAL_S = 60.0

logger = structlog.get_logger("jobs")


class Outage:
    """Outages of one thing, for any thread. Logs `NAME_failing`, with its `effect` meanwhile, and `NAME_recovered`."""

    def __init__(self, name: str, effect: str) -> None:
        self._name = name
        self._effect = effect
        self._ongoing = False
        self._logged_at = 0.0  # time.monotonic()
        self._lock = threading.Lock()  # of several threads that fail at once, one logs

    def record_failure(self, error: BaseException, **ids: object) -> None:
        """Note a failure; `ids` are further fields of the log line."""
        now = time.monotonic()
        with self._lock:
            due = not self._ongoing or now - self._logged_at >= REMINDER_INTERVAL_S
            self._ongoing = True
            if due:
                self._logged_at = now
        if due:
            text = without_addresses(f"{type(error).__name__}: {error}")
            logger.warning(f"{self._name}_failing", effect=self._effect, error=text, **ids)

    def record_success(self) -> None:
        """Note that it works. Costs nothing while there is no outage."""
        if not self._ongoing:
            return
        with self._lock:
            was_ongoing, self._ongoing = self._ongoing, False
        if was_ongoing:
            logger.info(f"{self._name}_recovered")
