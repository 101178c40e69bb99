"""List the conversations, newest activity first: id, unread messages, title or members."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from bellwire_client.command import account
from bellwire_client.command.names import title

SUMMARY = "list the conversations"
PATIENCE_S = 5.0  # a person is waiting


def add_arguments(parser: ArgumentParser) -> None:
    """Add no arguments."""


def run(args: Namespace) -> None:
    """Print one line for each conversation."""
    with account.connect(PATIENCE_S) as client:
        me = client.me().id
        for conversation in client.conversations():
            unread = f"{conversation.unread} unread" if conversation.unread else ""
            print(f"#{conversation.id:<6} {unread:<11} {title(conversation, me)}")
