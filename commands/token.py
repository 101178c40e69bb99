"""Create an access token for an active user, for a bot or a script. Only the token is printed, and it can't be read again."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from commands import opening
from commands.errors import CommandError
from models.identity import token, user
from models.log import event

LABEL = "command line"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the user."""
    parser.add_argument("username", metavar="USERNAME", help="or the e-mail address")


def run(args: Namespace) -> int:
    """Create the token, in the transaction that checks the account's status."""
    with opening.store(opening.settings()):
        opening.require_current_schema()
        with event.transaction() as tx:
            found = user.find_login(args.username)
            if found is None:
                raise CommandError(f"there is no user {args.username!r}")
            account, status, _ = found
            if status != "active":
                raise CommandError(f"the account of {args.username!r} is {status}, not active")
            secret = token.create(tx, account, LABEL)
    print(secret)
    return 0
