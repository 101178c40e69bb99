"""Print messages as they come, until Ctrl-C. While the server is away it waits, and goes on where it was.

With --json every event is a line of its own; its id may be given to --since later, to go on after it."""

from __future__ import annotations

import json
import math
import sys
from argparse import ArgumentParser, Namespace
from contextlib import suppress

from bellwire_client.client import Client
from bellwire_client.command import account
from bellwire_client.command.names import Names, plain
from bellwire_client.shapes import Event

SUMMARY = "print messages as they come"
MESSAGES = ("message.created",)


def add_arguments(parser: ArgumentParser) -> None:
    """From where, and how."""
    parser.add_argument("--json", action="store_true", help="print every event as a line of JSON")
    parser.add_argument("--since", metavar="CURSOR", help="an event's id, or `begin` for all that is kept; without it, from now")


def run(args: Namespace) -> None:
    """Until Ctrl-C, which is how it is meant to end."""
    with suppress(KeyboardInterrupt), account.connect(math.inf) as client:
        _follow(client, args)


def _follow(client: Client, args: Namespace) -> None:
    names, cursor = Names(client), args.since
    for event in (events := client.events(cursor, types=() if args.json else MESSAGES)):
        if isinstance(event, Event):
            print(encoded(event) if args.json else shown(event, names), flush=True)
        elif cursor is not None:
            print("bellwire: the cursor had expired, so events were missed; going on from now", file=sys.stderr, flush=True)
        cursor = events.cursor


def encoded(event: Event) -> str:
    """EVENT, as the server tells it."""
    at = event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"id": event.id, "type": event.type, "at": at, "data": event.data}, ensure_ascii=False)


def shown(event: Event, names: Names) -> str:
    """A message for people, in their time."""
    message = event.message
    at = message.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    body = "\n    ".join(plain(line) for line in message.body.splitlines())  # set back, so that no line passes for a message
    return f"{at} #{message.conversation} {names.of(message.sender)}: {body}"
