"""The objects of files in a backup. Objects never change, so a hard link is as good as a copy where there are hard links.

The table of objects in the backup's database is their list, with lengths and checksums.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from models.blobs.folder import Folder, make_folder
from models.blobs.objects import ObjectStore
from models.store.files import FileSum, checksum, fsync

FOLDER = "files"  # of a backup
SHOWN_KEYS = 20

Progress = Callable[[int, int], None]


class UnlikeError(Exception):
    """An object is not there, or has other bytes than its row says."""


class CopiedObjects(msgspec.Struct):
    """The objects of a backup: their number and bytes, and the keys of those that were missing or damaged, some of them."""

    count: int = 0
    bytes: int = 0
    lost: int = 0
    lost_keys: list[str] = []


class ObjectRow(NamedTuple):
    """An object's row."""

    key: str
    bytes: int
    sha256: str


def listed(database: Path, condition: str = "state='stored'") -> list[ObjectRow]:
    """The rows of objects in a database's file; none in one of a version without files."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name='blobs'").fetchone():
            return []
        found = connection.execute(f"SELECT key, bytes, sha256 FROM blobs WHERE {condition} ORDER BY key")
        return [ObjectRow(*row) for row in found]


def copy(
    objects: Collection[ObjectRow],
    source: ObjectStore,
    target: ObjectStore,
    progress: Progress | None = None,
    *,
    verify: bool,
    compares: bool = True,
) -> CopiedObjects:
    """Copy objects unless the target has them (with `compares`); return when they are durable. Those that are lost are counted.

    What is copied is compared with its checksum, what is linked only with `verify`: that reads it all.
    """
    done = CopiedObjects()
    total, copied = sum(each.bytes for each in objects), 0
    linked: set[Path] = set()
    for each in objects:
        try:
            if not (compares and _has(target, each)) and (folder := _copy(each, source, target, verify=verify)):
                linked.add(folder)
            done.count += 1
            done.bytes += each.bytes
        except (UnlikeError, FileNotFoundError):
            done.lost += 1
            done.lost_keys = [*done.lost_keys, each.key][:SHOWN_KEYS]
        copied += each.bytes
        if progress:
            progress(copied, total)
    for folder in sorted(linked | {folder.parent for folder in linked}):
        fsync(folder)
    return done


def _has(target: ObjectStore, expected: ObjectRow) -> bool:
    """Whether the target has an object already, with the right bytes: of a bucket with the right length."""
    if target.length(expected.key) != expected.bytes:
        return False
    path = target.local_path(expected.key)
    return path is None or checksum(path) == FileSum(expected.bytes, expected.sha256)


def _copy(each: ObjectRow, source: ObjectStore, target: ObjectStore, *, verify: bool) -> Path | None:
    """Copy one object. Return the folder of a hard link, which is not forced to the disk yet."""
    here, there = source.local_path(each.key), target.local_path(each.key)
    if here and there and _is_linked(each, here, there, verify=verify):
        return there.parent
    digest, length = hashlib.sha256(), 0
    writer = target.writer(each.key)
    try:
        for block in source.read(each.key):
            digest.update(block)
            length += len(block)
            writer.write(block)
        if (length, digest.hexdigest()) != (each.bytes, each.sha256):
            raise UnlikeError(each.key)
        writer.finish()
    except BaseException:
        writer.abort()
        raise
    return None


def _is_linked(each: ObjectRow, here: Path, there: Path, *, verify: bool) -> bool:
    """Give an object's file a second name, if its bytes are right and the file system can."""
    if here.stat().st_size != each.bytes or (verify and checksum(here).sha256 != each.sha256):
        raise UnlikeError(each.key)
    make_folder(there)
    there.unlink(missing_ok=True)  # damaged
    try:
        os.link(here, there)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError:  # another disk, too many links, or none at all
        return False
    return True


def move_unknown(folder: Path, known: Collection[str], kept: Path) -> int:
    """Move the objects of a folder that have no row to another one on the same disk; return their number."""
    unknown = [key for key, _ in Folder(folder).sizes() if "/" not in key and key not in known]
    for key in unknown:
        there = Folder(kept).local_path(key)
        make_folder(there)
        os.replace(Folder(folder).local_path(key), there)
    return len(unknown)
