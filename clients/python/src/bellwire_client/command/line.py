"""The command line: subcommands, exit statuses and error messages."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence

from bellwire_client import __version__
from bellwire_client.command import conversations, login, send, tail
from bellwire_client.command.account import AccountError
from bellwire_client.errors import BellwireError, ProblemError, UnauthorizedError, UnreachableError

COMMANDS = {"login": login, "send": send, "tail": tail, "conversations": conversations}
REFUSED, NOT_LOGGED_IN, UNREACHABLE, INTERRUPTED = 1, 3, 4, 130  # 2 is argparse's
EPILOG = """exit status:
  0  done
  1  the server refused
  2  the arguments are wrong
  3  not logged in, or the token is no longer valid: bellwire login URL
  4  the server does not answer: try again

BELLWIRE_URL and BELLWIRE_TOKEN take precedence over the account that `bellwire login` has stored."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the subcommand and return the exit status."""
    parser = ArgumentParser(
        prog="bellwire", description="Messages from the command line.", epilog=EPILOG, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"bellwire-client {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(
            name, help=command.SUMMARY, description=command.__doc__, formatter_class=RawDescriptionHelpFormatter
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    args = parser.parse_args(argv)
    status, message = _run(args)
    if message:
        print(f"bellwire: {message}", file=sys.stderr)
    return status


def _run(args: Namespace) -> tuple[int, str]:
    """Return the exit status, and a message for the user or an empty one."""
    try:
        args.run(args)
        sys.stdout.flush()
    except AccountError as error:
        return NOT_LOGGED_IN, str(error)
    except UnauthorizedError as error:
        return NOT_LOGGED_IN, f"{error.detail}: log in with `bellwire login URL`"
    except UnreachableError as error:
        return UNREACHABLE, f"{error}; try again when it is back"
    except ProblemError as error:
        return REFUSED, "; ".join(f"{field}: {message}" for field, message in error.errors) or error.detail
    except BellwireError as error:
        return REFUSED, str(error)
    except KeyboardInterrupt:
        return INTERRUPTED, ""
    except BrokenPipeError:  # the reader has closed the pipe; Python would report it once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0, ""
