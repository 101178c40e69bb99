"""Old records leave the tables, a few at a time, by one worker of all: for files (models/records/archive.py), where the store
has no
partitions (jobs/upkeep/partitioner.py)."""

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
RUN_S = 20.0  # of each kind; the rest waits for the next run
RESTS = 9  # times as long as a step took: nobody waits for it, and its disk and processor are the senders', too
LOCK = "lock"

Stop = Callable[[], bool]
Rest = Callable[[float], object]  # for so many seconds, or until this process ends


def in_steps(step: Callable[[], int], stop: Stop, rest: Rest) -> int:
    """Repeats a step of up to ROWS_PER_TRANSACTION records until it finds none, or `stop()`, or for RUN_S; returns how many."""
    moved, deadline = 0, time.monotonic() + RUN_S
    while not stop() and time.monotonic() < deadline:
        began = time.monotonic()
        found = step()
        moved += found
        if found == 0:
            break
        if found == ROWS_PER_TRANSACTION:
            rest(RESTS * (time.monotonic() - began))
    return moved


class Archiver:
    """Moves what is older than BELLWIRE_ACTIVITY_KEEP_DAYS into the data folder's `archive`."""

    def __init__(self, settings: Settings) -> None:
        self._folder = archive.folder(settings.data_dir)
        self._days = settings.activity_keep_days

    def run(self, stop: Stop, rest: Rest = time.sleep) -> int:
        """Moves records until none is old, or `stop()`, or for a while; returns how many.

        Raises OSError and ArchiveError when they can't be written, and what the store raises: what was not moved stays where it is.
        """
        before_ms = now_ms() - self._days * DAY_MS
        if not any(_old(kind, before_ms, 2) for kind in RECORD_TYPES):
            return 0
        place = archive.create_folder(self._folder)
        with _alone(self._folder) as alone:
            moved = sum(self._move_all(kind, place, before_ms, stop, rest) for kind in RECORD_TYPES) if alone else 0
            if alone:
                archive.write_checksums(self._folder)
        return moved

    def _move_all(self, kind: RecordType, place: str, before_ms: int, stop: Stop, rest: Rest) -> int:
        archive.truncate_all(self._folder, archive.file_sizes(place, kind.name))
        return in_steps(lambda: self._move(kind, place, _old(kind, before_ms, ROWS_PER_TRANSACTION)), stop, rest)

    def _move(self, kind: RecordType, place: str, found: list[Record]) -> int:
        """Appends, and then takes out of the table what is on the disk: killed in between, the file's end is cut off next time."""
        if not found:
            return 0
        name = archive.file_name(kind.name, month_of(found[0].place[0]))
        old = archive.file_sizes(place, kind.name).get(name, 0)
        new = archive.append(self._folder / name, old, [record.line for record in found])
        with transaction(appends=False) as tx:
            archive.extend(tx, place, name, old, new)
            if records.delete(kind, [record.place[1] for record in found]) != len(found):
                raise CheckpointMovedError
        return len(found)


def _old(kind: RecordType, before_ms: int, limit: int) -> list[Record]:
    """The oldest records of before a time, all of one month. The one with the newest id stays, for ids to go on from there."""
    newest = records.newest_id(kind)
    found = [r for r in records.list_oldest(kind, RecordFilter(until_ms=before_ms), (0, 0), limit) if r.place[1] != newest]
    return [record for record in found if month_of(record.place[0]) == month_of(found[0].place[0])]


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Tells whether no other process or thread is at it; none is until the end."""
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
