"""Lists of records: of users' actions (models/records/activity.py) and of admins' calls (models/records/audit.py).

Records are sorted by time. Each filter has an index that begins with the filter's column and continues with time and id, so a page
costs the same for any number of records. The queries compare whole keys of that index, so the planner can choose no other index,
even when many records have the same value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import peewee

from models.store.clock import rfc3339
from models.store.database import affected_rows, placeholders, rows

COLUMNS = ("user_id", "action", "description", "metadata", "triggered_by", "site", "at_ms")
END_OF_TIME_MS = 2**62  # later than every record
# Conditions for columns that are not the first of the index: as expressions, so that the planner cannot use these columns' indexes.
UNINDEXED_CONDITIONS = {"user_id": "user_id + 0 = ?", "site": "site || '' = ?", "action": "action || '' = ?"}

Position = tuple[int, int]  # at_ms and id of a record


class RecordType(NamedTuple):
    """A type of records: its name in the names of archive files, its table, and its text columns besides COLUMNS."""

    name: str
    table: str
    extra_columns: tuple[str, ...] = ()


class RecordFilter(NamedTuple):
    """The records to select. None: any value."""

    user: int | None = None
    action: str | None = None
    site: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    def conditions(self) -> dict[str, Any]:
        """Column -> value, the column first that selects the fewest records in most cases: the query uses its index."""
        values = {"user_id": self.user, "site": self.site, "action": self.action}
        return {column: value for column, value in values.items() if value is not None}


class Record(NamedTuple):
    """One record: its position in the list, and its JSON object."""

    position: Position
    view: dict[str, Any]

    @property
    def line(self) -> bytes:
        """The record as a line of NDJSON, in exports and in archive files."""
        return msgspec.json.encode(self.view)


def site_index(model: Any, name: str) -> Any:
    """The index for a site's records. It is partial, since most records have no site."""
    return model.index(model.site, model.at_ms, model.id, where=peewee.SQL("site IS NOT NULL"), name=name)


def list_newest(record_type: RecordType, record_filter: RecordFilter, before: Position | None, limit: int) -> list[Record]:
    """Records that match the filter and are before a position, newest first."""
    return _between(record_type, record_filter, (0, 0), before or (END_OF_TIME_MS, 0), limit, descending=True)


def list_oldest(record_type: RecordType, record_filter: RecordFilter, after: Position, limit: int) -> list[Record]:
    """Records that match the filter and are after a position, oldest first."""
    return _between(record_type, record_filter, after, (END_OF_TIME_MS, 0), limit, descending=False)


def _between(
    record_type: RecordType, record_filter: RecordFilter, after: Position, before: Position, limit: int, *, descending: bool
) -> list[Record]:
    after = max(after, (record_filter.since_ms or 0, 0))
    before = min(before, (END_OF_TIME_MS if record_filter.until_ms is None else record_filter.until_ms, 0))
    conditions = record_filter.conditions()
    leading, rest = list(conditions)[:1], list(conditions)[1:]
    key = [*leading, "at_ms", "id"]
    key_sql, value_sql = f"({', '.join(key)})", f"({placeholders(len(key))})"
    where = [f"{key_sql}>{value_sql}", f"{key_sql}<{value_sql}", *(UNINDEXED_CONDITIONS[column] for column in rest)]
    if leading == ["site"]:
        where.append("site IS NOT NULL")  # the condition of the partial index
    prefix = [conditions[column] for column in leading]
    columns = ", ".join(("id", *COLUMNS, *record_type.extra_columns))
    order = ", ".join(f"{column} DESC" if descending else column for column in key)
    # Raw: planner-pinned, and the table's name varies: months that left the partitioned table have tables without a model.
    matching = rows(
        f"SELECT {columns} FROM {record_type.table} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?",
        (*prefix, *after, *prefix, *before, *(conditions[column] for column in rest), limit),
    )
    return [_record(record_type, row) for row in matching]


def _record(record_type: RecordType, row: Sequence[Any]) -> Record:
    id_, user, action, description, metadata, triggered_by, site, at_ms, *extra = row
    view = {
        "id": id_,
        "user": user,
        "action": action,
        "description": description,
        "metadata": msgspec.Raw(metadata.encode()),
        "triggered_by": triggered_by,
        "site": site,
        "at": rfc3339(at_ms),
    }
    return Record((at_ms, id_), view | dict(zip(record_type.extra_columns, extra, strict=True)))


def newest_id(record_type: RecordType) -> int:
    """The greatest id in the table, or 0. On SQLite the record with this id is never archived, so that its id is not used again."""
    # Raw: the table's name varies.
    return int(rows(f"SELECT coalesce(max(id), 0) FROM {record_type.table}")[0][0])


def delete(record_type: RecordType, ids: Sequence[int]) -> int:
    """Delete archived records from the table; returns how many there were."""
    # Raw: the table's name varies.
    return affected_rows(f"DELETE FROM {record_type.table} WHERE id IN ({placeholders(len(ids))})", ids)
