"""Statistics of one drain's run: they are added to the metrics and logged as one line."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog

from jobs.drain.consumer import Written
from metrics.declared import DRAIN_ROWS_TOTAL, DRAIN_SECONDS, LOG_EVENTS_TOTAL, NOTIFICATIONS_TOTAL
from models.files.file import PENDING_JSON
from models.log.event import Event, Transaction
from models.notices.preference import metric_type

logger = structlog.get_logger("jobs")


class DrainStats:
    """Counts of one run: `events` were processed or parked, `rows` written, `mails` queued. `pictures`: some events are about files
    that are to be processed."""

    def __init__(self, consumer: str) -> None:
        self.events = self.rows = self.mails = 0
        self.pictures = False
        self._consumer = consumer
        self._began = time.perf_counter()
        self._first: int | None = None
        self._last = 0

    def begin(self, events: Sequence[Event]) -> None:
        """Record that the run has come to these events."""
        if events:
            self._first = min(self._first or events[0].id, events[0].id)
            self._last = max(self._last, events[-1].id)
            self.pictures = self.pictures or any(PENDING_JSON in event.data for event in events)

    def count(self, tx: Transaction, written: Written) -> None:
        """Count what a committed transaction wrote."""
        self.rows += written.rows
        self.mails += sum(count for (_, channel), count in written.by_channel.items() if channel == "email")
        DRAIN_ROWS_TOTAL.labels(self._consumer).inc(written.rows)
        LOG_EVENTS_TOTAL.inc(len(tx.events))
        for (notification_type, channel), count in written.by_channel.items():
            NOTIFICATIONS_TOTAL.labels(metric_type(notification_type), channel).inc(count)

    def end(self) -> None:
        """Log the run, however it ended. A run that found nothing to do is not logged."""
        if not (self.events or self.rows):
            return
        seconds = time.perf_counter() - self._began
        DRAIN_SECONDS.labels(self._consumer).observe(seconds)
        logger.info(
            "drain_run",
            consumer=self._consumer,
            seconds=round(seconds, 3),
            events=self.events,
            first_event=self._first,
            last_event=self._last,
            rows=self.rows,
            mails=self.mails,
        )
