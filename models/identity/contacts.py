"""Contacts: the rules of who may reach whom. One pure function decides, and the facts that it needs are read here.

Two users share when both are in one conversation, or in one group of the community, now. A direct conversation can't be left, so
its two users share for good. The functions that take a `Bound` do nothing for None: a caller from whom nobody is hidden.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from models.store.database import chunks, placeholders, rows
from models.store.errors import ForbiddenError, NotFoundError

MODES = EVERYONE, SHARED, CLOSED = (
    "everyone",
    "shared",
    "closed",
)  # the setting; CLOSED: as SHARED, and only admins make conversations
SEE = "see"  # to look somebody up, and to be shown what they wrote in public
MEET = "meet"  # to have a new conversation with somebody: by a first message, by making one, or by adding them
ALLOWED, HIDDEN, FORBIDDEN = "allowed", "hidden", "forbidden"
MAX_IDS_PER_QUERY = 500
MAX_PLACES_PER_QUERY = 100
# A caller's memberships, and those of others. The order of the joins begins with the caller's, whether or not the others exist.
_SHARING = (
    "SELECT o.user_id FROM {table} m CROSS JOIN {table} o WHERE m.user_id=? AND m.to_event IS NULL "
    "AND o.{place}=m.{place} AND o.to_event IS NULL AND o.user_id IN ({others})"
)
_PLACES = (("memberships", "conversation_id"), ("group_members", "group_id"))


def decide(contacts: str, act: str, *, is_admin: bool, shares: bool) -> str:
    """Decide about an act of a caller towards another user, by the setting: ALLOWED; HIDDEN, as if there were no such user; or
    FORBIDDEN, though the caller may see them. Everybody shares with themselves."""
    if is_admin or contacts == EVERYONE:
        return ALLOWED
    if not shares:
        return HIDDEN
    return FORBIDDEN if contacts == CLOSED and act == MEET else ALLOWED


class Bound(NamedTuple):
    """A caller whom the setting binds."""

    user: int
    contacts: str


def bound(contacts: str, user: int, *, is_admin: bool) -> Bound | None:
    """Return the caller if they are bound: if they may not meet everybody."""
    is_free = decide(contacts, MEET, is_admin=is_admin, shares=False) == ALLOWED
    return None if is_free else Bound(user, contacts)


def require(caller: Bound | None, act: str, others: Collection[int]) -> None:
    """Raise NotFoundError if one of these users is hidden from the caller or does not exist, and ForbiddenError if the caller may
    see all of them, and may not do this. Runs the same statement for users who are hidden and for ids that nobody has."""
    if caller is None:
        return
    shared = shared_among(caller.user, others)
    decided = {decide(caller.contacts, act, is_admin=False, shares=other in shared) for other in others}
    if HIDDEN in decided:
        raise NotFoundError("no such user")
    if FORBIDDEN in decided:
        raise ForbiddenError("conversations are made by admins")


def seen_among(caller: Bound | None, others: Collection[int]) -> set[int]:
    """Return those of the users whom the caller may see."""
    if caller is None:
        return set(others)
    shared = shared_among(caller.user, others)
    return {other for other in others if decide(caller.contacts, SEE, is_admin=False, shares=other in shared) == ALLOWED}


def shared_among(user: int, others: Collection[int]) -> set[int]:
    """Return those of the users, of any status, who share with a user."""
    found = {user}.intersection(others)
    for part in chunks(sorted(others), MAX_IDS_PER_QUERY):
        # Raw: the order of the joins, and part of the first message of a pair.
        sql = " UNION ".join(_SHARING.format(table=table, place=place, others=placeholders(len(part))) for table, place in _PLACES)
        found |= {other for (other,) in rows(sql, (user, *part, user, *part))}
    return found


def seen(column: str, caller: Bound | None) -> tuple[str, list[int]]:
    """Return the condition that the caller may see the user of a column, to be added to others, and its parameters.

    Each user costs their own memberships: those of the caller are read once. The plus keeps them off the index.
    """
    if caller is None:
        return "", []
    shares = [
        f"EXISTS (SELECT 1 FROM {table} o WHERE o.user_id={column} AND o.to_event IS NULL AND +o.{place} IN "
        f"(SELECT m.{place} FROM {table} m WHERE m.user_id=? AND m.to_event IS NULL))"
        for table, place in _PLACES
    ]
    return f" AND ({column}=? OR {' OR '.join(shares)})", [caller.user] * 3


def page(caller: Bound, after: int, limit: int) -> list[int]:
    """Return the first active users with a larger id whom the caller may see: a limited slice of each conversation and group of
    theirs, merged."""
    found = set(_active([caller.user], after))
    for table, place in _PLACES:
        sql = f"SELECT {place} FROM {table} WHERE user_id=? AND to_event IS NULL"
        places = [number for (number,) in rows(sql, (caller.user,))]
        for part in chunks(places, MAX_PLACES_PER_QUERY):
            found.update(_slices(table, place, part, after, limit))
    return sorted(found)[:limit]


def _slices(table: str, place: str, places: Sequence[int], after: int, limit: int) -> Iterable[int]:
    # Raw: a limited slice of an index for each, which the planner must not join.
    one = (
        f"SELECT * FROM (SELECT o.user_id FROM {table} o CROSS JOIN users u WHERE o.{place}=? AND o.user_id>? "
        "AND o.to_event IS NULL AND u.id=o.user_id AND u.status='active' ORDER BY o.user_id LIMIT ?) AS slice"
    )
    params = [value for number in places for value in (number, after, limit)]
    return [user for (user,) in rows(" UNION ".join([one] * len(places)), params)]


def _active(users: Sequence[int], after: int) -> list[int]:
    sql = f"SELECT id FROM users WHERE id IN ({placeholders(len(users))}) AND id>? AND status='active'"
    return [user for (user,) in rows(sql, (*users, after))]
