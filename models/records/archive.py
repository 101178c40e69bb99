"""The archive of old records on SQLite: monthly files of gzipped NDJSON in the data folder. Records are appended to them.

A store that was copied to PostgreSQL may have such files too, but no records are added to them (models/records/partitions.py).

A file grows by one gzip member at a time. The member is on disk before the transaction begins that deletes its records from the
table and stores the file's new size. Bytes beyond that size were never committed: they are not read, and are cut off before the
next member is written. So each record is either in the table or in a file, despite crashes, and also after an older backup is
restored.

The stored sizes apply to one folder, which has an id, since a copy of the database may be used with another folder.
"""

from __future__ import annotations

import gzip
import os
import secrets
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import peewee

from models.log.checkpoint import CheckpointMovedError
from models.log.event import Transaction
from models.records import activity, audit
from models.store.database import Base, fetch_rows
from models.store.files import checksum, fsync, open_private

RECORD_TYPES = (activity.RECORD_TYPE, audit.RECORD_TYPE)  # all types of records
FOLDER_ID_FILE = "place"
READ_BLOCK_BYTES = 64 * 1024
ENDING = ".ndjson.gz"
GZIP_WINDOW_BITS = 31  # zlib's window bits for a gzip member
GZIP_HEADER = struct.Struct(">HBBIBB")  # magic, method, flags, time, compression level, operating system
GZIP_HEADER_BYTES = 10
GZIP_COMMENT = 16  # the flag of a header that has a comment


class ArchiveFile(Base):
    """A file of one folder. Its first `size_bytes` bytes are committed: their records have left the table."""

    folder = peewee.CharField(max_length=16, column_name="place")
    name = peewee.CharField(max_length=40)
    size_bytes = peewee.BigIntegerField()

    class Meta:
        table_name = "archive_files"
        primary_key = peewee.CompositeKey("folder", "name")


class ArchiveError(Exception):
    """A file is shorter than its stored size, since something outside Bellwire has changed it. Nothing is appended to it."""


def folder(data_dir: Path) -> Path:
    """The folder of the archive files."""
    return data_dir / "archive"


def read_folder_id(folder: Path) -> str | None:
    """The folder's id; None when it has none yet."""
    try:
        return (folder / FOLDER_ID_FILE).read_text().strip()
    except FileNotFoundError:
        return None


def create_folder(folder: Path) -> str:
    """Create the folder, with access for its owner only, unless it exists; returns its id. Raises OSError."""
    folder_id = read_folder_id(folder)
    if folder_id is not None:
        return folder_id
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder_id, draft = secrets.token_hex(8), folder / f"{FOLDER_ID_FILE}.draft"
    with open_private(draft) as file:
        file.write(f"{folder_id}\n".encode())
    fsync(draft)
    draft.rename(folder / FOLDER_ID_FILE)
    fsync(folder)
    return folder_id


def file_name(type_name: str, month: str) -> str:
    """The name of the file of a type of records and a month: `activity-2026-08.ndjson.gz`."""
    return f"{type_name}-{month}{ENDING}"


def file_sizes(folder_id: str | None, type_name: str) -> dict[str, int]:
    """file name -> committed size in bytes, for a folder's files of one type of records, sorted by month."""
    files = ArchiveFile.select(ArchiveFile.name, ArchiveFile.size_bytes).where(ArchiveFile.folder == (folder_id or ""))
    return {name: size for name, size in fetch_rows(files.order_by(ArchiveFile.name)) if name.startswith(f"{type_name}-")}


def append(path: Path, size: int, lines: Sequence[bytes]) -> int:
    """Append lines as one gzip member after the first `size` bytes, and cut off other bytes there; returns the file's new size.

    A file that the operator has moved away is started again. A file whose stored size is 0 is unknown, and is renamed first.
    Raises ArchiveError and OSError when nothing can be appended; the file is then as before.
    """
    if not size and path.exists():
        path.rename(path.with_name(f"{path.name}.unknown-{secrets.token_hex(4)}"))
    new = not path.exists()
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        if not new:
            _truncate(path, file, size)
        try:
            new_size = _append_member(file.fileno(), 0 if new else size, lines)
        except OSError:
            if new:
                path.unlink()
            raise
    if new:
        fsync(path.parent)
    return new_size


