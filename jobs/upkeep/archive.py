"""Archive old records on SQLite: move them from the tables to monthly files (models/records/archive.py), a few at a time.

On PostgreSQL, where records are partitioned by month, jobs/upkeep/partitioner.py does this instead. One worker of all runs either.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from conf import Settings
from jobs.drain.pacing import transaction
from models.log.checkpoint import CheckpointMovedError
from models.records import archive, records
from models.records.archive import RECORD_TYPES
from models.records.partition_months import DAY_MS, month_of
from models.records.records import Record, RecordFilter, RecordType
from models.store.clock import now_ms

ROWS_PER_TRANSACTION = 100
MAX_RUN_S = 20.0  # of each record type; the rest waits for the next run
PAUSE_FACTOR = 9  # of the time that a step took: nobody waits for the archive, and senders need the disk and the processor
LOCK_FILE = "lock"

Stop = Callable[[], bool]
Wait = Callable[[float], object]  # waits for so many seconds, or until this process ends


def in_steps(step: Callable[[], int], stop: Stop, wait: Wait) -> int:
    """Repeat a step that moves up to ROWS_PER_TRANSACTION records, until it finds none, or `stop()`, or for MAX_RUN_S.

    Returns the number of records moved.
    """
    total, deadline = 0, time.monotonic() + MAX_RUN_S
    while not stop() and time.monotonic() < deadline:
        began = time.monotonic()
        moved = step()
        total += moved
        if moved == 0:
            break
        if moved == ROWS_PER_TRANSACTION:
            wait(PAUSE_FACTOR * (time.monotonic() - began))
    return total


class Archiver:
    """Moves records older than BELLWIRE_ACTIVITY_KEEP_DAYS into the data folder's `archive`."""

    def __init__(self, settings: Settings) -> None:
        self._folder = archive.folder(settings.data_dir)
        self._days = settings.activity_keep_days

    def run(self, stop: Stop, wait: Wait = time.sleep) -> int:
        """Move records until none is old, or `stop()`, or for MAX_RUN_S of each type; returns their number.

        Raises OSError and ArchiveError when a file cannot be written, and the store's errors. Records that were not moved stay in
        their table.
        """
        before_ms = now_ms() - self._days * DAY_MS
        if not any(_oldest(record_type, before_ms, 2) for record_type in RECORD_TYPES):
            return 0
        folder_id = archive.create_folder(self._folder)
        with exclusive(self._folder) as acquired:
            if not acquired:
                return 0
            moved = sum(self._move_all(record_type, folder_id, before_ms, stop, wait) for record_type in RECORD_TYPES)
            archive.write_checksums(self._folder)
        return moved

    def _move_all(self, record_type: RecordType, folder_id: str, before_ms: int, stop: Stop, wait: Wait) -> int:
        archive.truncate_all(self._folder, archive.file_sizes(folder_id, record_type.name))

        def step() -> int:
            return self._move(record_type, folder_id, _oldest(record_type, before_ms, ROWS_PER_TRANSACTION))

        return in_steps(step, stop, wait)

    def _move(self, record_type: RecordType, folder_id: str, old_records: list[Record]) -> int:
        """Append records of one month to its file, and delete them from the table once they are on disk.

        After a crash in between, the next run truncates the file to the size that the store knows.
        """
        if not old_records:
            return 0
        name = archive.file_name(record_type.name, month_of(old_records[0].position[0]))
        old_size = archive.file_sizes(folder_id, record_type.name).get(name, 0)
        new_size = archive.append(self._folder / name, old_size, [record.line for record in old_records])
        with transaction(appends=False) as tx:
            archive.commit_size(tx, folder_id, name, old_size, new_size)
            if records.delete(record_type, [record.position[1] for record in old_records]) != len(old_records):
                raise CheckpointMovedError
        return len(old_records)


def _oldest(record_type: RecordType, before_ms: int, limit: int) -> list[Record]:
    """The oldest records from before a time, all of one month. The record with the newest id stays, so that ids go on from it."""
    newest = records.newest_id(record_type)
    page = records.list_oldest(record_type, RecordFilter(until_ms=before_ms), (0, 0), limit)
    old = [record for record in page if record.position[1] != newest]
    return [record for record in old if month_of(record.position[0]) == month_of(old[0].position[0])]


@contextmanager
def exclusive(folder: Path) -> Iterator[bool]:
    """Yield whether this thread has the folder's lock, which no other process or thread then gets until the end."""
    with (folder / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
