"""Monthly partitions of records on PostgreSQL, created ahead. Old ones become separate tables (models/records/archived_tables.py).

`activities_2026_11` has the records of a month, and `activities_rest` those of months without a partition. So no insert fails or
waits for a partition, even when a clock is wrong. Ids come from a sequence and continue after records are detached.

Strong locks are requested with NOWAIT before anything is changed, so no other transaction ever queues behind a waiting request. A
request that succeeds lasts some milliseconds; one that fails has changed nothing and may be repeated.

Raw: all statements here are DDL, locks or catalog queries of PostgreSQL, or use tables without a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import peewee

from models.log.event import transaction
from models.records import archived_tables, partition_months
from models.records.records import COLUMNS, RecordType
from models.store.database import execute, rows
from models.store.engine import driver_error

MONTHS_AHEAD = 2  # besides the current month: the workers may be down so long before records go to the rest
MAX_ROWS_MOVED_PER_PARTITION = 2_000  # from the rest, which is locked meanwhile; a month with more records stays in the rest
LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL's SQLSTATE
PARTITIONS_SQL = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid=i.inhrelid WHERE i.inhparent=?::text::regclass"
FOREIGN_KEYS_SQL = "SELECT conname::text FROM pg_constraint WHERE conrelid=?::text::regclass AND contype='f'"
WITHIN = "at_ms>=? AND at_ms<?"


class TablesBusyError(Exception):
    """Other transactions use the tables: nothing was changed, and the call may be repeated."""


def existing_months(record_type: RecordType) -> list[int]:
    """The starts of the months that have a partition, in order."""
    names = (name for (name,) in rows(PARTITIONS_SQL, (record_type.table,)))
    return list(partition_months.by_month(record_type.table, names).values())


def missing_months(record_type: RecordType, since_ms: int, now_ms: int) -> list[int]:
    """The starts of the months that need a partition and have none: the current one, the next MONTHS_AHEAD, and earlier ones since
    `since_ms` that have records in the rest."""
    current = partition_months.start_of(now_ms)
    months = [*_months_in_rest(record_type, since_ms, current), current]
    for _ in range(MONTHS_AHEAD):
        months.append(partition_months.end_of(months[-1]))
    existing = existing_months(record_type)
    return [start_ms for start_ms in months if start_ms not in existing]


def _months_in_rest(record_type: RecordType, since_ms: int, until_ms: int) -> Iterator[int]:
    """Yield the starts of the months that have records in the rest, in order."""
    sql = f"SELECT min(at_ms) FROM {record_type.table}_rest WHERE {WITHIN}"
    while (oldest_ms := rows(sql, (since_ms, until_ms))[0][0]) is not None:
        yield partition_months.start_of(oldest_ms)
        since_ms = partition_months.end_of(partition_months.start_of(oldest_ms))


def create(record_type: RecordType, start_ms: int) -> bool:
    """Create a month's partition and move the rest's records of that month to it. Returns False when there are more than
    MAX_ROWS_MOVED_PER_PARTITION. Raises TablesBusyError."""
    table, partition = record_type.table, partition_months.table_of(record_type.table, start_ms)
    month = (start_ms, partition_months.end_of(start_ms))
    in_rest = f"SELECT 1 FROM {table}_rest WHERE {WITHIN} LIMIT ?"
    if len(rows(in_rest, (*month, MAX_ROWS_MOVED_PER_PARTITION + 1))) > MAX_ROWS_MOVED_PER_PARTITION:
        return False
    with transaction(appends=False):
        _lock(f"ONLY {table} IN SHARE UPDATE EXCLUSIVE", f"{table}_rest IN ACCESS EXCLUSIVE", "users IN SHARE ROW EXCLUSIVE")
        if start_ms in existing_months(record_type):
            return True  # another process has just created it
        if rows(in_rest, (*month, 1)):
            _lock(f"ONLY {table} IN ACCESS EXCLUSIVE")  # a query planned without the partition would not see the moved records
        execute(f"CREATE TABLE {partition} (LIKE {table} INCLUDING INDEXES)")
        _move(record_type, partition, WITHIN, month)
        execute(f"ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ({month[0]}) TO ({month[1]})")
    return True


def detach(record_type: RecordType, start_ms: int) -> None:
    """Make a month's partition a table without references to users, so that it can be dropped or restored elsewhere. Raises
    TablesBusyError."""
    table, partition = record_type.table, partition_months.table_of(record_type.table, start_ms)
    with transaction(appends=False):
        _lock(f"ONLY {table}, {table}_rest, {partition}, users IN ACCESS EXCLUSIVE")
        execute(f"ALTER TABLE {table} DETACH PARTITION {partition}")
        for (name,) in rows(FOREIGN_KEYS_SQL, (partition,)):
            execute(f"ALTER TABLE {partition} DROP CONSTRAINT {name}")
        execute(f"ALTER TABLE {partition} RENAME TO {_unused_name(record_type, start_ms)}")


def _unused_name(record_type: RecordType, start_ms: int) -> str:
    """A name for a detached table: the month may have been detached before, when a clock was wrong."""
    existing = archived_tables.list_tables(record_type)
    name = first_name = partition_months.table_of(archived_tables.PREFIX + record_type.table, start_ms)
    number = 1
    while name in existing:
        number += 1
        name = f"{first_name}_{number}"
    return name


def move_rest(record_type: RecordType, before_ms: int, limit: int) -> int:
    """Move the oldest records of the rest, from one month and before a time, to that month's detached table. At most `limit`;
    returns how many. No other transaction waits for it."""
    start_ms = next(_months_in_rest(record_type, 0, before_ms), None)
    if start_ms is None:
        return 0
    until_ms = min(partition_months.end_of(start_ms), before_ms)
    target = partition_months.table_of(archived_tables.PREFIX + record_type.table, start_ms)
    oldest = f"SELECT id FROM {record_type.table}_rest WHERE {WITHIN} ORDER BY at_ms, id LIMIT ?"
    with transaction(appends=False, durable=False):  # after a crash the records are in the rest again
        execute(f"CREATE TABLE IF NOT EXISTS {target} (LIKE {record_type.table} INCLUDING INDEXES)")
        return _move(record_type, target, f"id = ANY(ARRAY({oldest}))", (start_ms, until_ms, limit))


def _move(record_type: RecordType, target: str, where: str, params: Sequence[int]) -> int:
    """Move records from the rest to a table by one statement; returns how many."""
    columns = ", ".join(("id", *COLUMNS, *record_type.extra_columns))
    moved = f"DELETE FROM {record_type.table}_rest WHERE {where} RETURNING {columns}"
    return int(execute(f"WITH moved AS ({moved}) INSERT INTO {target} ({columns}) SELECT {columns} FROM moved", params).rowcount)


def _lock(*locks: str) -> None:
    """Lock tables without waiting. Raises TablesBusyError."""
    try:
        for lock in locks:
            execute(f"LOCK TABLE {lock} MODE NOWAIT")
    except peewee.OperationalError as error:
        if getattr(driver_error(error), "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        raise TablesBusyError("other transactions use the tables") from error
