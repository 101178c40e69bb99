"""Copy a SQLite store to PostgreSQL, while nothing runs on either. Ids, cursors and tokens stay valid.

The database that --to names must exist and be empty; its tables are created. An interrupted copy continues when the same command is
run again. At the end every row is compared on both sides; the exit status is 1 when something differs. The SQLite database is not
changed. The password may also come from PGPASSWORD or ~/.pgpass, where no list of processes shows it.
"""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace

from commands import opening
from commands.advice import command_line
from commands.errors import CommandError
from conf import Settings
from conf.masking import MASK, masked
from conf.parsing import postgresql
from conf.terminal import print_line
from jobs import tasks
from models.transfer import copying
from models.transfer.manifest import SECRET

EXAMPLE = "postgresql://user:password@host/name"
BEFORE_HOST = re.compile(r"://.*@")  # of a malformed URL, in which the end of the password is unclear
LINE_CHARS = 60


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the target's URL."""
    parser.add_argument("--to", metavar="URL", required=True, help=f"{EXAMPLE} (separate several hosts by commas)")


def run(args: Namespace) -> int:
    """Copy, and print the next steps."""
    settings = opening.settings()
    if settings.database_url is not None:
        raise CommandError("BELLWIRE_DATABASE_URL is set: unset it for this command, which copies the SQLite database")
    url = _checked(args.to)
    tasks.bind(settings)
    divided = [consumer.name for consumer in tasks.consumers.values() if consumer.partitioned]
    with opening.data_folder(settings):
        try:
            equal = copying.carry(settings, url, divided, print_line, _show)
        except copying.CopyError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            print("\ninterrupted: run the same command again to continue", file=sys.stderr)
            raise
    if equal:
        print(_next(settings, url))
    return 0 if equal else 1


def _checked(url: str) -> str:
    """Return a valid URL, or raise CommandError without the password, which the driver's message may contain."""
    try:
        return postgresql(url)
    except ValueError:
        safe = masked("to", BEFORE_HOST.sub(f"://{MASK}@", url))
        raise CommandError(f"--to {safe!r}: must be {EXAMPLE}, with %XX for special characters") from None


def _next(settings: Settings, url: str) -> str:
    secret = settings.data_dir / SECRET
    if settings.secret_key is not None:
        key = "BELLWIRE_SECRET_KEY as it is set now"
    elif secret.exists():
        key = f"BELLWIRE_SECRET_KEY, the content of {secret}"
    else:
        key = "BELLWIRE_SECRET_KEY, a new secret"
    return (
        f"copied. On every host, set\n  BELLWIRE_DATABASE_URL={masked('to', url)}\n  {key}\n{_where_files_stay(settings)}"
        f"and start it with {command_line('serve')}, or gateways and workers. Start nothing on the SQLite database any more."
    )


def _where_files_stay(settings: Settings) -> str:
    """Say where the bytes of files are: they keep their ids and stay where they were."""
    if settings.files_in_bucket:
        return f"  BELLWIRE_FILES_URL={settings.files_url}, where the files stay\n"
    move = command_line("files --to s3://…")
    return f"the files stay in {settings.files_path}, a folder that all hosts must share: {move} moves them to a bucket,\n"


def _show(doing: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        line = f"{doing}: {done:,} of {total:,} rows" if done < total else ""
        print(f"\r{line:<{LINE_CHARS}}", end="" if line else "\r", file=sys.stderr, flush=True)
