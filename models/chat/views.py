"""Conversations as their members see them, read by a fixed number of queries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from models.chat import conversation as conversations
from models.chat import message as messages
from models.chat import presence
from models.chat.blocks import blockers_among
from models.chat.conversation import MAX_MEMBERS_IN_VIEW, ConversationView, MemberView
from models.chat.mentions import ALL
from models.chat.message import MessageView
from models.notices.audience import UNREAD_SQL
from models.notices.levels import effective_level
from models.store.clock import rfc3339
from models.store.database import ID_MAX, chunks, engine, placeholders, rows, snapshot
from models.store.errors import NotFoundError

MAX_UNREAD_COUNTED = 1000  # nobody reads "12,345"; the count stops here, and so does its cost
MAX_IDS_PER_QUERY = 500
# The number of unread messages that mention a member (`m`), or all. The order of the join reads the member's mentions only.
MENTIONS_SQL = (
    "SELECT count(*) FROM (SELECT DISTINCT x.message FROM mentions x CROSS JOIN messages y WHERE y.id=x.message "
    f"AND x.conversation=m.conversation_id AND x.user_id IN ({ALL}, m.user_id) "
    f"AND x.message>coalesce(m.unread_after, m.read_message, 0) AND {UNREAD_SQL} LIMIT {MAX_UNREAD_COUNTED}) AS mentioned"
)
MAX_PEERS = 1_000  # to whom a change of presence is announced


def conversation_view(user: int, conversation: int) -> ConversationView:
    """One conversation of the user. Raises NotFoundError."""
    views = conversation_views(user, [conversation])
    if not views:
        raise NotFoundError
    (view,) = views
    if view.members_count is not None:
        return view
    others = {member.user.id for member in view.members} - {user}
    online = online_for(user, others)
    return msgspec.structs.replace(view, presence={str(other): other in online for other in sorted(others)})


def online_for(user: int, others: Collection[int]) -> set[int]:
    """Those of the others whom the user sees online. People who block the user always look offline to them."""
    return presence.online_now(set(others) - blockers_among(others, user))


class ActivityPosition(NamedTuple):
    """A position in a list of conversations: a last activity, the conversation that has it, and the message up to which the list
    counts, which keeps its order the same on all pages."""

    activity: int
    conversation: int
    upto: int = ID_MAX


def conversation_list(
    user: int, after: ActivityPosition | None, limit: int, among: Collection[int] | None = None
) -> list[tuple[ActivityPosition, ConversationView]]:
    """The user's conversations after a position, latest activity first, each with its own; with `among` only those.

    A conversation that moves to the top meanwhile stays where it was on the first page's list, so it is neither missing nor twice.
    """
    with snapshot():
        upto = conversations.newest_message() if after is None else after.upto
        positions = conversations.ids_by_activity(user, upto)
        if among is not None:
            positions = [position for position in positions if position[1] in among]
        page = [position for position in positions if after is None or position < after[:2]][:limit]
        found = conversation_views(user, [conversation for _, conversation in page])
        return [(ActivityPosition(*position, upto), view) for position, view in zip(page, found, strict=True)]


def conversation_views(user: int, ids: Sequence[int]) -> list[ConversationView]:
    """These conversations in the given order, without those that the user is not a member of."""
    views: dict[int, ConversationView] = {}
    for part in chunks(ids, MAX_IDS_PER_QUERY):
        views |= _views(user, part)
    return [views[id_] for id_ in ids if id_ in views]


def _views(user: int, ids: Sequence[int]) -> dict[int, ConversationView]:
    # Raw: every initial state runs it; the two subqueries read an index for each conversation.
    heads = rows(
        "SELECT c.id, c.kind, c.title, c.created_ms, c.members_count, "
        "(SELECT max(x.id) FROM messages x WHERE x.conversation_id=c.id), "
        f"(SELECT count(*) FROM (SELECT 1 FROM messages y WHERE y.conversation_id=c.id AND {UNREAD_SQL} "
        f"LIMIT {MAX_UNREAD_COUNTED}) AS counted), "
        f"({MENTIONS_SQL}), m.level, m.level_until_ms, "
        "coalesce(m.unread_after, m.read_message, 0) FROM memberships m JOIN conversations c ON c.id=m.conversation_id "
        f"WHERE m.user_id=? AND m.to_event IS NULL AND m.conversation_id IN ({placeholders(len(ids))})",
        (user, *ids),
    )
    members = conversations.first_members([(id_, count) for id_, _, _, _, count, *_ in heads])
    last = _last_messages([newest for *_, newest, _, _, _, _, _ in heads if newest is not None])
    now_ms = engine().now_ms() if any(until_ms is not None for *_, until_ms, _ in heads) else 0
    return {
        id_: ConversationView(
            id_,
            kind,
            title,
            rfc3339(created_ms),
            _as_seen_by(user, members.get(id_, []), read or None),
            last.get(newest),
            unread,
            mentions_unread,
            effective_level(level, until_ms, now_ms, count),
            None if until_ms is None or until_ms <= now_ms else rfc3339(until_ms),
            count if count > MAX_MEMBERS_IN_VIEW else None,
            read or None,
        )
        for id_, kind, title, created_ms, count, newest, unread, mentions_unread, level, until_ms, read in heads
    }


def _as_seen_by(user: int, members: list[MemberView], read: int | None) -> list[MemberView]:
    """The members, with the user's own mark, which is another one if they have marked messages as unread."""
    for member in members:
        if member.user.id == user:
            member.read = read
    return members


