"""Telling of something that is down: once when it begins, once a minute while it lasts, once when it is over."""

from __future__ import annotations

import threading
import time

import structlog

from conf.masking import without_addresses

REMIND_S = 60.0

logger = structlog.get_logger("jobs")


class Outage:
    """One thing that may be down, `what` it is and what happens meanwhile. Used by any thread."""

    def __init__(self, what: str, meanwhile: str) -> None:
        self._ongoing = False
        self._what = what
        self._meanwhile = meanwhile
        self._told = 0.0
        self._lock = threading.Lock()  # of several threads that meet it at once, one tells

    def record_failure(self, error: BaseException, **ids: object) -> None:
        """It failed just now, at what `ids` name."""
        now = time.monotonic()
        with self._lock:
            due = not self._ongoing or now - self._told >= REMIND_S
            self._ongoing = True
            if due:
                self._told = now
        if due:
            words = without_addresses(f"{type(error).__name__}: {error}")
            logger.warning(f"{self._what} fails: {self._meanwhile}", error=words, **ids)

    def record_success(self) -> None:
        """It works."""
        if not self._ongoing:
            return
        with self._lock:
            was, self._ongoing = self._ongoing, False
        if was:
            logger.info(f"{self._what} works again")
