"""Which words the command knows, what it exits with, and how it says what went wrong."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence

from bellwire_client.command import conversations, login, send, tail
from bellwire_client.command.account import AccountError
from bellwire_client.errors import BellwireError, ProblemError, UnauthorizedError, UnreachableError

WORDS = {"login": login, "send": send, "tail": tail, "conversations": conversations}
REFUSED, NOT_LOGGED_IN, UNREACHABLE, INTERRUPTED = 1, 3, 4, 130  # 2 is argparse's
EPILOG = """exit status:
  0  done
  1  the server refused
  2  the command was called in a wrong way
  3  not logged in, or the token is dead: bellwire login URL
  4  the server does not answer: try again

BELLWIRE_URL and BELLWIRE_TOKEN count before what `bellwire login` keeps."""


def main(argv: Sequence[str] | None = None) -> int:
    """Does what the arguments say and returns the exit status."""
    parser = ArgumentParser(
        prog="bellwire", description="Messages from the command line.", epilog=EPILOG, formatter_class=RawDescriptionHelpFormatter
    )
    words = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, word in WORDS.items():
        declared = words.add_parser(name, help=word.SUMMARY, description=word.__doc__, formatter_class=RawDescriptionHelpFormatter)
        word.add_arguments(declared)
        declared.set_defaults(run=word.run)
    args = parser.parse_args(argv)
    status, told = _run(args)
    if told:
        print(f"bellwire: {told}", file=sys.stderr)
    return status


def _run(args: Namespace) -> tuple[int, str]:
    """The exit status, and what to tell."""
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
    except BrokenPipeError:  # whoever read has enough; Python would complain of it once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0, ""
