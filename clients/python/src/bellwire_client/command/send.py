"""Send one message. It is on the server's disk when the command is done; while the server is away, it is tried for a minute.

TO is @username, a user's id, or a conversation such as '#12' (quoted, as # begins a comment in a shell)."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from bellwire_client.client import Client
from bellwire_client.command import account
from bellwire_client.errors import BellwireError

SUMMARY = "send a message"
STDIN = "-"


def add_arguments(parser: ArgumentParser) -> None:
    """To whom, and what."""
    parser.add_argument("to", metavar="TO", type=receiver, help="@username, a user's id, or '#' and a conversation's id")
    parser.add_argument("text", metavar="TEXT", help="the message; - takes it from standard input")
    parser.add_argument("--priority", choices=("normal", "important", "urgent"), default="normal")
    parser.add_argument("--client-id", metavar="ID", help="sent again with the same ID, it is still one message")


def receiver(text: str) -> str:
    """TO, when it is one."""
    mark, rest = text[:1], text[1:]
    if (mark == "@" and rest) or (mark == "#" and rest.isdecimal()) or text.isdecimal():
        return text
    raise ArgumentTypeError(f"{text!r} is neither @username, a user's id, nor a conversation such as '#12'")


def run(args: Namespace) -> None:
    """Sends it, and prints the ids of message and conversation."""
    text = sys.stdin.read().rstrip("\n") if args.text == STDIN else args.text
    with account.connect() as client:
        place = {"conversation": int(args.to[1:])} if args.to[0] == "#" else {"to": _user(client, args.to)}
        sent = client.send(text, **place, priority=args.priority, client_id=args.client_id)
    print(f"{sent.id} in #{sent.conversation}")


def _user(client: Client, to: str) -> int:
    if to[0] != "@":
        return int(to)
    name = to[1:].lower()
    found = next((user.id for user in client.users(name) if user.username.lower() == name), None)
    if found is None:
        raise BellwireError(f"there is no active user {to}")
    return found
