"""Names of users and conversations, safe to print in a terminal."""

from __future__ import annotations

from bellwire_client.client import Client
from bellwire_client.errors import ProblemError
from bellwire_client.shapes import Conversation

ZERO_WIDTH_JOINER = "\u200d"  # joins emoji; harmless in a terminal


def plain(text: str) -> str:
    """Replace characters that a terminal would interpret, such as escape sequences in texts of other users."""
    return "".join(letter if letter.isprintable() or letter in ("\t", ZERO_WIDTH_JOINER) else "\ufffd" for letter in text)


def title(conversation: Conversation, me: int) -> str:
    """Return a conversation's title, or the names of its other members."""
    others = [member.user.display_name for member in conversation.members if member.user.id != me]
    return plain(conversation.title or ", ".join(others))


class Names:
    """Display names by user id. Each is requested once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._names: dict[int, str] = {}

    def name_of(self, user: int) -> str:
        """Return a user's name, or `user ID` for one who is no longer active."""
        if user not in self._names:
            try:
                self._names[user] = plain(self._client.user(user).display_name)
            except ProblemError as error:
                if error.status != 404:
                    raise
                self._names[user] = f"user {user}"
        return self._names[user]
