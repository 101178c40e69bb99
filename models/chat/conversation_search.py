"""Finding the conversations of a user by their titles, and those without a title by the names of their other members.

Names are compared here and not by the store: an index of names would be read once for each conversation.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from models.chat.conversation import MAX_MEMBERS_IN_VIEW
from models.identity.user import search_words
from models.store.database import rows
from models.store.text_rules import CJK, fold

MAX_TITLES = 5_000  # of one user, the newest: folded in 5 ms, or in 100 ms if all are long and not ASCII
MAX_NAMES = 5_000  # of members of conversations without a title


def find(user: int, texts: Sequence[str]) -> set[int]:
    """The user's conversations in whose title, or in the names of whose other members, each word of one of the texts begins a word.

    Titles and names are read and folded once for all texts.
    """
    queries = [[_beginning(word) for word in words] for text in texts if (words := search_words(text))]
    if not queries:
        return set()
    names: defaultdict[int, list[str]] = defaultdict(list)
    for conversation, title in _titles(user):
        names[conversation].append(title)
    for conversation, username, display_name in _names(user):
        names[conversation] += username, display_name
    return {conversation for conversation, found in names.items() if _match(queries, fold("\n".join(found)))}


def _beginning(word: str) -> re.Pattern[str]:
    """The pattern of a word's beginning. The letters come before the condition, since `re` is quick at finding letters."""
    letters = re.escape(word)
    is_within_words = re.match(f"[{CJK}]", word)
    return re.compile(letters if is_within_words else f"{letters}(?<![^\\W_{CJK}]{letters})")


def _match(queries: Sequence[Sequence[re.Pattern[str]]], names: str) -> bool:
    return any(all(word.search(names) for word in words) for words in queries)


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
