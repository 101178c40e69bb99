"""Reading on from an older cursor: a limited slice of each stream, merged, in one snapshot."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from models.chat import conversation as conversations
from models.community import group as groups
from models.log import event
from models.log.event import POSTS, Event, conversation_stream, group_stream, user_stream
from models.store import facts
from models.store.database import placeholders, rows, snapshot

BEGINNING = -1  # the position of who asks for all that is kept


class Slice(NamedTuple):
    """What came after a position, up to a limit. `expired`: the position is older than what is kept, or past the head."""

    events: list[Event]
    position: int
    more: bool
    expired: bool


class Intervals(NamedTuple):
    """What a gateway must know of a user to serve them: intervals of streams, as of the newest event `head`."""

    intervals: list[tuple[str, int, int | None]]
    head: int


def conversation_intervals(user: int, closed_after: int) -> Intervals:
    """The streams a user follows, those included that they left after a place in the log."""
    with snapshot():
        return Intervals(_intervals(user, closed_after), event.head())


def _intervals(user: int, closed_after: int) -> list[tuple[str, int, int | None]]:
    mine = [
        (conversation_stream(c), opened, closed) for c, opened, closed in conversations.membership_intervals(user, closed_after)
    ]
    return [(user_stream(user), 0, None), *mine]


def post_intervals(user: int, closed_after: int) -> Intervals:
    """The streams of posts that a user may follow, in the same way."""
    with snapshot():
        return Intervals(_post_intervals(user, closed_after), event.head())


def _post_intervals(user: int, closed_after: int) -> list[tuple[str, int, int | None]]:
    mine = [(group_stream(g), opened, closed) for g, opened, closed in groups.membership_intervals(user, closed_after)]
    return [(POSTS, 0, None), *mine]


def read(user: int, position: int, types: Collection[str] | None, limit: int, posts: bool = False) -> Slice:
    """The user's events after a position, with `posts` those of posts, too; intervals, events, low-water mark and head all as of
    one moment."""
    with snapshot():
        newest, kept_after = event.head(), facts.trimmed()
        if position == BEGINNING:  # wherever it is by now
            position = kept_after
        if position > newest or position < kept_after:
            return Slice([], newest, False, True)
        found: list[Event] = []
        intervals = _intervals(user, position) + (_post_intervals(user, position) if posts else [])
        for stream, opened, closed in intervals:
            found += _slice(stream, max(position, opened - 1), closed, types, limit + 1)
    found.sort(key=lambda e: e.id)
    if len(found) > limit:
        return Slice(found[:limit], found[limit - 1].id, True, False)
    return Slice(found, newest, False, False)


def _slice(stream: str, after: int, closed: int | None, types: Collection[str] | None, limit: int) -> list[Event]:
    chosen = f" AND type IN ({placeholders(len(types))})" if types else ""
    found = rows(
        f"SELECT id, stream, type, at_ms, data FROM events WHERE stream=? AND id>? AND id<?{chosen} ORDER BY id LIMIT ?",
        (stream, after, closed if closed is not None else 2**62, *(types or ()), limit),
    )
    return [Event(i, s, kind, at, data.encode()) for i, s, kind, at, data in found]
