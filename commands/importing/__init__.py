"""Bring the history of another system along: users, conversations and messages, from a file of JSON lines.

Run it again after an interruption, or with more lines: what was imported before is left as it is. The command may run while
Bellwire does. With --from it reads the export of another product, or a table:

  run.py import history.jsonl                      lines as docs/embedding.md describes them
  run.py import --from slack EXPORT                the folder or zip of a Slack export
  run.py import --from mattermost EXPORT.jsonl     a Mattermost bulk export
  run.py import --from csv TABLE.csv               a table of messages; also .jsonl, such as Django's dumpdata makes

The exit status is 1 if lines were refused; each is named, with the reason.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commands import opening
from commands.errors import CommandError
from commands.importing import json_lines, mattermost, slack, table
from commands.importing.progress import Progress
from commands.importing.writing import write
from models.history.import_keys import CONVERSATION, DEFAULT_SOURCE, MAX_SOURCE_CHARS, MESSAGE, USER
from models.history.written import Written
from models.store.text_rules import is_displayable

FORMATS = {"jsonl": json_lines.read, "slack": slack.read, "mattermost": mattermost.read, "csv": table.read}
SOURCES = {"jsonl": DEFAULT_SOURCE, "csv": DEFAULT_SOURCE}
REFUSED_LINES = 1


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the file, its format and the name of its system."""
    parser.add_argument("file", metavar="FILE", type=Path, help="the file; for Slack also a folder or a zip")
    parser.add_argument("--from", dest="format", choices=list(FORMATS), default="jsonl", help="the file's format (default: jsonl)")
    parser.add_argument("--source", metavar="NAME", help="the system that the keys are of (default: host; slack or mattermost)")
    parser.add_argument("--refused", metavar="FILE", type=Path, help="write all refused lines to this file, as JSON lines")
    parser.add_argument(
        "--column",
        metavar="FIELD=COLUMN",
        action="append",
        default=[],
        help=f"of a table: the column of a field, one of {', '.join(table.FIELDS)}; by its name where there is none",
    )
    parser.add_argument("--users", metavar="FILE", type=Path, help="of a table: another one of its users, who are imported first")


def run(args: Namespace) -> int:
    """Import the file, and print what was done."""
    source = SOURCES.get(args.format, args.format) if args.source is None else args.source
    if not (len(source) <= MAX_SOURCE_CHARS and is_displayable(source)):
        raise CommandError(f"--source must have 1 to {MAX_SOURCE_CHARS} printable characters")
    with opening.store(opening.settings()), _readable(args.file):
        opening.require_current_schema()
        with Progress(args.refused) as progress:
            total = write(source, FORMATS[args.format](args), progress)
    print(_table(total))
    if progress.refused:
        print(f"{progress.refused:,} lines were refused")
        return REFUSED_LINES
    return 0


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn errors about the file into CommandError."""
    try:
        yield
    except OSError as error:
        if error.filename is None or not str(error.filename).startswith(str(file)):
            raise
        raise CommandError(f"{error.filename} can't be read: {error.strerror}") from error


def _table(total: Written) -> str:
    rows = [f"{'':<14}{'created':>12}{'changed':>12}{'unchanged':>12}"]
    for kind in (USER, CONVERSATION, MESSAGE):
        counts = (total.created[kind], total.changed[kind], total.unchanged[kind])
        rows.append(f"{kind + 's':<14}" + "".join(f"{count:>12,}" for count in counts))
    return "\n".join(rows)
