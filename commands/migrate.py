"""Create the database, or bring its schema up to date.

Safe to run twice, and by several processes at once: one migrates, the others wait for it.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from commands import opening
from conf.terminal import print_line
from models import schema


def add_arguments(parser: ArgumentParser) -> None:
    """Declare no arguments."""


def run(_args: Namespace) -> int:
    """Apply the pending migrations."""
    with opening.store(opening.settings(), create=True):
        migrate_and_print()
    return 0


def migrate_and_print(*, when_nothing: str = "the schema is up to date already") -> None:
    """Apply the pending migrations, and print their names: before it too where there is a database, which may take long."""
    if (names := schema.pending()) and not schema.is_empty():
        print_line(f"migrating: {', '.join(names)}")
    for name in schema.migrate():
        print_line(f"applied {name}")
    if when_nothing and not names:
        print_line(when_nothing)
