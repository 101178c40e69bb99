"""The manifest of a backup: its content and the checksum of each file. It is written last, so a folder with a manifest is
complete."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

from models.store.clock import now_ms, rfc3339
from models.store.files import READ_BYTES, FileSum, checksum, fsync, open_private
from models.transfer.object_copies import CopiedObjects

FORMAT = 1
MANIFEST = "manifest.json"
DATABASE = "bellwire.db"
SECRET = "secret"  # noqa: S105 - a file's name
COUNTED = ("users", "tokens", "conversations", "memberships", "messages", "events", "notifications", "activities")


class BackupError(Exception):
    """A backup can't be created, verified or restored. The text says what to do; nothing was changed."""


class Manifest(msgspec.Struct):
    """`manifest.json`. `migrations` are the names applied, `newest_event` is an id, `rows` counts the main tables, `objects` those
    of files, which are in a folder of their own: None if they were left where they are."""

    format: int
    created_at: str
    migrations: list[str]
    epoch: str
    newest_event: int
    rows: dict[str, int]
    files: dict[str, FileSum]
    objects: CopiedObjects | None = None


def describe(database: Path, files: dict[str, FileSum]) -> Manifest:
    """Return the manifest of a copied database. Raises sqlite3.DatabaseError when it is not a Bellwire database."""
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
    try:
        newest = connection.execute("SELECT seq FROM sqlite_sequence WHERE name='events'").fetchone()
        return Manifest(
            FORMAT,
            rfc3339(now_ms()),
            [name for (name,) in connection.execute("SELECT name FROM schema_migration ORDER BY name")],
            connection.execute("SELECT value FROM facts WHERE name='epoch'").fetchone()[0],
            newest[0] if newest else 0,
            {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in COUNTED},
            files,
        )
    finally:
        connection.close()


def read(folder: Path) -> Manifest:
    """Read the manifest of a backup. Raises BackupError when there is none, or its format is unknown."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise BackupError(f"{folder} is not a finished backup: {MANIFEST} can't be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise BackupError(f"{folder / MANIFEST} is damaged: {error}") from error
    if manifest.format != FORMAT:
        raise BackupError(
            f"{folder} has format {manifest.format}, this version reads {FORMAT}: restore with the version that made it"
        )
    if DATABASE not in manifest.files or not set(manifest.files) <= {DATABASE, SECRET}:
        raise BackupError(f"{folder / MANIFEST} names files that no backup has")
    return manifest


def verified_copy(source: Path, draft: Path, expected: FileSum) -> None:
    """Copy a file of a backup to `draft`, with mode 0600. Raises BackupError when its checksum differs from the manifest's."""
    try:
        with source.open("rb") as reading, open_private(draft) as writing:
            while block := reading.read(READ_BYTES):
                writing.write(block)
    except FileNotFoundError as error:
        raise BackupError(f"{source} is missing: take another backup") from error
    if checksum(draft) != expected:
        draft.unlink()
        raise BackupError(f"{source} is damaged: its checksum is not the one in {MANIFEST}. Take another backup")
    fsync(draft)
