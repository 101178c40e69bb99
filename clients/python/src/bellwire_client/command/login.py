"""Log in, and keep the token for the other commands.

Asks for the password, or takes the token of BELLWIRE_TOKEN: for an account without a password, or a bot."""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from getpass import getpass

from bellwire_client.client import Client
from bellwire_client.command import account
from bellwire_client.command.account import AccountError
from bellwire_client.command.names import plain
from bellwire_client.errors import UnauthorizedError

SUMMARY = "log in, and keep the token for the other commands"


def add_arguments(parser: ArgumentParser) -> None:
    """Where, and as whom."""
    parser.add_argument("url", metavar="URL", type=address, help="where Bellwire is, such as https://chat.example.org")
    parser.add_argument("--as", dest="login", metavar="NAME", help="username or e-mail address; asked for when it is not given")


def address(text: str) -> str:
    """URL, when it is one."""
    if text.startswith(("http://", "https://")):
        return text
    raise ArgumentTypeError(f"{text!r} is no address: it begins with http:// or https://")


def run(args: Namespace) -> None:
    """Checks who it is, and keeps the token."""
    # Whoever sits there tries again by themselves: no patience.
    with Client(args.url, os.environ.get("BELLWIRE_TOKEN") or None, patience_s=0) as client:
        try:
            if client.token is None:
                client.login(args.login or _typed(), getpass("Password: "))
            me = client.me()
        except UnauthorizedError as error:
            raise AccountError(f"{error.detail}: nothing was kept") from error
        except EOFError:
            raise AccountError("nobody is there to type a password: set BELLWIRE_TOKEN") from None
        assert client.token is not None
        kept = account.keep(client.url, client.token)
    print(f"Logged in as {plain(me.username)}. The token is in {kept}.")


def _typed() -> str:
    return input("Username or e-mail address: ")
