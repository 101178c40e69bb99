"""Restore a backup, while nothing runs on the data folder.

Checksums and the database's integrity are verified first. The log gets a new epoch: clients load their state again. An existing
database is replaced only with --force, and is then kept as bellwire.db.before-restore-TIME. Accounts that were deleted after the
backup are deleted again, as the ledger BELLWIRE_DELETIONS_LEDGER says.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from commands import opening
from commands.advice import command_line
from commands.backup import refuse_postgresql
from commands.errors import CommandError
from conf.terminal import print_line
from models import schema
from models.transfer import restore
from models.transfer.manifest import BackupError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the backup's folder."""
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--force", action="store_true", help="replace the existing database, and keep it under another name")


def run(args: Namespace) -> int:
    """Restore, and print each step."""
    settings = opening.settings()
    refuse_postgresql(
        settings, "pg_restore, then `UPDATE facts SET value=left(md5(random()::text), 8) WHERE name='epoch'` before anything starts"
    )
    with opening.data_folder(settings):
        try:
            restore.restore(settings, args.folder, force=args.force, say=print_line)
        except BackupError as error:
            raise CommandError(str(error)) from error
    with opening.store(settings):
        if not schema.pending():  # else at the next start
            opening.repeat_deletions(settings)
    print_line(f"start it again with {command_line('serve')}; clients that were connected load their state again")
    return 0