def _last_messages(ids: Sequence[int]) -> dict[int, MessageView]:
    return {view.id: view for view in messages.views(ids)}


def count_unread(user: int, conversation: int) -> int:
    """The number of messages that the user has not read, counted up to MAX_UNREAD_COUNTED."""
    # Raw: part of moving a read mark.
    ((unread,),) = rows(
        "SELECT count(*) FROM (SELECT 1 FROM messages y JOIN memberships m ON m.conversation_id=y.conversation_id "
        f"WHERE m.conversation_id=? AND m.user_id=? AND m.to_event IS NULL AND {UNREAD_SQL} "
        f"LIMIT {MAX_UNREAD_COUNTED}) AS counted",
        (conversation, user),
    )
    return int(unread)


def count_unread_mentions(user: int, conversation: int) -> int:
    """The number of messages that mention the user, or all, and that they have not read."""
    # Raw: part of moving a read mark.
    ((unread,),) = rows(
        f"SELECT ({MENTIONS_SQL}) FROM memberships m WHERE m.conversation_id=? AND m.user_id=? AND m.to_event IS NULL",
        (conversation, user),
    )
    return int(unread)


def peers(users: Sequence[int]) -> dict[int, list[int]]:
    """Return the users who see each user's presence at once: they share a conversation of at most MAX_MEMBERS_IN_VIEW members, and
    the user does not block them.

    A user has at most MAX_PEERS: those of the smallest conversations, and the newest of the same size. Others see the presence in
    their next initial state.
    """
    # Raw: every change of presence runs it.
    pairs = rows(
        "WITH shared AS (SELECT m.user_id, c.id, sum(c.members_count-1) OVER "
        "(PARTITION BY m.user_id ORDER BY c.members_count, c.id DESC) AS others FROM memberships m "
        "JOIN conversations c ON c.id=m.conversation_id AND c.members_count<=? "
        f"WHERE m.user_id IN ({placeholders(len(users))}) AND m.to_event IS NULL) "
        "SELECT DISTINCT s.user_id, o.user_id FROM shared s "
        "JOIN memberships o ON o.conversation_id=s.id AND o.to_event IS NULL AND o.user_id<>s.user_id WHERE s.others<=? "
        "AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.user_id=s.user_id AND b.blocked_id=o.user_id AND b.to_event IS NULL)",
        (MAX_MEMBERS_IN_VIEW, *users, MAX_PEERS),
    )
    found: dict[int, list[int]] = {}
    for user, peer in pairs:
        found.setdefault(user, []).append(peer)
    return found


def is_seen_online(user: int, other: int) -> bool:
    """Whether another user sees that the user is online now, unless the user blocks them: they share a small conversation."""
    if user not in presence.online_now([user]):
        return False
    # Raw: `peers`, for one pair.
    sql = (
        "SELECT 1 FROM memberships m JOIN conversations c ON c.id=m.conversation_id AND c.members_count<=? "
        "JOIN memberships o ON o.conversation_id=c.id AND o.user_id=? AND o.to_event IS NULL "
        "WHERE m.user_id=? AND m.to_event IS NULL LIMIT 1"
    )
    return bool(rows(sql, (MAX_MEMBERS_IN_VIEW, other, user)))
