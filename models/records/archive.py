"""The archive of old records on SQLite: monthly files of gzip'd NDJSON in the data folder, to which records are appended. A
store that was copied to PostgreSQL may have such files too, and adds none (models/records/partitions.py).

A file grows by one gzip member at a time. The member is on disk before the transaction begins that removes its records from the
table and stores the file's new length. Bytes beyond that length were never committed: they are not read, and are cut off before
the next member is written. So each record is in the table or in a file, never in both and never in neither, despite crashes, and
also after an older backup is restored.

The stored lengths apply to one folder, identified by an id of its own, since a copy of the database may be used with another
folder.
"""

from __future__ import annotations

import gzip
import os
import secrets
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import peewee

from models.log.checkpoint import CheckpointMovedError
from models.log.event import Transaction
from models.records import activity, audit
from models.store.database import Base, fetch_rows
from models.store.files import checksum, fsync, open_private

RECORD_TYPES = (activity.RECORD_TYPE, audit.RECORD_TYPE)  # what goes to an archive when it is old
NAME_FILE = "place"
READ_BYTES = 64 * 1024
ENDING = ".ndjson.gz"
GZIP = 31  # zlib's window bits for a gzip member


class ArchiveFile(Base):
    """A file of one folder: so much of it are members whose records have left the table."""

    place = peewee.CharField(max_length=16)
    name = peewee.CharField(max_length=40)
    size_bytes = peewee.BigIntegerField()

    class Meta:
        table_name = "archive_files"
        primary_key = peewee.CompositeKey("place", "name")


class ArchiveError(Exception):
    """A file is shorter than what was written to it: somebody has changed it, and nothing is added to it."""


def folder(data_dir: Path) -> Path:
    """Where the files are."""
    return data_dir / "archive"


def read_folder_id(folder: Path) -> str | None:
    """The folder's name, if it has one yet."""
    try:
        return (folder / NAME_FILE).read_text().strip()
    except FileNotFoundError:
        return None


def create_folder(folder: Path) -> str:
    """Makes the folder, for its owner alone, unless it is there; returns its name. Raises OSError."""
    found = read_folder_id(folder)
    if found is None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found, draft = secrets.token_hex(8), folder / f"{NAME_FILE}.draft"
        with open_private(draft) as file:
            file.write(f"{found}\n".encode())
        fsync(draft)
        draft.rename(folder / NAME_FILE)
        fsync(folder)
    return found


def file_name(kind: str, month: str) -> str:
    """The file of a kind of records and a month."""
    return f"{kind}-{month}{ENDING}"


def file_sizes(place: str | None, kind: str) -> dict[str, int]:
    """Files of a folder, by month, and how long each is."""
    files = ArchiveFile.select(ArchiveFile.name, ArchiveFile.size_bytes).where(ArchiveFile.place == (place or ""))
    return {name: size for name, size in fetch_rows(files.order_by(ArchiveFile.name)) if name.startswith(f"{kind}-")}


def append(path: Path, size: int, lines: Sequence[bytes]) -> int:
    """Adds a member of lines behind the first `size` bytes, cutting off what else is there; returns how long the file is now.

    A file that is gone was taken elsewhere, and is begun anew; one that nothing is known of is put aside. Raises ArchiveError, and
    OSError, when nothing can be added.
    """
    if not size and path.exists():
        path.rename(path.with_name(f"{path.name}.unknown-{secrets.token_hex(4)}"))
    new = not path.exists()
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        if not new:
            _truncate(path, file, size)
        file.seek(0, os.SEEK_END)
        file.write(gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0))
        file.flush()
        os.fsync(file.fileno())
        grown = file.tell()
    if new:
        fsync(path.parent)
    return grown


def _truncate(path: Path, file: IO[bytes], size: int) -> None:
    there = file.seek(0, os.SEEK_END)
    if there < size:
        raise ArchiveError(f"{path} has {there} bytes of {size}: take it elsewhere, and a new one is begun")
    file.truncate(size)


def truncate_all(folder: Path, sizes: Mapping[str, int]) -> None:
    """Cuts off what crashes have left behind the end of files. Raises OSError."""
    for name, size in sizes.items():
        path = folder / name
        if path.exists() and path.stat().st_size > size:
            os.truncate(path, size)


def extend(tx: Transaction, place: str, name: str, old: int, new: int) -> None:
    """The right to take out of the table what was appended: says that the file is longer, or raises CheckpointMovedError."""
    if old:
        same = (ArchiveFile.place == place) & (ArchiveFile.name == name) & (ArchiveFile.size_bytes == old)
        count = ArchiveFile.update(size_bytes=new).where(same).execute()
    else:
        count = ArchiveFile.insert(place=place, name=name, size_bytes=new).on_conflict_ignore().as_rowcount().execute()
    if count != 1:
        raise CheckpointMovedError


def read_lines(path: Path, start: int, end: int) -> Iterator[bytes]:
    """The lines between two lengths that the file has had. Little of it is in memory; nothing, if it was taken elsewhere."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    rest, member = b"", zlib.decompressobj(GZIP)
    with file:
        file.seek(start)
        while start < end and (packed := file.read(min(READ_BYTES, end - start))):
            start += len(packed)
            while packed:
                rest += member.decompress(packed)
                packed = member.unused_data
                if member.eof:
                    member = zlib.decompressobj(GZIP)
            *lines, rest = rest.split(b"\n")
            yield from lines


def write_checksums(folder: Path) -> None:
    """Brings `FILE.sha256`, as `sha256sum -c` reads it, up to date beside each file that has changed since. Raises OSError."""
    for path in sorted(folder.glob(f"*{ENDING}")):
        beside, changed_ns = path.with_name(f"{path.name}.sha256"), path.stat().st_mtime_ns
        if beside.exists() and beside.stat().st_mtime_ns >= changed_ns:
            continue
        draft = beside.with_suffix(".draft")
        with open_private(draft) as file:
            file.write(f"{checksum(path).sha256}  {path.name}\n".encode())
        fsync(draft)
        draft.replace(beside)
