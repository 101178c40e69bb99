"""All records that are wanted, from the oldest on, in constant memory: those of the archive, and then those of the table.

Each step is a short read: a transaction that stays open keeps the write-ahead log from being cleared. Records may be moved to the
archive meanwhile. The page of the table that is read next says so, for the files' lengths are read in the same snapshot: then what
was moved is read where it is now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from models import archive, records
from models.database import chunks, snapshot
from models.records import Kind, Place, Wanted

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

    def __init__(self, kind: Kind, wanted: Wanted, folder: Path) -> None:
        self._kind = kind
        self._wanted = wanted
        self._folder = folder
        self._read: dict[str, int] = {}  # file -> how far it was read
        self._after: Place = (0, 0)  # how far the table was

    def steps(self) -> Iterator[bytes]:
        """Some lines of NDJSON at a time, none when there are none. Raises what the store raises."""
        yield from self._archived(archive.sizes(archive.place_of(self._folder), self._kind.name))
        while True:
            with snapshot():
                sizes = archive.sizes(archive.place_of(self._folder), self._kind.name)
                found = records.oldest(self._kind, self._wanted, self._after, LINES_A_STEP)
            if sizes != self._read:
                yield from self._archived(sizes)
                continue
            yield b"".join(record.line + b"\n" for record in found)
            if len(found) < LINES_A_STEP:
                return
            self._after = found[-1].place

    def _archived(self, sizes: Mapping[str, int]) -> Iterator[bytes]:
        """What files have that was not read yet. What the table gave already was moved there meanwhile."""
        for name, size in sizes.items():
            start = self._read.get(name, 0)
            self._read[name] = size
            if start < size and self._may_have(name):
                for lines in chunks(archive.read(self._folder / name, start, size), LINES_A_STEP):
                    yield b"".join(line + b"\n" for line in lines if self._is_wanted(line_of(line)))

    def _may_have(self, name: str) -> bool:
        month, wanted = name.removeprefix(f"{self._kind.name}-").removesuffix(archive.ENDING), self._wanted
        since = "" if wanted.since_ms is None else archive.month_of(wanted.since_ms)
        return since <= month and (wanted.until_ms is None or month <= archive.month_of(wanted.until_ms))

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
