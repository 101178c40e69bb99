"""Exports: all records that match a filter, in constant memory: first those of archive files, then those of tables, oldest first.

Each step is a short read, since a long transaction prevents checkpoints of the write-ahead log. Records may be moved to files
between steps. Each page of the table is read in one snapshot with the sizes of the files: when they have changed, the moved
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

MAX_LINES_PER_STEP = 500


class _Line(msgspec.Struct, gc=False):
    """The fields of an archive line that the filter uses."""

    id: int
    at: str
    user: int | None
    action: str
    site: str | None


decode_line = msgspec.json.Decoder(_Line).decode


class Export:
    """One export. Different threads may advance `steps`, one after another."""

    def __init__(self, record_type: RecordType, record_filter: RecordFilter, folder: Path) -> None:
        self._record_type = record_type
        self._filter = record_filter
        self._folder = folder
        self._read_sizes: dict[str, int] = {}  # file -> the bytes of it that were read
        self._after: Position = (0, 0)  # the position up to which the tables were read

    def steps(self) -> Iterator[bytes]:
        """Yield some lines of NDJSON at a time, possibly none. Raises the store's errors."""
        yield from self._archived(archive.file_sizes(archive.read_folder_id(self._folder), self._record_type.name))
        while True:
            with snapshot():
                archived_tables.lock(self._record_type)
                sizes = archive.file_sizes(archive.read_folder_id(self._folder), self._record_type.name)
                page, following = self._page()
            if sizes != self._read_sizes:
                yield from self._archived(sizes)
                continue
            yield b"".join(record.line + b"\n" for record in page)
            if following is None:
                return
            self._after = following

    def _page(self) -> tuple[list[Record], Position | None]:
        """The next records, and the position after which the next page begins, or None at the end. While there are detached months,
        a page has records of one month only."""
        until_ms = END_OF_TIME_MS if self._filter.until_ms is None else self._filter.until_ms
        after = max(self._after, (self._filter.since_ms or 0, 0))
        month = archived_tables.first_after(self._record_type, after)
        record_filter = self._filter._replace(until_ms=min(month.end_ms, until_ms))
        oldest: list[Record] = []
        for table in (*month.tables, self._record_type.table):
            stored_there = self._record_type._replace(table=table)
            oldest += records.list_oldest(stored_there, record_filter, after, MAX_LINES_PER_STEP)
        page = sorted(oldest, key=lambda record: record.position)[:MAX_LINES_PER_STEP]
        if len(page) == MAX_LINES_PER_STEP:
            return page, page[-1].position
        return page, (month.end_ms, 0) if month.end_ms < until_ms else None

    def _archived(self, sizes: Mapping[str, int]) -> Iterator[bytes]:
        """Yield the lines of the files that were not read yet, without records that were read from the tables before they were
        moved."""
        for name, size in sizes.items():
            start = self._read_sizes.get(name, 0)
            self._read_sizes[name] = size
            if start < size and self._may_match(name):
                for lines in chunks(archive.read_lines(self._folder / name, start, size), MAX_LINES_PER_STEP):
                    yield b"".join(line + b"\n" for line in lines if self._matches(decode_line(line)))

    def _may_match(self, name: str) -> bool:
        month, record_filter = name.removeprefix(f"{self._record_type.name}-").removesuffix(archive.ENDING), self._filter
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
