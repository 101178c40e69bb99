"""Bringing a backup back. At every moment the data folder holds the old database whole, or the new one: what is to be is made
under another name, and one rename puts it in place."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from conf import Settings
from models.schema import DIRECTORY
from models.store.data_dir_lock import acquire_exclusive
from models.store.facts import EPOCH, new_epoch
from models.store.files import fsync, open_private
from models.transfer.manifest import DATABASE as NAME
from models.transfer.manifest import SECRET, BackupError, Manifest, read, verified_copy

SIDE_FILES = ("-wal", "-shm", "-journal")
KEPT = "before-restore"
BUSY_TIMEOUT_S = 1  # somebody who has the database open keeps it open
Say = Callable[[str], None]


def restore(settings: Settings, folder: Path, *, force: bool, say: Say) -> Manifest:
    """Puts the backup in `folder` in the place of the store; `say` is told each thing done.

    The log gets a new epoch, so a cursor from before answers 410 and clients load their state again. With `force` a database
    that is there is kept beside it. Raises BackupError, and models.store.data_dir_lock.RunningError while anything runs on the
    data folder.
    """
    with acquire_exclusive(settings.data_dir):
        try:
            return _restore(settings, folder, force, say)
        except (OSError, sqlite3.Error) as error:
            raise BackupError(f"the restore stopped: {error}. The database is whole; try again") from error


def _restore(settings: Settings, folder: Path, force: bool, say: Say) -> Manifest:
    database = settings.sqlite_path
    manifest = read(folder)
    if unknown := set(manifest.migrations) - {path.stem for path in DIRECTORY.glob("[0-9]*.py")}:
        raise BackupError(f"the backup was made by a newer version ({', '.join(sorted(unknown))}): install that one first")
    if database.exists() and not force:
        raise BackupError(f"{database} exists: --force restores over it, and keeps it beside")
    draft = database.with_name(f"{NAME}.restoring")
    verified_copy(folder / NAME, draft, manifest.files[NAME])
    epoch = _renew(draft)
    say(f"verified {folder}: made {manifest.created_at}, newest event {manifest.newest_event}")
    _bring_secret(settings, folder, manifest, say)
    if database.exists():
        say(f"kept the old database as {_keep(database)}")
    _clear(settings)
    fsync(settings.data_dir)
    os.replace(draft, database)
    fsync(settings.data_dir)
    say(f"restored {database}: epoch {epoch} (was {manifest.epoch})")
    return manifest


def _renew(draft: Path) -> str:
    """Checks the copy to the last page, and makes it a store of its own: a new epoch, nobody online. Returns the epoch."""
    epoch = new_epoch()
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=MEMORY")  # a draft that is interrupted is thrown away
        if (found := connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
            raise BackupError(f"the backup's database is damaged: {found}. Take another backup")
        connection.execute("BEGIN")
        connection.execute("UPDATE facts SET value=? WHERE name=?", (epoch, EPOCH))
        connection.execute("DELETE FROM online")
        connection.execute("DELETE FROM leases")
        connection.execute("COMMIT")
    fsync(draft)
    return epoch


def _bring_secret(settings: Settings, folder: Path, manifest: Manifest, say: Say) -> None:
    """Mailed codes and links are signed with the secret of their time, so it comes back too; another one is kept beside."""
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
    """Gives the old database a second name, its WAL's content within. Raises BackupError when somebody has it open."""
    for earlier in database.parent.glob(f"{NAME}.{KEPT}-*"):
        if earlier.samefile(database):  # of a restore that was killed before it put the new one in place
            earlier.unlink()
    kept = _kept_name(database)
    try:
        _close_wal(database)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise BackupError(f"{database} is open in another program: stop it first") from error
        for side in SIDE_FILES[::2]:  # damaged, perhaps what the restore is for: as it is
            if (path := Path(f"{database}{side}")).exists():
                _link(path, Path(f"{kept}{side}"))
    return _link(database, kept)


def _close_wal(database: Path) -> None:
    with closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # checkpoints, and fails when another connection is open
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")


def _kept_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.{KEPT}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")


def _link(path: Path, name: Path) -> Path:
    """A second name for a file; a copy where the file system has no links."""
    try:
        os.link(path, name)
    except (PermissionError, NotImplementedError):
        with path.open("rb") as reading, open_private(name) as writing:
            shutil.copyfileobj(reading, writing)
        fsync(name)
    return name


def _clear(settings: Settings) -> None:
    """Removes what belongs to the old database: side files, which SQLite would play into the new one, and the queue."""
    for path in (settings.sqlite_path, settings.queue_path):
        for side in SIDE_FILES:
            Path(f"{path}{side}").unlink(missing_ok=True)
    settings.queue_path.unlink(missing_ok=True)
