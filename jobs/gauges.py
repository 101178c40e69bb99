"""Gauges that gateways and workers have alike: what runs, and what somebody has to read now and then."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

import msgspec

from conf import VERSION, Settings
from jobs.queue.broker import NAME, huey, queue_type
from jobs.queue.payload import queued_ms
from metrics.declared import BUILD_INFO, DATABASE_BYTES, DISK_FREE_BYTES, QUEUE_DEPTH, QUEUE_OLDEST_SECONDS, TABLE_ROWS
from models.store.database import engine, rows, size_bytes

MEASURE_INTERVAL_S = 5.0
TABLES = ("users", "conversations", "memberships", "messages", "events", "activities", "notifications", "emails")


def set_build_info(settings: Settings) -> None:
    """What runs: the version, and which database, queue and bus. What carries the queue wakes gateways, too, but for a file."""
    queue = queue_type(settings)
    BUILD_INFO.labels(VERSION, engine().name, queue, "none" if queue == "sqlite" else queue).set(1)


def measure_disk(data_dir: Path) -> None:
    """Room left for us in the data folder, in bytes. A folder that is gone is told by those who write into it."""
    with contextlib.suppress(OSError):
        DISK_FREE_BYTES.set(shutil.disk_usage(data_dir).free)


def measure_queue() -> None:
    """Depth and age of the queue. Raises broker.QUEUE_ERRORS errors."""
    depth, oldest_s = queue_backlog()
    QUEUE_DEPTH.labels(NAME).set(depth)
    QUEUE_OLDEST_SECONDS.labels(NAME).set(oldest_s)


def queue_backlog() -> tuple[int, float]:
    """How many tasks wait, and for how long the oldest has, in seconds. Raises broker.QUEUE_ERRORS errors."""
    oldest = huey.storage.oldest()
    try:
        waiting = time.time() - queued_ms(oldest) / 1000 if oldest else 0.0
    except msgspec.MsgspecError:  # not ours; the worker drops it
        waiting = 0.0
    return int(huey.storage.queue_size()), max(0.0, waiting)


def measure_store() -> None:
    """The database's size, and the rows of what grows: newest id minus oldest, as counting would read each table."""
    for table in TABLES:
        first, last = rows(f"SELECT (SELECT min(id) FROM {table}), (SELECT max(id) FROM {table})")[0]  # noqa: S608 - our names
        TABLE_ROWS.labels(table).set(0 if last is None else last - first + 1)
    DATABASE_BYTES.set(size_bytes())
