"""Carry a SQLite store over to PostgreSQL, when nothing runs on either. Ids, cursors and tokens stay good.

The database that --to names must be there and be empty; its tables are made. A copy that was interrupted goes on where it was when
the same command is run again. In the end every row is compared on both sides; the exit status is 1 when something differs. The
SQLite database stays as it is. The password may also come from PGPASSWORD or ~/.pgpass, where no list of processes shows it.
"""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace

from commands import opening
from commands.errors import CommandError
from conf import Settings
from conf.masking import MASK, masked
from conf.parsing import postgresql
from jobs import tasks
from models.transfer import copying
from models.transfer.manifest import SECRET

EXAMPLE = "postgresql://user:password@host/name"
BEFORE_HOST = re.compile(r"://.*@")  # where a bad URL goes wrong, a password may end elsewhere than it should
LINE_CHARS = 60


def add_arguments(parser: ArgumentParser) -> None:
    """Where to."""
    parser.add_argument("--to", metavar="URL", required=True, help=f"{EXAMPLE} (several hosts by commas)")


def run(args: Namespace) -> int:
    """Copies, and says what to do next."""
    settings = opening.settings()
    if settings.database_url is not None:
        raise CommandError("BELLWIRE_DATABASE_URL is set: unset it for this command, which copies the SQLite database")
    url = _checked(args.to)
    tasks.bind(settings)
    divided = [consumer.name for consumer in tasks.consumers.values() if consumer.partitioned]
    with opening.data_folder(settings):
        try:
            alike = copying.carry(settings, url, divided, lambda line: print(line, flush=True), _show)
        except copying.CopyError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            print("\ninterrupted: the same command goes on where it was", file=sys.stderr)
            raise
    if alike:
        print(_next(settings, url))
    return 0 if alike else 1


def _checked(url: str) -> str:
    """The URL. Raises CommandError, which shows no password: what the driver says of a URL may have it."""
    try:
        return postgresql(url)
    except ValueError:
        shown = masked("to", BEFORE_HOST.sub(f"://{MASK}@", url))
        raise CommandError(f"--to {shown!r}: allowed is {EXAMPLE}, with %XX for special characters in it") from None


def _next(settings: Settings, url: str) -> str:
    secret = settings.data_dir / SECRET
    if settings.secret_key is not None:
        key = "BELLWIRE_SECRET_KEY as it is set now"
    elif secret.exists():
        key = f"BELLWIRE_SECRET_KEY, the content of {secret}"
    else:
        key = "BELLWIRE_SECRET_KEY, a new secret"
    return (
        f"carried over. On every host, set\n  BELLWIRE_DATABASE_URL={masked('to', url)}\n  {key}\n"
        "and start it with `run.py serve`, or gateways and workers. Start nothing on the SQLite database any more."
    )


def _show(doing: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        line = f"{doing}: {done:,} of {total:,} rows" if done < total else ""
        print(f"\r{line:<{LINE_CHARS}}", end="" if line else "\r", file=sys.stderr, flush=True)
