"""Catching up from an older cursor: a limited slice of each of the user's streams, merged, in one snapshot.

The queries are raw SQL: a reconnecting client waits for them, and each is pinned to the index of its stream.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from models.chat import conversation as conversations
from models.community import group as groups
from models.log import event
from models.log.event import POSTS, Event, conversation_stream, group_stream, user_stream
from models.store import facts
from models.store.database import placeholders, rows, snapshot

BEGINNING = -1  # the position of a client that requests all kept events


class Slice(NamedTuple):
    """A user's events after a position, up to a limit. `expired`: the position is below the low-water mark or past the head."""

    events: list[Event]
    position: int
    more: bool
    expired: bool


class Intervals(NamedTuple):
    """The streams of a user, as intervals (stream, first event id, id after the last or None), as of the newest event `head`."""

    intervals: list[tuple[str, int, int | None]]
    head: int


def conversation_intervals(user: int, closed_after: int) -> Intervals:
    """Return the user's own stream and those of their conversations, with conversations left after an event id."""
    with snapshot():
        return Intervals(_intervals(user, closed_after), event.head())


def _intervals(user: int, closed_after: int) -> list[tuple[str, int, int | None]]:
    mine = [
        (conversation_stream(c), opened, closed) for c, opened, closed in conversations.membership_intervals(user, closed_after)
    ]
    return [(user_stream(user), 0, None), *mine]


def post_intervals(user: int, closed_after: int) -> Intervals:
    """Return the streams of posts that the user may follow, with groups left after an event id."""
    with snapshot():
        return Intervals(_post_intervals(user, closed_after), event.head())


def _post_intervals(user: int, closed_after: int) -> list[tuple[str, int, int | None]]:
    mine = [(group_stream(g), opened, closed) for g, opened, closed in groups.membership_intervals(user, closed_after)]
    return [(POSTS, 0, None), *mine]


def read(user: int, position: int, types: Collection[str] | None, limit: int, posts: bool = False) -> Slice:
    """Return the user's events after a position, with `posts` also those of posts.

    Intervals, events, low-water mark and head are read in one snapshot.
    """
    with snapshot():
        newest, kept_after = event.head(), facts.trimmed()
        if position == BEGINNING:
            position = kept_after
        if position > newest or position < kept_after:
            return Slice([], newest, more=False, expired=True)
        found: list[Event] = []
        intervals = _intervals(user, position) + (_post_intervals(user, position) if posts else [])
        for stream, opened, closed in intervals:
            found += _slice(stream, max(position, opened - 1), closed, types, limit + 1)
    found.sort(key=lambda e: e.id)
    if len(found) > limit:
        return Slice(found[:limit], found[limit - 1].id, more=True, expired=False)
    return Slice(found, newest, more=False, expired=False)


def _slice(stream: str, after: int, closed: int | None, types: Collection[str] | None, limit: int) -> list[Event]:
    chosen = f" AND type IN ({placeholders(len(types))})" if types else ""
    found = rows(
        f"SELECT id, stream, type, at_ms, data FROM events WHERE stream=? AND id>? AND id<?{chosen} ORDER BY id LIMIT ?",
        (stream, after, closed if closed is not None else 2**62, *(types or ()), limit),
    )
    return [Event(i, s, kind, at, data.encode()) for i, s, kind, at, data in found]
