"""Facts about many people and conversations at once, by a fixed few queries: what drains decide from."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from models.store.database import chunks, placeholders, rows

IDS_A_QUERY = 500


class Interval(NamedTuple):
    """A membership: events with from_event <= id < to_event are this user's to see. `read`: the newest message read, or 0."""

    user: int
    active: bool
    from_event: int
    to_event: int | None
    read: int


def membership_intervals(conversations: Collection[int], closed_after: int) -> dict[int, list[Interval]]:
    """The memberships of conversations that reach to an event id or past it."""
    found: dict[int, list[Interval]] = {}
    for part in chunks(sorted(conversations), IDS_A_QUERY):
        for conversation, user, status, opened, closed, read in rows(
            "SELECT m.conversation_id, m.user_id, u.status, m.from_event, m.to_event, m.read_message "
            f"FROM memberships m JOIN users u ON u.id=m.user_id WHERE m.conversation_id IN ({placeholders(len(part))}) "
            "AND (m.to_event IS NULL OR m.to_event>?) ORDER BY m.conversation_id, m.id",
            (*part, closed_after),
        ):
            found.setdefault(conversation, []).append(Interval(user, status == "active", opened, closed, read or 0))
    return found


class Person(NamedTuple):
    """Who may hear of something."""

    name: str
    active: bool
    timezone: str


def people(users: Collection[int]) -> dict[int, Person]:
    """Those of these users that are there."""
    found: dict[int, Person] = {}
    for part in chunks(sorted(users), IDS_A_QUERY):
        for user, name, status, timezone in rows(
            "SELECT u.id, u.display_name, u.status, p.timezone FROM users u JOIN profiles p ON p.user_id=u.id "
            f"WHERE u.id IN ({placeholders(len(part))})",
            part,
        ):
            found[user] = Person(name, status == "active", timezone)
    return found


def titles(conversations: Collection[int]) -> dict[int, tuple[str, str | None]]:
    """Conversation -> its kind and title."""
    return {i: (kind, title) for i, kind, title in _by_id("id, kind, title", "conversations", conversations)}


def authors(table: str, ids: Collection[int]) -> dict[int, int]:
    """Post or comment -> its author, of the table's that are not deleted."""
    return {i: author for i, author, deleted in _by_id("id, author_id, deleted_ms", table, ids) if deleted is None}


def display_names(users: Collection[int]) -> dict[int, str]:
    """User -> display name."""
    return dict(_by_id("id, display_name", "users", users))


def sites(users: Collection[int]) -> dict[int, str | None]:
    """User -> the site the account belongs to, if any."""
    return dict(_by_id("id, site", "users", users))


def _by_id(columns: str, table: str, ids: Collection[int]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for part in chunks(sorted(ids), IDS_A_QUERY):
        found += rows(f"SELECT {columns} FROM {table} WHERE id IN ({placeholders(len(part))})", part)
    return found
