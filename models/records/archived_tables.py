"""Old records in tables of their own, on PostgreSQL: `archived_activities_2026_08` has those of a month that left the partitioned
table (models/records/partitions.py). The operator may drop one at any time."""

from __future__ import annotations

from typing import NamedTuple

from models.records import partition_months
from models.records.records import END_OF_TIME_MS, Position, RecordType
from models.store.database import engine, execute, rows

PREFIX = "archived_"
# In the schema of the table that they came from. Names that begin alike are led to by an index.
TABLES_SQL = (
    "SELECT relname::text FROM pg_class WHERE relname>=?::text::name AND relname<?::text::name AND relkind='r' "
    "AND relnamespace=(SELECT relnamespace FROM pg_class WHERE oid=?::text::regclass)"
)


class ArchivedMonth(NamedTuple):
    """The tables of a month, mostly one, and where the month ends. No table: there is no such month."""

    tables: list[str]
    end_ms: int


def lock(kind: RecordType) -> None:
    """Keeps partitions of the kind as they are until this transaction ends. It is to be the first statement, for what is read to be
    as of afterwards; it waits while a month is just being made or detached."""
    if _may_be():
        execute(f"LOCK TABLE {kind.table} IN ACCESS SHARE MODE")


def list_tables(kind: RecordType) -> dict[str, int]:
    """Tables of the kind, in the order of their months, and where each month begins."""
    if not _may_be():
        return {}
    table = PREFIX + kind.table
    found = rows(TABLES_SQL, (f"{table}_", f"{table}_a", kind.table))  # a digit is less than any letter
    return partition_months.by_month(table, (name for (name,) in found))


def first_after(kind: RecordType, place: Position) -> ArchivedMonth:
    """The first month that ends after a place."""
    after = {name: start for name, start in list_tables(kind).items() if partition_months.end_of(start) > place[0]}
    if not after:
        return ArchivedMonth([], END_OF_TIME_MS)
    first = min(after.values())
    return ArchivedMonth([name for name, start in after.items() if start == first], partition_months.end_of(first))


def _may_be() -> bool:
    return engine().name == "postgresql"
