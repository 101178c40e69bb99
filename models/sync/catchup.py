"""Catching up from an older cursor: a limited slice of all the user's streams, merged, in one snapshot.

The queries are raw SQL: a reconnecting client waits for them, and each part is pinned to the index of its stream.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, NamedTuple

from models.chat import conversation as conversations
from models.community import group as groups
from models.log import event
from models.log.event import POSTS, Event, conversation_stream, group_stream, joining_stream, user_stream
from models.store import facts
from models.store.database import ID_MAX, chunks, number_rows, placeholders, rows, snapshot

FOREVER = ID_MAX  # the end of an open interval
BEGINNING = -1  # the position of a client that requests all kept events
MAX_SCANNED_EVENTS = 2_000  # for one slice that leaves some of them out
MAX_SLICE_BYTES = 1024 * 1024
MAX_INTERVALS_PER_READ = 5_000  # 20 ms
MAX_STREAMS_PER_STATEMENT = 100  # SQLite merges at most 500
MAX_EVENTS_PER_STATEMENT = 50  # the memory that a slice needs beyond its bytes

IntervalsByStream = dict[str, list[tuple[int, int]]]  # stream -> (first event id, id after the last)


Interval = tuple[str, int, int | None]  # stream, first event id, id after the last or None
Membership = tuple[int, int, int, int | None]  # user, conversation or group, first event id, id after the last or None
ReadIntervals = Callable[[Sequence[int], int, int], dict[int, list[Interval]]]


class Slice(NamedTuple):
    """A user's events after a position, up to a limit. `expired`: the position is below the low-water mark or past the head."""

    events: list[Event]
    position: int
    more: bool
    expired: bool


class Intervals(NamedTuple):
    """The streams of a user, as intervals as of the newest event `head`."""

    intervals: list[Interval]
    head: int


def conversation_intervals(users: Sequence[int], closed_after: int) -> dict[int, Intervals]:
    """Return the own streams of users and those of their conversations, with conversations left after an event id.

    A part of the users, one at least, when they have more than MAX_INTERVALS_PER_READ.
    """
    return _read_some(_intervals, users, closed_after)


def _read_some(read: ReadIntervals, users: Sequence[int], closed_after: int) -> dict[int, Intervals]:
    with snapshot():
        newest = event.head()
        found = read(users, closed_after, MAX_INTERVALS_PER_READ) or read([min(users)], closed_after, ID_MAX)
        return {user: Intervals(mine, newest) for user, mine in found.items()}


def _intervals(users: Sequence[int], closed_after: int, limit: int = ID_MAX) -> dict[int, list[Interval]]:
    found = conversations.membership_intervals(users, closed_after, limit)
    by_user: dict[int, list[Interval]] = {user: [(user_stream(user), 0, None)] for user in _complete(users, found, limit)}
    for user, conversation, opened, closed in found:
        if user in by_user:
            by_user[user].append((conversation_stream(conversation), opened, closed))
            if opened > closed_after:
                by_user[user].append((joining_stream(conversation), opened, opened + 1))
    return by_user


def _complete(users: Sequence[int], found: Sequence[Membership], limit: int) -> Sequence[int]:
    """The users all of whose memberships were found, when the first `limit` were read, in the order of users' ids."""
    return users if len(found) < limit else [user for user in users if user < found[-1][0]]


def post_intervals(users: Sequence[int], closed_after: int, public: bool = True) -> dict[int, Intervals]:
    """Return the streams of posts that users may follow, with groups left after an event id. Of a part of them, as above.

    Not the `public` ones where users don't see everybody: the author of such a post is named to all who follow them.
    """
    return _read_some(partial(_post_intervals, public=public), users, closed_after)


def _post_intervals(users: Sequence[int], closed_after: int, limit: int = ID_MAX, public: bool = True) -> dict[int, list[Interval]]:
    found = groups.membership_intervals(users, closed_after, limit)
    by_user: dict[int, list[Interval]] = {user: [(POSTS, 0, None)] if public else [] for user in _complete(users, found, limit)}
    for user, group, opened, closed in found:
        if user in by_user:
            by_user[user].append((group_stream(group), opened, closed))
    return by_user


