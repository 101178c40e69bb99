"""The messages that a search is for, besides their words: senders, conversations and a range of ids."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, tzinfo
from typing import Any, NamedTuple

from models.chat import conversation_search
from models.chat.search_query import Query
from models.identity import time_zone
from models.identity.contacts import Bound
from models.identity.user import ids_named
from models.store.database import ID_MAX, engine, rows
from models.store.errors import InvalidError

MAX_SENDERS = 10_000  # that the names may mean: read in 20 ms
MYSELF = "me"


class SearchFilter(NamedTuple):
    """The sender of the messages to find, and their conversation; None: any. `caller`: from whom some users are hidden."""

    sender: int | None = None
    conversation: int | None = None
    caller: Bound | None = None


ANY = SearchFilter()


class Scope(NamedTuple):
    """Senders and conversations, None for any, ids with start <= id < end, and times in ms with since <= time < until."""

    senders: set[int] | None
    conversations: set[int] | None
    start: int
    end: int
    since_ms: int = 0
    until_ms: int = ID_MAX

    def is_dated(self) -> bool:
        """Return whether not all times are within it."""
        return self.since_ms > 0 or self.until_ms < ID_MAX

    def is_empty(self) -> bool:
        """Return whether no message can be within it."""
        return self.senders == set() or self.conversations == set() or self.start >= self.end


def resolve(user: int, query: Query, before: int | None, chosen: SearchFilter) -> Scope:
    """The scope of a query's filters, those of `chosen`, and messages before an id. Days are those of the user's time zone.

    Raises InvalidError when the senders' names mean more than MAX_SENDERS people: some of them would be missed.
    """
    senders = None if chosen.sender is None else {chosen.sender}
    if query.senders:
        named = {found for name in query.senders for found in _senders(user, name, chosen.caller)}
        if len(named) > MAX_SENDERS:
            raise InvalidError(("q", f"must name at most {MAX_SENDERS:,} people after from: write more of their names"))
        senders = _both(senders, named)
    conversations = None if chosen.conversation is None else {chosen.conversation}
    if query.conversations:
        conversations = _both(conversations, conversation_search.find(user, query.conversations))
    scope = Scope(senders, conversations, 0, ID_MAX if before is None else before)
    return _dated(scope, user, query) if query.since or query.until else scope


def _dated(scope: Scope, user: int, query: Query) -> Scope:
    """Restrict a scope to days: to a range of ids, or where messages were imported, whose ids are not in the order of time, to the
    times themselves."""
    zone = _zone(user)
    since, until = (None if day is None else _start_ms(day, zone) for day in (query.since, query.until))
    if rows("SELECT 1 FROM import_keys LIMIT 1"):  # raw: its model is in a package above
        return scope._replace(since_ms=since or 0, until_ms=ID_MAX if until is None else until)
    start = scope.start if since is None else _first_message(since)
    return scope._replace(start=start, end=scope.end if until is None else min(scope.end, _first_message(until)))


def condition(column: str, ids: set[int] | None) -> tuple[str, list[Any]]:
    """Return the condition that a column has one of the ids, and its parameters. On SQLite the plus keeps it off indexes."""
    if ids is None:
        return "", []
    if engine().name == "sqlite":
        return f" AND +{column} IN (SELECT value FROM json_each(?))", [str(sorted(ids))]
    return f" AND {column}=ANY(?)", [sorted(ids)]


def _both(one: set[int] | None, other: set[int]) -> set[int]:
    return other if one is None else one & other


def _senders(user: int, name: str, caller: Bound | None) -> Sequence[int]:
    return [user] if name.lower() == MYSELF else ids_named(name, MAX_SENDERS + 1, caller)


def _zone(user: int) -> tzinfo:
    ((name,),) = rows("SELECT timezone FROM profiles WHERE user_id=?", (user,))  # raw: one value
    return time_zone.zone(name)


def _start_ms(day: date, zone: tzinfo) -> int:
    return int(datetime.combine(day, time(), zone).timestamp() * 1000)


def _first_message(at_ms: int) -> int:
    """The first message of a time or later, or the id after the newest: by bisection, since ids are in the order of time."""
    first, end = 1, rows("SELECT coalesce(max(id), 0) FROM messages")[0][0] + 1
    while first < end:
        # Raw: reads one row by its key.
        middle = (first + end) // 2
        ((id_, created_ms),) = rows("SELECT id, created_ms FROM messages WHERE id>=? ORDER BY id LIMIT 1", (middle,))
        first, end = (first, middle) if created_ms >= at_ms else (id_ + 1, end)
    return int(first)
