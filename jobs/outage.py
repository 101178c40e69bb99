"""Telling of something that is down: once when it begins, once a minute while it lasts, once when it is over."""

from __future__ import annotations

import time

import structlog

REMIND_S = 60.0

log = structlog.get_logger("jobs")


class Outage:
    """One thing that may be down, `what` it is and what happens meanwhile. Used by any thread; two may both tell of a beginning."""

    def __init__(self, what: str, meanwhile: str) -> None:
        self.lasting = False
        self._what = what
        self._meanwhile = meanwhile
        self._told = 0.0

    def failed(self, error: BaseException) -> None:
        """It failed just now."""
        now = time.monotonic()
        if not self.lasting or now - self._told >= REMIND_S:
            self._told = now
            log.warning(f"{self._what} fails: {self._meanwhile}", error=f"{type(error).__name__}: {error}")
        self.lasting = True

    def over(self) -> None:
        """It works."""
        if self.lasting:
            self.lasting = False
            log.info(f"{self._what} works again")
