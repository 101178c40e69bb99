"""Mentions: who is named in a message by `@username`, or by `@all`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import msgspec
import peewee

from models.store.database import Base, chunks, insert_rows, rows, values_cte

ALL = 0  # the user of a mention of all members
ALL_NAME = "all"
MAX_NAMES = 50  # different ones, the first in a message
MAX_PLACES = 500  # where names stand, which are looked at
MAX_NAME_CHARS = 32
MIN_NAME_CHARS = 2
MAX_PAIRS_PER_QUERY = 5_000  # as many as a full batch of messages has
COLUMNS = ("conversation", "user_id", "message")
LETTERS = "\u00c0-\u024f\u0300-\u036f"  # of Latin names, which usernames do not have: @josé does not name jos
# What stands before it makes the @ a part of an address or a path. The pattern begins with the @, which is searched for fast, and a
# name is read to its end, once.
NAME = re.compile(rf"@(?<![A-Za-z0-9_@/{LETTERS}]@)([A-Za-z0-9][A-Za-z0-9._-]*+)(?![@{LETTERS}])")


class Mention(Base):
    """A user, or ALL, who is mentioned in a message."""

    conversation = peewee.BigIntegerField()
    user = peewee.BigIntegerField(column_name="user_id")
    message = peewee.BigIntegerField()

    class Meta:
        table_name = "mentions"
        primary_key = peewee.CompositeKey("conversation", "user", "message")


Mention.add_index(Mention.index(Mention.message, name="mention_message"))


class Mentioned(NamedTuple):
    """The members whom a message mentions, in ascending order, and whether it mentions all."""

    users: list[int]
    everyone: bool

    @property
    def columns(self) -> tuple[str | None, bool | None]:
        """The columns `mentions` and `mentions_all` of the message's row."""
        return msgspec.json.encode(self.users).decode() if self.users else None, self.everyone or None

    def rows(self, conversation: int, message: int) -> Iterator[tuple[int, int, int]]:
        """Yield the rows of Mention, in the order of COLUMNS."""
        for user in [ALL, *self.users] if self.everyone else self.users:
            yield conversation, user, message


NOBODY = Mentioned([], everyone=False)


class Text(NamedTuple):
    """The body of a message, its sender, and the conversation that it is for."""

    conversation: int
    sender: int
    body: str


def names(body: str) -> list[str]:
    """Return the names that stand after an @, in lower case and in order, without those after the first MAX_NAMES or MAX_PLACES.

    Dots and dashes at the end are a sentence's.
    """
    found: dict[str, None] = {}
    for match in islice(NAME.finditer(body), MAX_PLACES):
        name = match[1].rstrip(".-").lower()
        if MIN_NAME_CHARS <= len(name) <= MAX_NAME_CHARS:
            found[name] = None
            if len(found) == MAX_NAMES:
                break
    return list(found)


def find(texts: Iterable[tuple[int, Text]]) -> dict[int, Mentioned]:
    """Find the mentions in many texts, each with a key of the caller's; returns those that have some, by their keys.

    Only active members are mentioned. `@all` mentions all when an owner of a group writes it, and nobody otherwise. No text has a
    name: no query is run.
    """
    named = {key: (text, found) for key, text in texts if "@" in text.body and (found := names(text.body))}
    if not named:
        return {}
    members = _members({(text.conversation, name) for text, found in named.values() for name in found if name != ALL_NAME})
    owners = _owners({(text.conversation, text.sender) for text, found in named.values() if ALL_NAME in found})
    mentions = {}
    for key, (text, found) in named.items():
        users = sorted(user for name in found if (user := members.get((text.conversation, name))) is not None)
        everyone = ALL_NAME in found and (text.conversation, text.sender) in owners
        if users or everyone:
            mentions[key] = Mentioned(users, everyone)
    return mentions


def find_in(conversation: int, sender: int, body: str) -> Mentioned:
    """Find the mentions in one text."""
    return find([(0, Text(conversation, sender, body))]).get(0, NOBODY)


def insert(values: Collection[tuple[int, int, int]]) -> None:
    """Insert rows of Mention, in the order of COLUMNS."""
    insert_rows(Mention, COLUMNS, list(values))


def replace(conversation: int, message: int, mentioned: Mentioned) -> None:
    """Replace the rows of one message."""
    Mention.delete().where(Mention.message == message).execute()
    insert(list(mentioned.rows(conversation, message)))


def _members(pairs: Collection[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """(conversation, username in lower case) -> user, of those who are active members now."""
    found: dict[tuple[int, str], int] = {}
    for part in chunks(pairs, MAX_PAIRS_PER_QUERY):
        # Raw: part of a send; the order of the joins makes each row of `input` seek the indexes.
        members = rows(
            values_cte("conversation, name", len(part)) + "SELECT input.conversation, input.name, u.id FROM input "
            "CROSS JOIN users u CROSS JOIN memberships m WHERE u.username_key=input.name AND u.status='active' "
            "AND m.conversation_id=input.conversation AND m.user_id=u.id AND m.to_event IS NULL",
            [value for pair in part for value in pair],
        )
        found.update({(conversation, name): user for conversation, name, user in members})
    return found


def _owners(pairs: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those of (conversation, user) who own a group."""
    found: set[tuple[int, int]] = set()
    for part in chunks(pairs, MAX_PAIRS_PER_QUERY):
        # Raw: as above.
        found.update(
            rows(
                values_cte("conversation, owner", len(part)) + "SELECT m.conversation_id, m.user_id FROM input "
                "CROSS JOIN memberships m WHERE m.conversation_id=input.conversation AND m.user_id=input.owner "
                "AND m.to_event IS NULL AND m.role='owner'",
                [value for pair in part for value in pair],
            )
        )
    return found
