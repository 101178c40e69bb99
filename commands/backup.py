"""Copy the database, the bytes of files and the generated secret to a folder, while Bellwire is running.

The folder is created, or must be empty. The last file written is manifest.json, with a checksum of each file; without it the
backup is not finished. Keep the folder as safe as the data folder: it contains the same secrets. Files are hard links if the folder
is on their disk. Files in a bucket stay there, unless --files copies them, too.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from commands import opening
from commands.errors import CommandError
from conf import Settings
from models.store.data_dir_lock import acquire_running_lock
from models.transfer import backup
from models.transfer.manifest import BackupError
from models.transfer.object_copies import CopiedObjects

MIB = 2**20


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the folder to write to."""
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--files", action="store_true", help="copy files that are in a bucket, too")


def run(args: Namespace) -> int:
    """Create the backup, and print its size and newest event."""
    settings = opening.settings()
    refuse_postgresql(settings, "pg_dump")
    opening.require_file(settings)
    with opening.data_folder(settings):
        acquire_running_lock(settings.data_dir)
    try:
        progress = show if sys.stderr.isatty() else None
        made = backup.make(settings, args.folder, progress, with_objects=args.files or not settings.files_in_bucket)
    except BackupError as error:
        raise CommandError(str(error)) from error
    size = sum(file.bytes for file in made.files.values()) / MIB
    print(f"backed up to {args.folder}: {size:.1f} MiB, newest event {made.newest_event}, {made.rows['messages']} messages")
    print(_files_line(made.objects, settings))
    return 0


def _files_line(objects: CopiedObjects | None, settings: Settings) -> str:
    """Report what became of the files."""
    if objects is None:
        return f"without the files, which stay in {settings.files_url}: a restore needs them there. --files copies them"
    line = f"files: {objects.count} objects, {objects.bytes / MIB:.1f} MiB"
    if objects.lost:
        line += f"; {objects.lost} are missing or damaged where they are kept ({', '.join(objects.lost_keys)})"
    return line


def refuse_postgresql(settings: Settings, tool: str) -> None:
    """Raise CommandError when the database is PostgreSQL."""
    if settings.database_url is not None:
        raise CommandError(f"the database is PostgreSQL: use {tool}")


def show(done: int, total: int) -> None:
    """Print the progress in bytes."""
    print(f"\r{done // MIB} of {total // MIB} MiB", end="" if done < total else "\n", file=sys.stderr, flush=True)
