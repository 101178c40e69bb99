"""Exports: all records that match a filter, oldest first, in constant memory: those of archive files, then those of tables.

Each step is a short read, since a long transaction keeps the write-ahead log from being cleared. Records may be moved to files
between steps. Each page of the table is read in one snapshot with the lengths of the files: when they have changed, the moved
records are read from the files.

With detached tables (models/records/archived_tables.py), a page covers one month's tables and the partitioned table together, as
late records may be in either. A page is read in one snapshot, and the next one begins after its last time and id, so it does not
matter which table has a record by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from models.records import archive, archived_tables, records
from models.records.partition_months import month_of
from models.records.records import END_OF_TIME_MS, Position, Record, RecordFilter, RecordType
from models.store.database import chunks, snapshot

LINES_A_STEP = 500


class _Line(msgspec.Struct, gc=False):
    """The fields of an archive line that the filter uses."""

    id: int
    at: str
    user: int | None
    action: str
    site: str | None


line_of = msgspec.json.Decoder(_Line).decode


class Export:
    """One export. Different threads may advance `steps`, one after another."""

    def __init__(self, kind: RecordType, record_filter: RecordFilter, folder: Path) -> None:
        self._kind = kind
        self._filter = record_filter
        self._folder = folder
        self._read: dict[str, int] = {}  # file -> how far it was read
        self._after: Position = (0, 0)  # how far the store was

    def steps(self) -> Iterator[bytes]:
        """Yield some lines of NDJSON at a time, possibly none. Raises what the store raises."""
        yield from self._archived(archive.file_sizes(archive.read_folder_id(self._folder), self._kind.name))
        while True:
            with snapshot():
                archived_tables.lock(self._kind)
                sizes = archive.file_sizes(archive.read_folder_id(self._folder), self._kind.name)
                found, following = self._page()
            if sizes != self._read:
                yield from self._archived(sizes)
                continue
            yield b"".join(record.line + b"\n" for record in found)
            if following is None:
                return
            self._after = following

    def _page(self) -> tuple[list[Record], Position | None]:
        """The next records, and where to continue, or None at the end. While there are detached months, a page has one month at
        most."""
        until_ms = END_OF_TIME_MS if self._filter.until_ms is None else self._filter.until_ms
        after = max(self._after, (self._filter.since_ms or 0, 0))
        month = archived_tables.first_after(self._kind, after)
        record_filter = self._filter._replace(until_ms=min(month.end_ms, until_ms))
        tables = [self._kind._replace(table=table) for table in (*month.tables, self._kind.table)]
        found = [record for table in tables for record in records.list_oldest(table, record_filter, after, LINES_A_STEP)]
        page = sorted(found, key=lambda record: record.place)[:LINES_A_STEP]
        if len(page) == LINES_A_STEP:
            return page, page[-1].place
        return page, (month.end_ms, 0) if month.end_ms < until_ms else None

    def _archived(self, sizes: Mapping[str, int]) -> Iterator[bytes]:
        """Lines of files that were not read yet. Records that the table has returned already may have been moved there
        meanwhile."""
        for name, size in sizes.items():
            start = self._read.get(name, 0)
            self._read[name] = size
            if start < size and self._may_have(name):
                for lines in chunks(archive.read_lines(self._folder / name, start, size), LINES_A_STEP):
                    yield b"".join(line + b"\n" for line in lines if self._matches(line_of(line)))

    def _may_have(self, name: str) -> bool:
        month, record_filter = name.removeprefix(f"{self._kind.name}-").removesuffix(archive.ENDING), self._filter
        since = "" if record_filter.since_ms is None else month_of(record_filter.since_ms)
        return since <= month and (record_filter.until_ms is None or month <= month_of(record_filter.until_ms))

    def _matches(self, line: _Line) -> bool:
        record_filter = self._filter
        at_ms = round(datetime.fromisoformat(line.at).timestamp() * 1000)
        return (
            (record_filter.user is None or line.user == record_filter.user)
            and (record_filter.action is None or line.action == record_filter.action)
            and (record_filter.site is None or line.site == record_filter.site)
            and (record_filter.since_ms is None or at_ms >= record_filter.since_ms)
            and (record_filter.until_ms is None or at_ms < record_filter.until_ms)
            and (at_ms, line.id) > self._after
        )
