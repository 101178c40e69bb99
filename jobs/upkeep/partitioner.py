"""Records by month, on PostgreSQL: partitions are made ahead, and months that are old leave the tables
(models/records/partitions.py), by
one worker of all."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from conf import Settings
from jobs.upkeep.archive import ROWS_PER_TRANSACTION, Rest, Stop, in_steps
from models.records import partition_months, partitions
from models.records.archive import RECORD_TYPES
from models.records.partition_months import DAY_MS
from models.records.partitions import TablesBusyError
from models.records.records import RecordType
from models.store.clock import now_ms

TRIES = 250  # beside senders and drains without a pause up to 140 were seen
TRY_AGAIN_S = 0.02  # whoever has the tables mostly has them for a few milliseconds


class Partitioner:
    """Detaches months all of which is older than BELLWIRE_ACTIVITY_KEEP_DAYS."""

    def __init__(self, settings: Settings) -> None:
        self._days = settings.activity_keep_days

    def run(self, stop: Stop, rest: Rest = time.sleep) -> int:
        """Makes partitions that are missing, and takes old months out of the tables, until none is left, or `stop()`, or for a
        while. Returns how many records were moved one by one, and months detached.

        Raises TakenError when others are at the tables for long, and what the store raises. What was not done stays as it was.
        """
        now = now_ms()
        before_ms = partition_months.start_of(now - self._days * DAY_MS)
        for kind in RECORD_TYPES:
            for month in partitions.missing_months(kind, before_ms, now):
                _tried(partial(partitions.create, kind, month), stop, rest)
        moved = sum(
            in_steps(partial(partitions.move_rest, kind, before_ms, ROWS_PER_TRANSACTION), stop, rest) for kind in RECORD_TYPES
        )
        return moved + sum(_detach_old(kind, before_ms, stop, rest) for kind in RECORD_TYPES)


def _detach_old(kind: RecordType, before_ms: int, stop: Stop, rest: Rest) -> int:
    old = [month for month in partitions.existing_months(kind) if month < before_ms]
    return [_tried(partial(partitions.detach, kind, month), stop, rest) for month in old].count(True)


def _tried(change: Callable[[], object], stop: Stop, rest: Rest) -> bool:
    """Tries a change of tables until others leave it the locks; tells whether it was made, and not stopped. Raises TakenError."""
    for left in reversed(range(TRIES)):
        if stop():
            return False
        try:
            change()
            return True
        except TablesBusyError:
            if not left:
                raise
        rest(TRY_AGAIN_S)
    return False
