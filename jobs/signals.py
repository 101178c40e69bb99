"""Metrics of tasks, from Huey's signals. Importing this module connects them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from huey import signals

from jobs.mail.compose import KINDS
from jobs.pictures.processor import PICTURE_OUTCOMES
from jobs.push.sender import PUSH_OUTCOMES
from jobs.queue.broker import huey
from metrics.declared import (
    DEAD_EVENTS_TOTAL,
    DRAIN_ROWS_TOTAL,
    EMAIL_SECONDS,
    EMAILS_TOTAL,
    FILE_PICTURES_TOTAL,
    JOB_SECONDS,
    JOB_WAIT_SECONDS,
    NOTIFICATIONS_TOTAL,
    PUSH_SECONDS,
    PUSHES_TOTAL,
    begin_at_0,
)
from models.notices.host_types import HOST
from models.notices.preference import TYPES

_OUTCOMES = {
    signals.SIGNAL_COMPLETE: "ok",
    signals.SIGNAL_ERROR: "error",
    signals.SIGNAL_INTERRUPTED: "interrupted",
    signals.SIGNAL_CANCELED: "canceled",
}


def create_series(consumers: Iterable[str]) -> None:
    """Create the series of rare events at 0: `rate()` does not see the first event of a series that begins at 1."""
    names = list(consumers)
    begin_at_0(DEAD_EVENTS_TOTAL, names)
    begin_at_0(DRAIN_ROWS_TOTAL, names)
    for kind in KINDS:
        for outcome in ("sent", "deferred", "dead", "dropped"):
            EMAILS_TOTAL.labels(kind, outcome)
        EMAIL_SECONDS.labels(kind, "sent")
    for outcome in PUSH_OUTCOMES:
        PUSHES_TOTAL.labels(outcome)
    PUSH_SECONDS.labels("sent")
    begin_at_0(FILE_PICTURES_TOTAL, PICTURE_OUTCOMES)
    for notification_type in (*TYPES, HOST):
        for channel in ("in_app", "email", "push"):
            NOTIFICATIONS_TOTAL.labels(notification_type, channel)


@huey.signal(signals.SIGNAL_EXECUTING)  # type: ignore[untyped-decorator]
def task_started(_signal: str, task: Any) -> None:
    """Observe how long a task was queued."""
    task.started = time.perf_counter()
    queued_ms = getattr(task, "queued_ms", None)
    if queued_ms is not None:
        JOB_WAIT_SECONDS.labels(task.name).observe(max(0.0, time.time() - queued_ms / 1000))


@huey.signal(*_OUTCOMES)  # type: ignore[untyped-decorator]
def task_ended(signal: str, task: Any, *_error: Exception) -> None:
    """Observe how long a task ran, with its outcome."""
    began = getattr(task, "started", None)
    if began is not None:
        outcome = getattr(task, "outcome", _OUTCOMES[signal])  # set by tasks that log their failure and do not raise
        JOB_SECONDS.labels(task.name, outcome).observe(time.perf_counter() - began)
