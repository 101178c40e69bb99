"""Finding the conversations of a user by their titles, and those without a title by the names of their other members.

Names are compared here and not by the store: an index of names would be read once for each conversation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from models.chat.conversation import MAX_MEMBERS_IN_VIEW, MAX_TITLE_CHARS
from models.identity.user import name_parts, search_names, search_words
from models.store.database import rows

MAX_TITLES = 5_000  # of one user, the newest: compared in 50 ms
MAX_NAMES = 5_000  # of members of conversations without a title


def find(user: int, text: str) -> set[int]:
    """The user's conversations in whose title, or in the names of whose other members, each word of a text begins a word."""
    words = search_words(text)
    if not words:
        return set()
    found = {conversation for conversation, title in _titles(user) if _match(words, name_parts(title, MAX_TITLE_CHARS))}
    names: defaultdict[int, set[str]] = defaultdict(set)
    for conversation, username, display_name in _names(user):
        names[conversation] |= search_names(username, display_name)
    return found | {conversation for conversation, parts in names.items() if _match(words, parts)}


def _match(words: Sequence[str], parts: Iterable[str]) -> bool:
    return all(any(part.startswith(word) for part in parts) for word in words)


def _titles(user: int) -> list[tuple[int, str]]:
    # Raw: each membership reads a row.
    return rows(
        "SELECT m.conversation_id, c.title FROM memberships m CROSS JOIN conversations c WHERE m.user_id=? AND m.to_event IS NULL "
        "AND c.id=m.conversation_id AND c.title IS NOT NULL ORDER BY m.conversation_id DESC LIMIT ?",
        (user, MAX_TITLES),
    )


def _names(user: int) -> list[tuple[int, str, str]]:
    """(conversation, username, display name) of the other members of small conversations without a title."""
    # Raw: the order of the joins begins with the user's memberships.
    return rows(
        "SELECT m.conversation_id, u.username, u.display_name FROM memberships m CROSS JOIN conversations c "
        "CROSS JOIN memberships o CROSS JOIN users u WHERE m.user_id=? AND m.to_event IS NULL AND c.id=m.conversation_id "
        "AND c.title IS NULL AND c.members_count<=? AND o.conversation_id=c.id AND o.to_event IS NULL AND o.user_id<>m.user_id "
        "AND u.id=o.user_id ORDER BY m.conversation_id DESC LIMIT ?",
        (user, MAX_MEMBERS_IN_VIEW, MAX_NAMES),
    )