def by_stream(intervals: Collection[Interval]) -> IntervalsByStream:
    """Group a user's intervals by stream, in the order of the log."""
    grouped: IntervalsByStream = {}
    for stream, opened, closed in sorted(intervals, key=lambda interval: interval[1]):
        grouped.setdefault(stream, []).append((opened, FOREVER if closed is None else closed))
    return grouped


def is_within(intervals: Sequence[tuple[int, int]], number: int) -> bool:
    """Return whether an event id is within one of a stream's intervals, which are in the order of the log."""
    following = bisect_right(intervals, (number, FOREVER))
    return following > 0 and number < intervals[following - 1][1]


def read(user: int, position: int, types: Collection[str] | None, limit: int, posts: bool = False, public: bool = True) -> Slice:
    """Return the user's events after a position, with `posts` also those of posts, with `public` ones too.

    Intervals, events, low-water mark and head are read in one snapshot. A slice ends with `more`, perhaps without any event, after
    `limit` events, about MAX_SLICE_BYTES, or MAX_SCANNED_EVENTS that are of other types or between the user's intervals.
    """
    with snapshot():
        newest, kept_after = event.head(), facts.trimmed()
        if position == BEGINNING:
            position = kept_after
        if position > newest or position < kept_after:
            return Slice([], newest, more=False, expired=True)
        of_posts = _post_intervals([user], position, public=public)[user] if posts else []
        intervals = by_stream(_intervals([user], position)[user] + of_posts)
        all_match = types is None and all(len(of_stream) == 1 for of_stream in intervals.values())
        max_ids = limit + 1 if all_match else MAX_SCANNED_EVENTS
        ids = _first_ids(intervals, position, max_ids)
        events, reached = _matching(ids, intervals, types, limit)
    if reached is not None:
        return Slice(events, reached, more=True, expired=False)
    if len(ids) == max_ids:
        return Slice(events, ids[-1], more=True, expired=False)
    return Slice(events, newest, more=False, expired=False)


def _first_ids(intervals: IntervalsByStream, position: int, limit: int) -> list[int]:
    """Return the first ids after a position of all the streams together, in order.

    A stream is read from its first interval to its last, so that many short intervals cost no more than one. Each statement merges
    MAX_STREAMS_PER_STATEMENT streams in the order of the index, and reads no further than the ids that are known to be enough.
    """
    ids: list[int] = []
    before = FOREVER
    for streams in chunks(intervals.items(), MAX_STREAMS_PER_STATEMENT):
        params: list[Any] = []
        for stream, of_stream in streams:
            (opened, _), (_, closed) = of_stream[0], of_stream[-1]
            params += (stream, max(position, opened - 1), min(before, closed))
        parts = " UNION ALL ".join(["SELECT id FROM events WHERE stream=? AND id>? AND id<?"] * len(streams))
        ids = sorted([*ids, *number_rows("id", f"{parts} ORDER BY id LIMIT ?", [*params, limit])])[:limit]
        if len(ids) == limit:
            before = ids[-1]
    return ids


def _matching(
    ids: Sequence[int], intervals: IntervalsByStream, types: Collection[str] | None, limit: int
) -> tuple[list[Event], int | None]:
    """Return the events of these types that the user may see, and the last one's id if there may be more among `ids`."""
    events: list[Event] = []
    size = 0
    chosen = f" AND type IN ({placeholders(len(types))})" if types else ""
    for part in chunks(ids, MAX_EVENTS_PER_STATEMENT):
        sql = f"SELECT id, stream, type, at_ms, data FROM events WHERE id IN ({placeholders(len(part))}){chosen} ORDER BY id"
        for number, stream, event_type, at_ms, data in rows(sql, (*part, *(types or ()))):
            if is_within(intervals[stream], number):
                if len(events) == limit or size > MAX_SLICE_BYTES:
                    return events, events[-1].id
                events.append(Event(number, stream, event_type, at_ms, data.encode()))
                size += len(events[-1].data)
    return events, None
