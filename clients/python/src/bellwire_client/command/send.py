"""Send one message. When the command ends, the message is on the server's disk. A failed send is repeated for a minute.

TO is @username, a user's id, or a conversation such as '#12' (quoted, because # starts a comment in a shell)."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from bellwire_client.client import Client
from bellwire_client.command import account
from bellwire_client.errors import BellwireError

SUMMARY = "send a message"
STDIN = "-"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the recipient, the text and the options."""
    parser.add_argument("to", metavar="TO", type=recipient, help="@username, a user's id, or '#' and a conversation's id")
    parser.add_argument("text", metavar="TEXT", nargs="?", default="", help="the message; - reads it from standard input")
    parser.add_argument(
        "--file", metavar="PATH", type=readable_file, action="append", default=[], help="send this file, too; up to 10"
    )
    parser.add_argument("--priority", choices=("normal", "important", "urgent"), default="normal")
    parser.add_argument("--client-id", metavar="ID", help="repeated sends with the same ID make one message")


def recipient(text: str) -> str:
    """Return a valid TO. Raises ArgumentTypeError for any other text."""
    mark, rest = text[:1], text[1:]
    if (mark == "@" and rest) or (mark == "#" and rest.isdecimal()) or text.isdecimal():
        return text
    raise ArgumentTypeError(f"{text!r} is neither @username, a user's id, nor a conversation such as '#12'")


def readable_file(text: str) -> str:
    """Return a path of a file. Raises ArgumentTypeError for any other text."""
    if not os.access(text, os.R_OK) or os.path.isdir(text):
        raise ArgumentTypeError(f"{text!r} is not a file that can be read")
    return text


def run(args: Namespace) -> None:
    """Send the message, and print its id and the conversation's."""
    text = sys.stdin.read().rstrip("\n") if args.text == STDIN else args.text
    with account.connect() as client:
        target = {"conversation": int(args.to[1:])} if args.to[0] == "#" else {"to": _user_id(client, args.to)}
        files = [client.upload(path) for path in args.file]
        sent = client.send(text, **target, priority=args.priority, client_id=args.client_id, files=files)
    print(f"{sent.id} in #{sent.conversation}")


def _user_id(client: Client, to: str) -> int:
    if to[0] != "@":
        return int(to)
    name = to[1:].lower()
    user_id = next((user.id for user in client.users(name) if user.username.lower() == name), None)
    if user_id is None:
        raise BellwireError(f"there is no active user {to}")
    return user_id
