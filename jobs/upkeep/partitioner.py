"""Archive old records on PostgreSQL: create monthly partitions ahead, and detach old ones (models/records/partitions.py).

One worker of all runs it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from conf import Settings
from jobs.upkeep.archive import ROWS_PER_TRANSACTION, Stop, Wait, in_steps
from models.records import partition_months, partitions
from models.records.archive import RECORD_TYPES
from models.records.partition_months import DAY_MS
from models.records.partitions import TablesBusyError
from models.records.records import RecordType
from models.store.clock import now_ms

MAX_TRIES = 250  # up to 140 were needed beside senders and drains without a pause
RETRY_S = 0.02  # others mostly lock the tables for a few milliseconds


class Partitioner:
    """Detaches months of which every record is older than BELLWIRE_ACTIVITY_KEEP_DAYS."""

    def __init__(self, settings: Settings) -> None:
        self._days = settings.activity_keep_days

    def run(self, stop: Stop, wait: Wait = time.sleep) -> int:
        """Create missing partitions, and move old months out of the tables, until none is left, or `stop()`, or for a while.

        Returns the number of records that were moved one by one plus the number of months detached. Raises TablesBusyError when
        others lock the tables for long, and the store's errors. The steps that were not done change nothing.
        """
        now = now_ms()
        before_ms = partition_months.start_of(now - self._days * DAY_MS)
        count = 0
        for record_type in RECORD_TYPES:
            for month in partitions.missing_months(record_type, before_ms, now):
                _try_repeatedly(partial(partitions.create, record_type, month), stop, wait)
        for record_type in RECORD_TYPES:
            count += in_steps(partial(partitions.move_rest, record_type, before_ms, ROWS_PER_TRANSACTION), stop, wait)
        for record_type in RECORD_TYPES:
            count += _detach_old(record_type, before_ms, stop, wait)
        return count


def _detach_old(record_type: RecordType, before_ms: int, stop: Stop, wait: Wait) -> int:
    old = [month for month in partitions.existing_months(record_type) if month < before_ms]
    return sum(_try_repeatedly(partial(partitions.detach, record_type, month), stop, wait) for month in old)


def _try_repeatedly(change: Callable[[], object], stop: Stop, wait: Wait) -> bool:
    """Try a change of tables until its locks are free; returns False when stopped before. Raises TablesBusyError."""
    for tries in range(1, MAX_TRIES + 1):
        if stop():
            return False
        try:
            change()
            return True
        except TablesBusyError:
            if tries == MAX_TRIES:
                raise
        wait(RETRY_S)
    return False
