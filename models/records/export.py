"""All records that are wanted, from the oldest on, in constant memory: those of files, and then those of the store.

Each step is a short read: a transaction that stays open keeps the write-ahead log from being cleared. Records may be moved to files
meanwhile. The page of the table that is read next says so, for the files' lengths are read in the same snapshot: then what was
moved is read where it is now.

Where there are detached tables (models/records/archived_tables.py), a page is of a month's and of the partitioned table
together: records that
come late may be in either. A page is of one snapshot and says by time and id where the next begins, so it does not matter which
tables have the records by then.
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
    """What decides of a line of an archive."""

    id: int
    at: str
    user: int | None
    action: str
    site: str | None


line_of = msgspec.json.Decoder(_Line).decode


class Export:
    """One export. `steps` may be advanced by a thread after another."""

    def __init__(self, kind: RecordType, wanted: RecordFilter, folder: Path) -> None:
        self._kind = kind
        self._wanted = wanted
        self._folder = folder
        self._read: dict[str, int] = {}  # file -> how far it was read
        self._after: Position = (0, 0)  # how far the store was

    def steps(self) -> Iterator[bytes]:
        """Some lines of NDJSON at a time, none when there are none. Raises what the store raises."""
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
        """The next records, of one month at most as long as there are detached ones; and where to go on, unless that was all."""
        until_ms = END_OF_TIME_MS if self._wanted.until_ms is None else self._wanted.until_ms
        after = max(self._after, (self._wanted.since_ms or 0, 0))
        month = archived_tables.first_after(self._kind, after)
        wanted = self._wanted._replace(until_ms=min(month.end_ms, until_ms))
        tables = [self._kind._replace(table=table) for table in (*month.tables, self._kind.table)]
        found = [record for table in tables for record in records.list_oldest(table, wanted, after, LINES_A_STEP)]
        page = sorted(found, key=lambda record: record.place)[:LINES_A_STEP]
        if len(page) == LINES_A_STEP:
            return page, page[-1].place
        return page, (month.end_ms, 0) if month.end_ms < until_ms else None

    def _archived(self, sizes: Mapping[str, int]) -> Iterator[bytes]:
        """What files have that was not read yet. What the store gave already was moved there meanwhile."""
        for name, size in sizes.items():
            start = self._read.get(name, 0)
            self._read[name] = size
            if start < size and self._may_have(name):
                for lines in chunks(archive.read_lines(self._folder / name, start, size), LINES_A_STEP):
                    yield b"".join(line + b"\n" for line in lines if self._is_wanted(line_of(line)))

    def _may_have(self, name: str) -> bool:
        month, wanted = name.removeprefix(f"{self._kind.name}-").removesuffix(archive.ENDING), self._wanted
        since = "" if wanted.since_ms is None else month_of(wanted.since_ms)
        return since <= month and (wanted.until_ms is None or month <= month_of(wanted.until_ms))

    def _is_wanted(self, line: _Line) -> bool:
        wanted = self._wanted
        at_ms = round(datetime.fromisoformat(line.at).timestamp() * 1000)
        return (
            (wanted.user is None or line.user == wanted.user)
            and (wanted.action is None or line.action == wanted.action)
            and (wanted.site is None or line.site == wanted.site)
            and (wanted.since_ms is None or at_ms >= wanted.since_ms)
            and (wanted.until_ms is None or at_ms < wanted.until_ms)
            and (at_ms, line.id) > self._after
        )