def _append_member(descriptor: int, size: int, lines: Sequence[bytes]) -> int:
    """Append to a file of `size` bytes, completely or not at all: on a full disk each attempt would leave something."""
    member = memoryview(gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0))
    new_size = size + len(member)
    try:
        while member:
            member = member[os.pwrite(descriptor, member, new_size - len(member)) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    return new_size


def _truncate(path: Path, file: IO[bytes], size: int) -> None:
    actual = file.seek(0, os.SEEK_END)
    if actual < size:
        raise ArchiveError(f"{path} must have at least {size} bytes, but has {actual}: move it away, and a new file is started")
    file.truncate(size)


def truncate_all(folder: Path, sizes: Mapping[str, int]) -> None:
    """Cut off the bytes that crashes have left beyond the committed sizes. Raises OSError."""
    for name, size in sizes.items():
        path = folder / name
        if path.exists() and path.stat().st_size > size:
            os.truncate(path, size)


def commit_size(tx: Transaction, folder_id: str, name: str, old_size: int, new_size: int) -> None:
    """Store the file's new size, in the transaction that deletes the appended records from the table.

    Raises CheckpointMovedError when the stored size is not `old_size`.
    """
    if old_size:
        unchanged = (ArchiveFile.folder == folder_id) & (ArchiveFile.name == name) & (ArchiveFile.size_bytes == old_size)
        count = ArchiveFile.update(size_bytes=new_size).where(unchanged).execute()
    else:
        new_file = ArchiveFile.insert(folder=folder_id, name=name, size_bytes=new_size)
        count = new_file.on_conflict_ignore().as_rowcount().execute()
    if count != 1:
        raise CheckpointMovedError


def read_lines(path: Path, start: int, end: int) -> Iterator[bytes]:
    """Yield the lines between two sizes that the file has had, in constant memory; none when the file was moved away."""
    for block in read_blocks(path, start, end):
        yield from block.split(b"\n")


def read_blocks(path: Path, start: int, end: int) -> Iterator[bytes]:
    """Yield the same lines, as many at once as a block of the file has: without the last one's end."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    partial_line, member = b"", zlib.decompressobj(GZIP_WINDOW_BITS)
    with file:
        file.seek(start)
        while start < end and (packed := file.read(min(READ_BLOCK_BYTES, end - start))):
            start += len(packed)
            while packed:
                partial_line += member.decompress(packed)
                packed = member.unused_data
                if member.eof:
                    member = zlib.decompressobj(GZIP_WINDOW_BITS)
            lines, has_end, partial_line = partial_line.rpartition(b"\n")
            if has_end:
                yield lines


def rewrite(path: Path, size: int, change: Callable[[bytes], bytes]) -> int:
    """Replace lines in the first `size` bytes of a file, with the folder's lock; returns the number of lines that changed.

    The new file is as long as the old one, filled up by a comment in the header of its one member (RFC 1952). So the stored size is
    true at every moment, and later members begin where they would have. Raises OSError, and ArchiveError when the new lines do not
    fit.
    """
    body, draft = path.with_name(f"{path.name}.body"), path.with_name(f"{path.name}.draft")
    try:
        changed, trailer = _pack(body, read_lines(path, 0, size), change)
        if changed:
            comment = size - GZIP_HEADER_BYTES - body.stat().st_size - len(trailer)
            if comment < 0:
                raise ArchiveError(f"{path} can't be rewritten: it would have {-comment} bytes more than before")
            with open_private(draft) as file, body.open("rb") as packed:
                file.write(GZIP_HEADER.pack(0x1F8B, zlib.DEFLATED, GZIP_COMMENT if comment else 0, 0, 2, 255))
                file.write((b" " * (comment - 1) + b"\0") if comment else b"")
                shutil.copyfileobj(packed, file)
                file.write(trailer)
            fsync(draft)
            draft.replace(path)
            fsync(path.parent)
        return changed
    finally:
        body.unlink(missing_ok=True)
        draft.unlink(missing_ok=True)


def _pack(body: Path, lines: Iterable[bytes], change: Callable[[bytes], bytes]) -> tuple[int, bytes]:
    """Write changed lines as the deflated body of a gzip member; returns how many differ, and the member's trailer."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    changed = check = length = 0
    with open_private(body) as file:
        for line in lines:
            new = change(line)
            changed += new != line
            text = new + b"\n"
            check, length = zlib.crc32(text, check), length + len(text)
            file.write(packer.compress(text))
        file.write(packer.flush())
    return changed, struct.pack("<II", check, length % 2**32)


def write_checksums(folder: Path) -> None:
    """Write `FILE.sha256`, in the format of `sha256sum -c`, for each file that has changed since its last one. Raises OSError."""
    for path in sorted(folder.glob(f"*{ENDING}")):
        checksum_path, changed_ns = path.with_name(f"{path.name}.sha256"), path.stat().st_mtime_ns
        if checksum_path.exists() and checksum_path.stat().st_mtime_ns >= changed_ns:
            continue
        draft = checksum_path.with_suffix(".draft")
        with open_private(draft) as file:
            file.write(f"{checksum(path).sha256}  {path.name}\n".encode())
        fsync(draft)
        draft.replace(checksum_path)
