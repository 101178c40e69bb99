"""The command line: which commands there are, and how one is called."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Protocol, cast

from commands.errors import CommandError

COMMANDS = {
    "serve": "the embedded default: migrate, then run the gateway and one worker",
    "gateway": "run one gateway",
    "worker": "run one consumer of background work",
    "migrate": "bring the schema up to date",
    "create-admin": "make an active admin",
    "token": "make a token for a user",
    "backup": "copy everything to a folder, while running",
    "restore": "bring a backup back",
    "copy": "carry a SQLite store over to PostgreSQL",
    "rehearse": "try the rules of notifications on the log that is kept",
    "doctor": "check the installation, and say what to do",
}
DEFAULT = "serve"
REFUSED = 2  # a setting, an argument, or the state of things does not admit it
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class Command(Protocol):
    """What the module of a command holds."""

    __doc__: str | None

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declares its arguments."""

    def run(self, args: Namespace) -> int:
        """Does it and returns the exit status. Raises CommandError."""


def main(argv: Sequence[str]) -> int:
    """Runs the command that the arguments name and returns the exit status: 2 when it was refused."""
    words = list(argv) or [DEFAULT]
    parser = ArgumentParser(prog="run.py", description=f"Bellwire. Without a command: {DEFAULT}.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        declared = commands.add_parser(name, help=summary, formatter_class=RawDescriptionHelpFormatter)
        if name == words[0]:
            command = cast("Command", import_module(f"commands.{name.replace('-', '_')}"))
            declared.description = command.__doc__
            command.add_arguments(declared)
            declared.set_defaults(run=command.run)
    args = parser.parse_args(words)
    return _run(words[0], args.run, args)


def _run(name: str, run: Callable[[Namespace], int], args: Namespace) -> int:
    try:
        return run(args)
    except CommandError as error:
        print(f"run.py {name}: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
