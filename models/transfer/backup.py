"""A consistent copy of the store while it is in use: the database, the objects of files, the generated secret and a manifest, in a
folder of its own.

SQLite's online backup copies the pages in steps, within one read transaction. Without that transaction it starts again whenever
another process commits, and beside a busy gateway it never ends. An open read transaction pins one snapshot and, in WAL mode,
blocks no writer. The WAL can't be reused meanwhile, so it grows by the amount written during the copy. `VACUUM INTO` also reads one
snapshot, but rebuilds every index, which takes several times longer.

The objects of that snapshot's files follow, as hard links if they are on the same disk. Until then none is removed. Those in a
bucket are copied only if that is requested.

The queue is not copied: all its work can be derived from the log.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from conf import Settings
from models.blobs.folder import Folder
from models.blobs.opening import open_store
from models.store.data_dir_lock import objects_stay
from models.store.errors import FullError, StoreDownError
from models.store.files import FileSum, checksum, fsync, open_private
from models.transfer import object_copies
from models.transfer.manifest import DATABASE, MANIFEST, SECRET, BackupError, Manifest, describe

PAGES_PER_STEP = 2048  # 8 MiB
BUSY_TIMEOUT_S = 30
SPARE_BYTES = 64 * 1024 * 1024  # that must stay free on the backup's disk

Progress = Callable[[int, int], None]


def make(settings: Settings, folder: Path, progress: Progress | None = None, *, with_objects: bool = True) -> Manifest:
    """Back up into `folder`, which is created or must be empty. `progress` is called with bytes copied and total bytes, first of
    the database and then of the files.

    Every file is written under another name, forced to the disk and renamed, the manifest last. Raises BackupError.
    """
    if not settings.sqlite_path.exists():
        raise BackupError(f"there is no database at {settings.sqlite_path}")
    _claim(folder, settings.sqlite_path)
    try:
        with objects_stay(settings.data_dir):
            return _fill(folder, settings, progress, with_objects=with_objects)
    except (OSError, FullError, StoreDownError, sqlite3.Error) as error:
        for left in folder.iterdir():  # it was empty
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        raise BackupError(f"the backup to {folder} failed: {error}") from error


def _claim(folder: Path, database: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(folder.iterdir()):
            raise BackupError(f"{folder} is not empty: name a new folder")
    except OSError as error:
        raise BackupError(f"{folder} can't be used: {error.strerror}") from error
    free = shutil.disk_usage(folder).free
    if free < database.stat().st_size + SPARE_BYTES:
        raise BackupError(f"the disk of {folder} has {free // 2**20} MiB left, which is too little: name a folder on another disk")


def _fill(folder: Path, settings: Settings, progress: Progress | None, *, with_objects: bool) -> Manifest:
    files = {}
    draft = _draft(folder, DATABASE)
    open_private(draft).close()
    _copy(settings.sqlite_path, draft, progress)
    manifest = describe(draft, {})
    files[DATABASE] = _finish(draft, DATABASE)
    if settings.secret_key is None and (secret := settings.data_dir / SECRET).exists():
        draft = _draft(folder, SECRET)
        with open_private(draft) as file:
            file.write(secret.read_bytes())
        files[SECRET] = _finish(draft, SECRET)
    manifest.files = files
    if with_objects:
        objects, target = object_copies.listed(folder / DATABASE), Folder(folder / object_copies.FOLDER)
        manifest.objects = object_copies.copy(objects, open_store(settings), target, progress, verify=False)
    draft = _draft(folder, MANIFEST)
    with open_private(draft) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    _finish(draft, MANIFEST)
    return manifest


def _copy(database: Path, draft: Path, progress: Progress | None) -> None:
    """Copy one snapshot of the database to a file in rollback mode, which needs no side files. Raises sqlite3.Error."""
    with (
        closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as source,
        closing(sqlite3.connect(draft, isolation_level=None)) as target,
    ):
        (page_bytes,) = source.execute("PRAGMA page_size").fetchone()

        def report(_status: int, remaining: int, total: int) -> None:
            if progress:
                progress((total - remaining) * page_bytes, total * page_bytes)

        target.execute("PRAGMA synchronous=OFF")  # the complete file is forced to the disk afterwards
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_schema").fetchone()  # the first read takes the snapshot
        source.backup(target, pages=PAGES_PER_STEP, progress=report)
        source.execute("ROLLBACK")
        target.execute("PRAGMA journal_mode=DELETE")
        if (result := target.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(f"the database itself is damaged: {result}")


def _draft(folder: Path, name: str) -> Path:
    return folder / f".{name}.partial"


def _finish(draft: Path, name: str) -> FileSum:
    fsync(draft)
    file_sum = checksum(draft)
    os.replace(draft, draft.with_name(name))
    fsync(draft.parent)
    return file_sum
