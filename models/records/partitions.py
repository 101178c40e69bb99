"""Partitions of records on PostgreSQL: one for each month, made ahead. Old ones become tables of their own
(models/records/archived_tables.py).

`activities_2026_11` has the records of a month, `activities_rest` those of months without a partition, so no insert fails or waits
for a partition, even when a clock is wrong. Ids come from a sequence and continue after records are detached.

Strong locks are requested with NOWAIT before anything is changed, so no other transaction ever queues behind a waiting request. A
request that succeeds lasts some milliseconds; one that fails has changed nothing and may be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import peewee

from models.log.event import transaction
from models.records import archived_tables, partition_months
from models.records.records import COLUMNS, RecordType
from models.store.database import execute, rows

AHEAD = 2  # months besides this one: so long may every worker be down, and only then the rest grows
MOVED_AT_ONCE = 2_000  # records of the rest that may go to a new partition, which locks them; a month with more stays in the rest
LOCK_NOT_AVAILABLE = "55P03"
PARTITIONS_SQL = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid=i.inhrelid WHERE i.inhparent=?::text::regclass"
FOREIGN_KEYS_SQL = "SELECT conname::text FROM pg_constraint WHERE conrelid=?::text::regclass AND contype='f'"
WITHIN = "at_ms>=? AND at_ms<?"


class TablesBusyError(Exception):
    """Other transactions use the tables: nothing was changed, and the call may be repeated."""


def existing_months(kind: RecordType) -> list[int]:
    """Where the months with a partition begin, in order."""
    return list(partition_months.by_month(kind.table, (name for (name,) in rows(PARTITIONS_SQL, (kind.table,)))).values())


def missing_months(kind: RecordType, since_ms: int, now_ms: int) -> list[int]:
    """Where the months begin that should have a partition and have none: those since a time of which the rest has records, this
    month, and those ahead."""
    this = partition_months.start_of(now_ms)
    months = [*_in_rest(kind, since_ms, this), this]
    for _ in range(AHEAD):
        months.append(partition_months.end_of(months[-1]))
    there = existing_months(kind)
    return [start_ms for start_ms in months if start_ms not in there]


def _in_rest(kind: RecordType, since_ms: int, until_ms: int) -> Iterator[int]:
    """Where the months begin of which the rest has records."""
    sql = f"SELECT min(at_ms) FROM {kind.table}_rest WHERE {WITHIN}"
    while (oldest_ms := rows(sql, (since_ms, until_ms))[0][0]) is not None:
        yield partition_months.start_of(oldest_ms)
        since_ms = partition_months.end_of(partition_months.start_of(oldest_ms))


def create(kind: RecordType, start_ms: int) -> bool:
    """Create a month's partition from the rest's records of it; False when those are too many. Raises TablesBusyError."""
    table, partition, month = (
        kind.table,
        partition_months.table_of(kind.table, start_ms),
        (start_ms, partition_months.end_of(start_ms)),
    )
    of_month = f"SELECT 1 FROM {table}_rest WHERE {WITHIN} LIMIT ?"
    if len(rows(of_month, (*month, MOVED_AT_ONCE + 1))) > MOVED_AT_ONCE:
        return False
    with transaction(appends=False):
        _lock(f"ONLY {table} IN SHARE UPDATE EXCLUSIVE", f"{table}_rest IN ACCESS EXCLUSIVE", "users IN SHARE ROW EXCLUSIVE")
        if start_ms in existing_months(kind):
            return True  # somebody else was just at it
        if rows(of_month, (*month, 1)):
            _lock(f"ONLY {table} IN ACCESS EXCLUSIVE")  # who has planned a query without the partition would not see them
        execute(f"CREATE TABLE {partition} (LIKE {table} INCLUDING INDEXES)")
        _move(kind, partition, WITHIN, month)
        execute(f"ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ({month[0]}) TO ({month[1]})")
    return True


def detach(kind: RecordType, start_ms: int) -> None:
    """Make a month's partition a table without references to users, so that it can be dropped or restored elsewhere. Raises
    TablesBusyError."""
    table, partition = kind.table, partition_months.table_of(kind.table, start_ms)
    with transaction(appends=False):
        _lock(f"ONLY {table}, {table}_rest, {partition}, users IN ACCESS EXCLUSIVE")
        execute(f"ALTER TABLE {table} DETACH PARTITION {partition}")
        for (name,) in rows(FOREIGN_KEYS_SQL, (partition,)):
            execute(f"ALTER TABLE {partition} DROP CONSTRAINT {name}")
        execute(f"ALTER TABLE {partition} RENAME TO {_free_name(kind, start_ms)}")


def _free_name(kind: RecordType, start_ms: int) -> str:
    """A name that is not used yet: a month may have been detached before, when a clock was wrong."""
    existing, name = archived_tables.list_tables(kind), partition_months.table_of(archived_tables.PREFIX + kind.table, start_ms)
    return next(free for free in (name, *(f"{name}_{n}" for n in range(2, len(existing) + 2))) if free not in existing)


def move_rest(kind: RecordType, before_ms: int, limit: int) -> int:
    """Move the oldest records of the rest, from one month and before a time, to that month's detached table. At most `limit`;
    returns how many. No other transaction waits for it."""
    start_ms = next(_in_rest(kind, 0, before_ms), None)
    if start_ms is None:
        return 0
    until_ms, to = (
        min(partition_months.end_of(start_ms), before_ms),
        partition_months.table_of(archived_tables.PREFIX + kind.table, start_ms),
    )
    oldest = f"SELECT id FROM {kind.table}_rest WHERE {WITHIN} ORDER BY at_ms, id LIMIT ?"
    with transaction(appends=False, durable=False):  # what a crash takes back is in the rest again
        execute(f"CREATE TABLE IF NOT EXISTS {to} (LIKE {kind.table} INCLUDING INDEXES)")
        return _move(kind, to, f"id = ANY(ARRAY({oldest}))", (start_ms, until_ms, limit))


def _move(kind: RecordType, to: str, where: str, params: Sequence[int]) -> int:
    """Move records of the rest by one statement; returns how many."""
    columns = ", ".join(("id", *COLUMNS, *kind.more))
    moved = f"DELETE FROM {kind.table}_rest WHERE {where} RETURNING {columns}"
    return int(execute(f"WITH moved AS ({moved}) INSERT INTO {to} ({columns}) SELECT {columns} FROM moved", params).rowcount)


def _lock(*locks: str) -> None:
    """Lock tables, or raise TablesBusyError."""
    try:
        for lock in locks:
            execute(f"LOCK TABLE {lock} MODE NOWAIT")
    except peewee.OperationalError as error:
        if getattr(error.__context__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        raise TablesBusyError("others use the tables") from error
