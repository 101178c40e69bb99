"""Tables of archived months on PostgreSQL: `archived_activities_2026_08` has the records of a month that left the partitioned
table (models/records/partitions.py). The operator may drop one at any time."""

from __future__ import annotations

from typing import NamedTuple

from models.records import partition_months
from models.records.records import END_OF_TIME_MS, Position, RecordType
from models.store.database import engine, execute, rows

PREFIX = "archived_"
# Raw: catalog of PostgreSQL. Tables in the schema of the partitioned table; the range of names uses the catalog's index.
TABLES_SQL = (
    "SELECT relname::text FROM pg_class WHERE relname>=?::text::name AND relname<?::text::name AND relkind='r' "
    "AND relnamespace=(SELECT relnamespace FROM pg_class WHERE oid=?::text::regclass)"
)


class ArchivedMonth(NamedTuple):
    """The tables of one month, usually one, and the time at which the month ends. Without tables there is no such month."""

    tables: list[str]
    end_ms: int


def lock(record_type: RecordType) -> None:
    """Prevent changes of the type's partitions until this transaction ends. Call it first in the transaction, before its snapshot
    begins. It waits while a month is being created or detached."""
    if _is_supported():
        execute(f"LOCK TABLE {record_type.table} IN ACCESS SHARE MODE")  # raw: PostgreSQL only


def list_tables(record_type: RecordType) -> dict[str, int]:
    """table -> start of its month in ms, sorted by month."""
    if not _is_supported():
        return {}
    table = PREFIX + record_type.table
    names = rows(TABLES_SQL, (f"{table}_", f"{table}_a", record_type.table))  # a digit is less than any letter
    return partition_months.by_month(table, (name for (name,) in names))


def first_after(record_type: RecordType, position: Position) -> ArchivedMonth:
    """The first archived month that ends after a position."""
    later = {name: start for name, start in list_tables(record_type).items() if partition_months.end_of(start) > position[0]}
    if not later:
        return ArchivedMonth([], END_OF_TIME_MS)
    first = min(later.values())
    return ArchivedMonth([name for name, start in later.items() if start == first], partition_months.end_of(first))


def _is_supported() -> bool:
    return engine().name == "postgresql"
