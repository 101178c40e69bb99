"""Print messages as they arrive, until Ctrl-C. While the server cannot be reached, it waits and then continues.

With --json every event is one line; pass its id to --since to continue after it."""

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

SUMMARY = "print messages as they arrive"
MESSAGES = ("message.created",)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="print every event as a line of JSON")
    parser.add_argument(
        "--since", metavar="CURSOR", help="an event's id, or `begin` for all events that are kept; without it, only new events"
    )


def run(args: Namespace) -> None:
    """Print events until Ctrl-C."""
    with suppress(KeyboardInterrupt), account.connect(math.inf) as client:
        _follow(client, args)


def _follow(client: Client, args: Namespace) -> None:
    names, cursor = Names(client), args.since
    for event in (events := client.events(cursor, types=() if args.json else MESSAGES)):
        if isinstance(event, Event):
            print(json_line(event) if args.json else message_line(event, names), flush=True)
        elif cursor is not None:
            print("bellwire: the cursor had expired: events were missed; continuing with new ones", file=sys.stderr, flush=True)
        cursor = events.cursor


def json_line(event: Event) -> str:
    """Return EVENT as the server sent it."""
    at = event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"id": event.id, "type": event.type, "at": at, "data": event.data}, ensure_ascii=False)


def message_line(event: Event, names: Names) -> str:
    """Return a message with its local time, conversation and sender."""
    message = event.message
    at = message.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    body = "\n    ".join(plain(line) for line in message.body.splitlines())  # indented, so that no line looks like another message
    return f"{at} #{message.conversation} {names.name_of(message.sender)}: {body}"
