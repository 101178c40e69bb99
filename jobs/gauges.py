"""Gauges that gateways and workers measure every few seconds: the disk, the queue and the store."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

import msgspec
import peewee

from conf import VERSION, Settings
from jobs.queue.broker import NAME, huey, queue_type
from jobs.queue.payload import queued_ms
from metrics.declared import (
    BUILD_INFO,
    DATABASE_BYTES,
    DISK_FREE_BYTES,
    FILES_PENDING,
    FILES_STORED_BYTES,
    PUSHES_WAITING,
    QUEUE_DEPTH,
    QUEUE_OLDEST_SECONDS,
    REPORTS_OLDEST_SECONDS,
    REPORTS_OPEN,
    TABLE_ROWS,
    WAL_BYTES,
)
from models.blobs import blob as blobs
from models.chat import reports
from models.chat.conversation import Conversation, Membership
from models.chat.message import Message
from models.files import pictures
from models.identity.user import User
from models.log.event import EventRow
from models.notices import push_outbox
from models.notices.notification import Notification
from models.notices.outbox import Email
from models.notices.pushes import Push
from models.records.activity import Activity
from models.store.database import Base, engine, size_bytes

MEASURE_INTERVAL_S = 5.0
FILES_INTERVAL_S = 15.0  # from one measurement of all files' size to the next
MAX_FILES_SHARE = 0.005  # of the time
GROWING_TABLES = (User, Conversation, Membership, Message, EventRow, Activity, Notification, Email, Push)

_measure_files_at = 0.0  # time.monotonic()


def set_build_info(settings: Settings) -> None:
    """Publish the version, and which database, queue and bus are used. The bus is the server of the queue, if it has one."""
    queue = queue_type(settings)
    BUILD_INFO.labels(VERSION, engine().name, queue, "none" if queue == "sqlite" else queue).set(1)


def measure_disk(data_dir: Path) -> None:
    """Set the free bytes of the data folder's disk. A missing folder is left to be reported by the code that writes there."""
    with contextlib.suppress(OSError):
        DISK_FREE_BYTES.set(shutil.disk_usage(data_dir).free)


def measure_queue() -> None:
    """Set the queue's depth and age. Raises broker.QUEUE_ERRORS."""
    depth, oldest_s = queue_backlog()
    QUEUE_DEPTH.labels(NAME).set(depth)
    QUEUE_OLDEST_SECONDS.labels(NAME).set(oldest_s)


def queue_backlog() -> tuple[int, float]:
    """Return the number of queued tasks, and the age of the oldest in seconds. Raises broker.QUEUE_ERRORS."""
    oldest = huey.storage.oldest()
    try:
        age_s = time.time() - queued_ms(oldest) / 1000 if oldest else 0.0
    except msgspec.MsgspecError:  # not a task of ours; a worker drops it
        age_s = 0.0
    return int(huey.storage.queue_size()), max(0.0, age_s)


def measure_store() -> None:
    """Set the sizes of the database and of its write-ahead log, the backlogs of reports and pushes, and the rows of growing tables:
    newest id minus oldest, since counting would read each table."""
    for model in GROWING_TABLES:
        TABLE_ROWS.labels(model._meta.table_name).set(_id_span(model))
    open_reports, oldest_s = reports.backlog(engine().now_ms())
    REPORTS_OPEN.set(open_reports)
    REPORTS_OLDEST_SECONDS.set(oldest_s)
    DATABASE_BYTES.set(size_bytes())
    WAL_BYTES.set(engine().wal_bytes())
    PUSHES_WAITING.set(push_outbox.count_due(engine().now_ms()))
    FILES_PENDING.set(pictures.count_pending())
    _measure_files()


def _measure_files() -> None:
    """Set the size of all files, rarely enough that reading its index stays a small part of the time."""
    global _measure_files_at
    began = time.monotonic()
    if began >= _measure_files_at:
        FILES_STORED_BYTES.set(blobs.stored_bytes())
        ended = time.monotonic()
        _measure_files_at = ended + max(FILES_INTERVAL_S, (ended - began) / MAX_FILES_SHARE)


def _id_span(model: type[Base]) -> int:
    """Newest id minus oldest plus 1. One query for each, since SQLite uses the index only for a single min or max."""
    newest = model.select(peewee.fn.MAX(model._meta.primary_key)).scalar()
    if newest is None:
        return 0
    oldest = model.select(peewee.fn.MIN(model._meta.primary_key)).scalar()
    return int(newest) - int(oldest or newest) + 1
