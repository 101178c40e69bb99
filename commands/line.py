"""The command line: the list of commands, and how one is run."""

from __future__ import annotations

import contextlib
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from commands.errors import CommandError
from conf import VERSION
from conf.terminal import discard_output

COMMANDS = {
    "serve": "the embedded default: migrate, then run the gateway and one worker",
    "gateway": "run one gateway",
    "worker": "run one consumer of background work",
    "migrate": "create the database, or bring its schema up to date",
    "create-admin": "create an active admin",
    "token": "create an access token for a user",
    "backup": "copy the database to a folder, while Bellwire is running",
    "restore": "restore a backup",
    "copy": "copy a SQLite store to PostgreSQL",
    "files": "move the bytes of files to a bucket or another folder",
    "import": "bring users, conversations and messages of another system along",
    "rehearse": "apply the notification rules to the stored log, without effects",
    "doctor": "check the installation, and say what to correct",
}
MODULES = {"import": "importing"}  # of commands whose name is a word of Python's
DEFAULT = "serve"
NOT_PRINTED = 1  # on a full disk
INTERRUPTED, NOT_READ = 130, 141  # 128 + SIGINT or SIGPIPE, as shells have it


class Command(Protocol):
    """The interface of a command's module."""

    __doc__: str | None

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, args: Namespace) -> int:
        """Run the command and return the exit status. Raises CommandError."""


def main(argv: Sequence[str]) -> int:
    """Run the command that the arguments name and return the exit status."""
    words = list(argv) or [DEFAULT]
    try:
        status = _run(words)
        print(end="", flush=True)  # the interpreter's own attempt would end with a traceback
        return status
    except BrokenPipeError:  # nobody reads the result; a command with steps prints them by `print_line`, which does not fail
        discard_output()
        return NOT_READ
    except OSError as error:
        if not _output_fails():
            raise
        discard_output()
        with contextlib.suppress(OSError):  # it may be on the same disk
            print(f"run.py {words[0]}: the result can't be printed: {error.strerror}", file=sys.stderr)
        return NOT_PRINTED


def _run(words: Sequence[str]) -> int:
    try:
        args = _parser(words[0]).parse_args(words)
    except SystemExit as ended:  # after the help, or the refusal of an argument
        return int(ended.code or 0)
    try:
        status: int = args.run(args)
        return status
    except CommandError as error:
        print(f"run.py {words[0]}: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser(chosen: str) -> ArgumentParser:
    """Return the parser, with the arguments of the chosen command."""
    parser = ArgumentParser(prog="run.py", description=f"Bellwire. Without a command: {DEFAULT}.")
    parser.add_argument("--version", action="version", version=f"Bellwire {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        declared = commands.add_parser(name, help=summary, formatter_class=RawDescriptionHelpFormatter)
        if name == chosen:
            command = cast("Command", import_module(f"commands.{MODULES.get(name, name).replace('-', '_')}"))
            declared.description = command.__doc__
            command.add_arguments(declared)
            declared.set_defaults(run=command.run)
    return parser


def _output_fails() -> bool:
    """Whether standard output does not accept a line end: an unbuffered one has dropped what it could not write."""
    try:
        print(flush=True)
    except OSError:
        return True
    return False
