"""Create an active admin, and print its id and an access token, which is the last word of the output.

Without a password the admin logs in with a code by e-mail, or uses the token. Where there is no database, one is created with
--new, or when a question about it is answered with yes.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from getpass import getpass

from commands import opening
from commands.errors import CommandError, NoStoreError
from conf import Settings
from models import schema
from models.accounts import registration
from models.identity import password, token
from models.log import event
from models.store.errors import InvalidError

LABEL = "made with the admin"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare name, address and the source of the password."""
    parser.add_argument("--username", required=True)
    parser.add_argument("--email", required=True)
    parser.add_argument("--password-stdin", action="store_true", help="read a password from standard input, one line")
    parser.add_argument("--new", action="store_true", help="create the database if there is none")


def run(args: Namespace) -> int:
    """Create the account and its token in one transaction."""
    settings = opening.settings()
    hashed = _hashed(_password()) if args.password_stdin else None
    new = registration.NewUser(args.username, args.email, role="admin")
    with opening.store(settings, create=args.new or _confirms_new(settings)):
        if schema.pending():
            schema.migrate()
        try:
            with event.transaction() as tx:
                (made,) = registration.create_active(tx, [new], [hashed])
                secret = token.create(tx, made.id, LABEL)
        except InvalidError as error:
            wrong = "; ".join(f"{field.rpartition('.')[2]} {message}" for field, message in error.errors)
            raise CommandError(wrong) from None
    print(f"id {made.id}\ntoken {secret}")
    return 0


def _confirms_new(settings: Settings) -> bool:
    """Return whether to create the database: there is none, and a person at the terminal agrees. Raises NoStoreError otherwise."""
    try:
        with opening.store(settings):
            return False
    except NoStoreError as error:
        if not sys.stdin.isatty():
            raise NoStoreError(f"{error}, or with --new") from None
        print(error)
        if input("create a new one here now? [y/N] ").strip().lower() not in ("y", "yes"):
            raise
        return True


def _password() -> str:
    if sys.stdin.isatty():
        return getpass("password: ")
    return sys.stdin.readline().rstrip("\r\n")


def _hashed(chosen: str) -> str:
    """Return the hash of a password. Raises CommandError when it is not allowed."""
    wrong = password.invalid(chosen)
    if wrong:
        raise CommandError(f"the password: {wrong[0][1]}")
    return password.hashed(chosen)
