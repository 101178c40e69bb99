"""What people and conversations are called, fit for a terminal."""

from __future__ import annotations

from bellwire_client.client import Client
from bellwire_client.errors import ProblemError
from bellwire_client.shapes import Conversation

JOINER = "\u200d"  # of emoji; the one invisible character that does no harm


def plain(text: str) -> str:
    """One line without what a terminal would obey: escape sequences in what others wrote are shown, not done."""
    return "".join(letter if letter.isprintable() or letter in ("\t", JOINER) else "\ufffd" for letter in text)


def title(conversation: Conversation, me: int) -> str:
    """Its title, or the others in it."""
    others = [member.user.display_name for member in conversation.members if member.user.id != me]
    return plain(conversation.title or ", ".join(others))


class Names:
    """Display names by user id, asked for once each."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[int, str] = {}

    def of(self, user: int) -> str:
        """A user's name, or the id of one who is no longer active."""
        if user not in self._known:
            try:
                self._known[user] = plain(self._client.user(user).display_name)
            except ProblemError as error:
                if error.status != 404:
                    raise
                self._known[user] = f"user {user}"
        return self._known[user]
