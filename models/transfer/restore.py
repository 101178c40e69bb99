"""Restoring a backup. At every moment the data folder has either the old database or the complete new one: the new one is prepared
under another name and put in place by one rename.

Objects have the same names and bytes in every backup of a store. So the backup's objects are added to those that are there, before
the new database is in place; afterwards those that it does not know are put beside, as the old database is.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from conf import Settings
from models.blobs.folder import Folder
from models.blobs.opening import open_store
from models.schema import DIRECTORY
from models.store.data_dir_lock import acquire_exclusive
from models.store.errors import FullError, StoreDownError
from models.store.facts import EPOCH, new_epoch
from models.store.files import fsync, open_private
from models.transfer import object_copies
from models.transfer.manifest import DATABASE as NAME
from models.transfer.manifest import SECRET, BackupError, Manifest, read, verified_copy

SIDE_FILES = ("-wal", "-shm", "-journal")
KEPT = "before-restore"
BUSY_TIMEOUT_S = 1  # a program that has the database open usually keeps it open
Say = Callable[[str], None]


def restore(settings: Settings, folder: Path, *, force: bool, say: Say) -> Manifest:
    """Replace the store by the backup in `folder`; `say` is called with a line for each step.

    The log gets a new epoch, so older cursors get a 410 and clients load their state again. With `force` an existing database is
    kept under another name. Raises BackupError, and models.store.data_dir_lock.RunningError while a process uses the
    data folder.
    """
    with acquire_exclusive(settings.data_dir):
        try:
            return _restore(settings, folder, force=force, say=say)
        except (OSError, FullError, StoreDownError, sqlite3.Error) as error:
            raise BackupError(f"the restore stopped: {error}. The database is intact; try again") from error


def _restore(settings: Settings, folder: Path, *, force: bool, say: Say) -> Manifest:
    database = settings.sqlite_path
    manifest = read(folder)
    if unknown := set(manifest.migrations) - {path.stem for path in DIRECTORY.glob("[0-9]*.py")}:
        raise BackupError(f"the backup was made by a newer version ({', '.join(sorted(unknown))}): install that one first")
    if database.exists() and not force:
        raise BackupError(f"{database} exists: with --force it is replaced, and kept under another name")
    draft = database.with_name(f"{NAME}.restoring")
    verified_copy(folder / NAME, draft, manifest.files[NAME])
    epoch = _renew(draft)
    say(f"verified {folder}: made {manifest.created_at}, newest event {manifest.newest_event}")
    _restore_objects(settings, folder, manifest, draft, say)
    _restore_secret(settings, folder, manifest, say)
    if database.exists():
        say(f"kept the old database as {_keep(database)}")
    _clear(settings)
    fsync(settings.data_dir)
    os.replace(draft, database)
    fsync(settings.data_dir)
    say(f"restored {database}: epoch {epoch} (was {manifest.epoch})")
    _keep_other_objects(settings, say)
    return manifest


def _renew(draft: Path) -> str:
    """Check every page of the copy, and give it a new epoch and nobody online. Return the epoch."""
    epoch = new_epoch()
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=MEMORY")  # an interrupted draft is thrown away
        if (result := connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
            raise BackupError(f"the backup's database is damaged: {result}. Take another backup")
        connection.execute("BEGIN")
        connection.execute("UPDATE facts SET value=? WHERE name=?", (epoch, EPOCH))
        connection.execute("DELETE FROM online")
        connection.execute("DELETE FROM leases")
        connection.execute("COMMIT")
    fsync(draft)
    return epoch


def _restore_objects(settings: Settings, folder: Path, manifest: Manifest, draft: Path, say: Say) -> None:
    """Add the backup's objects to those that are there, each compared with its checksum."""
    objects, target = object_copies.listed(draft), open_store(settings)
    if manifest.objects is not None:
        say(f"verifying {len(objects)} objects of files")
        done = object_copies.copy(objects, Folder(folder / object_copies.FOLDER), target, verify=True)
        damaged = f"; {done.lost} are missing or damaged in the backup ({', '.join(done.lost_keys)})" if done.lost else ""
        say(f"restored {done.count} objects of files{damaged}")
    elif objects:
        there = dict(target.sizes())
        lost = sum(there.get(each.key) != each.bytes for each in objects)
        say(f"the backup is without files: of its {len(objects)} objects, {settings.files_url} lacks {lost}")


def _keep_other_objects(settings: Settings, say: Say) -> None:
    """Put objects that the restored database does not know beside. Those in a bucket stay, since others may need them."""
    if settings.files_in_bucket:
        say(f"objects of later files stay in {settings.files_url}: `run.py doctor` lists them")
        return
    known = {each.key for each in object_copies.listed(settings.sqlite_path, "true")}
    kept = _kept_name(settings.files_path)
    if moved := object_copies.move_unknown(settings.files_path, known, kept):
        say(f"kept {moved} objects of later files in {kept}")


def _restore_secret(settings: Settings, folder: Path, manifest: Manifest, say: Say) -> None:
    """Restore the secret with which mailed codes and links were signed. A different one is kept under another name."""
    if SECRET not in manifest.files:
        return
    if settings.secret_key is not None:
        say("left the backup's secret out: BELLWIRE_SECRET_KEY is set")
        return
    secret = settings.data_dir / SECRET
    draft = settings.data_dir / f"{SECRET}.restoring"
    verified_copy(folder / SECRET, draft, manifest.files[SECRET])
    if secret.exists() and secret.read_bytes() != draft.read_bytes():
        say(f"kept the old secret as {_link(secret, _kept_name(secret))}")
    os.replace(draft, secret)
    say(f"restored {secret}")


def _keep(database: Path) -> Path:
    """Give the old database, with its WAL's content, a second name. Raises BackupError when another program has it open."""
    for earlier in database.parent.glob(f"{NAME}.{KEPT}-*"):
        if earlier.samefile(database):  # left by a restore that was killed before its rename
            earlier.unlink()
    kept = _kept_name(database)
    try:
        _close_wal(database)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise BackupError(f"{database} is open in another program: stop it first") from error
        for side in ("-wal", "-journal"):  # a damaged database is kept as it is, with its side files
            if (path := Path(f"{database}{side}")).exists():
                _link(path, Path(f"{kept}{side}"))
    return _link(database, kept)


def _close_wal(database: Path) -> None:
    with closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # this checkpoints the WAL, and fails when another connection is open
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")


def _kept_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.{KEPT}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")


def _link(path: Path, name: Path) -> Path:
    """Give a file a second name; copy it where the file system has no hard links."""
    try:
        os.link(path, name)
    except (PermissionError, NotImplementedError):
        with path.open("rb") as reading, open_private(name) as writing:
            shutil.copyfileobj(reading, writing)
        fsync(name)
    return name


def _clear(settings: Settings) -> None:
    """Remove the old database's side files, which SQLite would apply to the new one, and the queue."""
    for path in (settings.sqlite_path, settings.queue_path):
        for side in SIDE_FILES:
            Path(f"{path}{side}").unlink(missing_ok=True)
    settings.queue_path.unlink(missing_ok=True)
