"""Records of users' acts (models/records/activity.py) and of admins' calls (models/records/audit.py): lists and exports of both.

They are in the order of time. Each filter has an index that begins with it and continues in that order, so a page costs the same
for any number of records. Comparisons are of whole keys, so the planner can choose no other index, however many records a value
has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import peewee

from models.store.clock import rfc3339
from models.store.database import affected_rows, placeholders, rows

COLUMNS = ("user_id", "action", "description", "metadata", "triggered_by", "site", "at_ms")
END_OF_TIME_MS = 2**62
# A filter that does not lead is written so that its own index does not come into question.
BESIDE = {"user_id": "user_id + 0 = ?", "site": "site || '' = ?", "action": "action || '' = ?"}

Position = tuple[int, int]  # at_ms and id: where a record is


class RecordType(NamedTuple):
    """A kind of records: the name in its archive's files, its table, and its text columns besides COLUMNS."""

    name: str
    table: str
    more: tuple[str, ...] = ()


class RecordFilter(NamedTuple):
    """Which records are selected. None: any value."""

    user: int | None = None
    action: str | None = None
    site: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    def conditions(self) -> dict[str, Any]:
        """Column -> value. The first one leads, since a filter by user, or by site, mostly selects the fewest records."""
        all_of = {"user_id": self.user, "site": self.site, "action": self.action}
        return {column: value for column, value in all_of.items() if value is not None}


class Record(NamedTuple):
    """One record: its position, and as it is shown."""

    place: Position
    view: dict[str, Any]

    @property
    def line(self) -> bytes:
        """A line of an export, which is also one of an archive."""
        return msgspec.json.encode(self.view)


def site_index(model: Any, name: str) -> Any:
    """The index that leads to a site's records: most have none."""
    return model.index(model.site, model.at_ms, model.id, where=peewee.SQL("site IS NOT NULL"), name=name)


def list_newest(kind: RecordType, record_filter: RecordFilter, before: Position | None, limit: int) -> list[Record]:
    """Records that match the filter, newest first, from before a position on."""
    return _between(kind, record_filter, (0, 0), before or (END_OF_TIME_MS, 0), limit, " DESC")


def list_oldest(kind: RecordType, record_filter: RecordFilter, after: Position, limit: int) -> list[Record]:
    """Records that match the filter, oldest first, from after a position on."""
    return _between(kind, record_filter, after, (END_OF_TIME_MS, 0), limit, "")


def _between(
    kind: RecordType, record_filter: RecordFilter, after: Position, before: Position, limit: int, direction: str
) -> list[Record]:
    after = max(after, (record_filter.since_ms or 0, 0))
    before = min(before, (END_OF_TIME_MS if record_filter.until_ms is None else record_filter.until_ms, 0))
    conditions = record_filter.conditions()
    leading, *beside = conditions or [""]
    key = [leading, "at_ms", "id"] if leading else ["at_ms", "id"]
    lead = [conditions[leading]] if leading else []
    whole, value = f"({', '.join(key)})", f"({placeholders(len(key))})"
    where = [f"{whole}>{value}", f"{whole}<{value}", *(BESIDE[column] for column in beside)]
    if leading == "site":
        where.append("site IS NOT NULL")  # what its index is of
    columns = ", ".join(("id", *COLUMNS, *kind.more))
    ordered = ", ".join(column + direction for column in key)
    found = rows(
        f"SELECT {columns} FROM {kind.table} WHERE {' AND '.join(where)} ORDER BY {ordered} LIMIT ?",
        (*lead, *after, *lead, *before, *(conditions[column] for column in beside), limit),
    )
    return [_record(kind, row) for row in found]


def _record(kind: RecordType, row: Sequence[Any]) -> Record:
    number, user, action, description, metadata, by, site, at_ms, *more = row
    view = {
        "id": number,
        "user": user,
        "action": action,
        "description": description,
        "metadata": msgspec.Raw(metadata.encode()),
        "triggered_by": by,
        "site": site,
        "at": rfc3339(at_ms),
    }
    return Record((at_ms, number), view | dict(zip(kind.more, more, strict=True)))


def newest_id(kind: RecordType) -> int:
    """The greatest id of a record. On SQLite it stays in the table, however old it is, for ids to go on from."""
    return int(rows(f"SELECT coalesce(max(id), 0) FROM {kind.table}")[0][0])


def delete(kind: RecordType, numbers: Sequence[int]) -> int:
    """Delete archived records from the table; returns how many there were."""
    return affected_rows(f"DELETE FROM {kind.table} WHERE id IN ({placeholders(len(numbers))})", numbers)
