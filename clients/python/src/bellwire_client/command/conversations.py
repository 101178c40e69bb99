"""List the conversations, newest activity first: id, unread messages, title or members."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from bellwire_client.command import account
from bellwire_client.command.names import title

SUMMARY = "list the conversations"
PATIENCE_S = 5.0  # somebody waits


def add_arguments(parser: ArgumentParser) -> None:
    """There are none."""


def run(args: Namespace) -> None:
    """One a line."""
    with account.connect(PATIENCE_S) as client:
        me = client.me().id
        for conversation in client.conversations():
            unread = f"{conversation.unread} unread" if conversation.unread else ""
            print(f"#{conversation.id:<6} {unread:<11} {title(conversation, me)}")
