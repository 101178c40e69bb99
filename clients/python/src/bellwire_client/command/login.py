"""Log in, and store the token for the other commands.

It prompts for the password. For an account without a password, or a bot, set BELLWIRE_TOKEN to its token."""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from getpass import getpass

from bellwire_client.client import Client
from bellwire_client.command import account
from bellwire_client.command.account import AccountError
from bellwire_client.command.names import plain
from bellwire_client.errors import UnauthorizedError

SUMMARY = "log in, and store the token for the other commands"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the address and the name."""
    parser.add_argument("url", metavar="URL", type=address, help="address of Bellwire, such as https://chat.example.org")
    parser.add_argument("--as", dest="login", metavar="NAME", help="username or e-mail address; there is a prompt without it")


def address(text: str) -> str:
    """Return a valid URL. Raises ArgumentTypeError for any other text."""
    if text.startswith(("http://", "https://")):
        return text
    raise ArgumentTypeError(f"{text!r} is not an address: it must begin with http:// or https://")


def run(args: Namespace) -> None:
    """Check the password or the token, and store the token."""
    # A person can try again: no patience.
    with Client(args.url, os.environ.get("BELLWIRE_TOKEN") or None, patience_s=0) as client:
        try:
            if client.token is None:
                client.login(args.login or _prompt_name(), getpass("Password: "))
            me = client.me()
        except UnauthorizedError as error:
            raise AccountError(f"{error.detail}: the token was not stored") from error
        except EOFError:
            raise AccountError("there is no terminal for the password: set BELLWIRE_TOKEN") from None
        assert client.token is not None
        path = account.save(client.url, client.token)
    print(f"Logged in as {plain(me.username)}. The token is in {path}.")


def _prompt_name() -> str:
    return input("Username or e-mail address: ")
