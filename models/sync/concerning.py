"""The newest events of the log that may have notified a user: messages to their conversations, reactions to their posts, comments,
joins to their groups, and what the host has notified them of.

All is bounded: the streams by what the user has that is newest, the events by a number, and what is read at once by a few events.
Raw SQL, as in `catchup`: each part is pinned to the index of its stream.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from models.chat import conversation as conversations
from models.log.event import Event, conversation_stream, post_stream
from models.notices.notifying import HOST_PREFIX
from models.store.database import chunks, number_rows, placeholders, rows

MAX_CONVERSATIONS = 300
MAX_POSTS = 100
MAX_GROUPS = 20  # of which the user is the owner
MAX_OF_A_KIND = 300  # comments, joins, and notifications of the host's
MAX_CAUSES = 20_000
MAX_STREAMS_PER_STATEMENT = 100
MAX_EVENTS_PER_STATEMENT = 50  # a message may be long


def newest_ids(user: int, since: int, limit: int) -> list[int]:
    """Return the ids of at most `limit` events from the id `since` on, newest first. Some are of types that notify nobody."""
    newest = conversations.ids_by_activity(user, conversations.newest_message())[:MAX_CONVERSATIONS]
    posts = number_rows("id", "SELECT id FROM posts WHERE author_id=? ORDER BY id DESC LIMIT ?", (user, MAX_POSTS))
    streams = [conversation_stream(conversation) for _, conversation in newest] + [post_stream(post) for post in posts]
    ids = {*_of_streams(streams, since, limit), *_of_comments(user, posts, since), *_of_joins(user, since), *_of_host(user, since)}
    return sorted(ids, reverse=True)[:limit]


def read(ids: Sequence[int], types: Collection[str]) -> list[Event]:
    """Return those of these events that are of these types, in the order of the log."""
    found: list[Event] = []
    for part in chunks(sorted(ids), MAX_EVENTS_PER_STATEMENT):
        sql = (
            f"SELECT id, stream, type, at_ms, data FROM events WHERE id IN ({placeholders(len(part))}) "
            f"AND type IN ({placeholders(len(types))}) ORDER BY id"
        )
        found += [Event(i, stream, kind, at, data.encode()) for i, stream, kind, at, data in rows(sql, (*part, *types))]
    return found


def _of_streams(streams: Sequence[str], since: int, limit: int) -> list[int]:
    ids: list[int] = []
    for part in chunks(streams, MAX_STREAMS_PER_STATEMENT):
        params: list[Any] = [value for stream in part for value in (stream, since)]
        union = " UNION ALL ".join(["SELECT id FROM events WHERE stream=? AND id>=?"] * len(part))
        ids = sorted([*ids, *number_rows("id", f"{union} ORDER BY id DESC LIMIT ?", [*params, limit])], reverse=True)[:limit]
        if len(ids) == limit:
            since = ids[-1]
    return ids


def _of_comments(user: int, posts: Sequence[int], since: int) -> list[int]:
    """Comments on the user's posts, and answers to their newest comments."""
    own = dict(rows("SELECT id, post_id FROM comments WHERE author_id=? ORDER BY id DESC LIMIT ?", (user, MAX_POSTS)))
    found: list[tuple[int, int, int, int | None]] = []
    for part in chunks(sorted({*posts, *own.values()}), MAX_STREAMS_PER_STATEMENT):
        union = " UNION ALL ".join(["SELECT id, event, post_id, reply_to FROM comments WHERE post_id=?"] * len(part))
        found += rows(f"{union} ORDER BY id DESC LIMIT ?", (*part, MAX_OF_A_KIND))
    return [event for _, event, post, reply_to in found if event >= since and (post in posts or reply_to in own)]


def _of_joins(user: int, since: int) -> list[int]:
    groups = number_rows("id", "SELECT id FROM community_groups WHERE owner_id=? ORDER BY id DESC LIMIT ?", (user, MAX_GROUPS))
    if not groups:
        return []
    union = " UNION ALL ".join(["SELECT id, from_event FROM group_members WHERE group_id=?"] * len(groups))
    joins = rows(f"{union} ORDER BY id DESC LIMIT ?", (*groups, MAX_OF_A_KIND))
    return [event for _, event in joins if event >= since]


def _of_host(user: int, since: int) -> list[int]:
    """Requests of the host's of which the user was notified in any way."""
    sql = f"SELECT cause FROM notification_causes WHERE user_id=? AND substr(cause, 1, {len(HOST_PREFIX)})=? LIMIT ?"
    causes = rows(sql, (user, HOST_PREFIX, MAX_CAUSES))
    events = sorted((int(cause.removeprefix(HOST_PREFIX)) for (cause,) in causes), reverse=True)
    return [event for event in events[:MAX_OF_A_KIND] if event >= since]
