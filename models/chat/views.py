"""Conversations as their members see them: by a fixed few queries."""

from __future__ import annotations

from collections.abc import Sequence

from models.chat import conversation as conversations
from models.chat import message as messages
from models.chat.conversation import MAX_MEMBERS_IN_VIEW, ConversationView
from models.chat.message import MessageView
from models.store.clock import rfc3339
from models.store.database import placeholders, rows
from models.store.errors import NotFoundError

MAX_UNREAD_COUNTED = 1000  # nobody reads "12,345"; the count stops here, and so does its cost
IDS_A_QUERY = 500


def conversation_view(user: int, conversation: int) -> ConversationView:
    """One conversation of the user's. Raises NotFoundError."""
    found = conversation_views(user, [conversation])
    if not found:
        raise NotFoundError
    return found[0]


def conversation_list(
    user: int, after: tuple[int, int] | None, limit: int
) -> tuple[list[ConversationView], tuple[int, int] | None]:
    """A page of the user's conversations, newest activity first, and where the next page starts."""
    ordered = conversations.ids_by_activity(user)
    if after is not None:
        ordered = [place for place in ordered if place < after]
    page = ordered[:limit]
    following = page[-1] if len(ordered) > limit else None
    return conversation_views(user, [conversation for _, conversation in page]), following


def conversation_views(user: int, ids: Sequence[int]) -> list[ConversationView]:
    """These conversations, in this order, leaving out those the user is not in."""
    found: dict[int, ConversationView] = {}
    for start in range(0, len(ids), IDS_A_QUERY):
        found |= _views(user, ids[start : start + IDS_A_QUERY])
    return [found[i] for i in ids if i in found]


def _views(user: int, ids: Sequence[int]) -> dict[int, ConversationView]:
    heads = rows(
        "SELECT c.id, c.kind, c.title, c.created_ms, c.members_count, "
        "(SELECT max(x.id) FROM messages x WHERE x.conversation_id=c.id), "
        "(SELECT count(*) FROM (SELECT 1 FROM messages y WHERE y.conversation_id=c.id AND y.id>coalesce(m.read_message, 0) "
        f"AND y.sender_id<>m.user_id AND y.deleted_ms IS NULL LIMIT {MAX_UNREAD_COUNTED}) AS counted) "
        "FROM memberships m JOIN conversations c ON c.id=m.conversation_id "
        f"WHERE m.user_id=? AND m.to_event IS NULL AND m.conversation_id IN ({placeholders(len(ids))})",
        (user, *ids),
    )
    members = conversations.first_members([(i, count) for i, _, _, _, count, _, _ in heads])
    last = _last_messages([newest for *_, newest, _ in heads if newest is not None])
    return {
        i: ConversationView(
            i,
            kind,
            title,
            rfc3339(created),
            members.get(i, []),
            last.get(newest),
            unread,
            count if count > MAX_MEMBERS_IN_VIEW else None,
        )
        for i, kind, title, created, count, newest, unread in heads
    }


def _last_messages(ids: Sequence[int]) -> dict[int, MessageView]:
    return {view.id: view for view in messages.views(ids)}


def count_unread(user: int, conversation: int) -> int:
    """Messages of others past the user's read mark, counted up to UNREAD_COUNTED."""
    found = rows(
        "SELECT count(*) FROM (SELECT 1 FROM messages y JOIN memberships m ON m.conversation_id=y.conversation_id "
        "WHERE m.conversation_id=? AND m.user_id=? AND m.to_event IS NULL AND y.id>coalesce(m.read_message, 0) "
        f"AND y.sender_id<>m.user_id AND y.deleted_ms IS NULL LIMIT {MAX_UNREAD_COUNTED}) AS counted",
        (conversation, user),
    )
    return int(found[0][0])


def peers(user: int) -> list[int]:
    """Users who share a conversation of up to MAX_MEMBERS_IN_VIEW members with the user, and so see each other's presence."""
    found = rows(
        "SELECT DISTINCT o.user_id FROM memberships m JOIN conversations c ON c.id=m.conversation_id AND c.members_count<=? "
        "JOIN memberships o ON o.conversation_id=c.id AND o.to_event IS NULL AND o.user_id<>m.user_id "
        "WHERE m.user_id=? AND m.to_event IS NULL",
        (MAX_MEMBERS_IN_VIEW, user),
    )
    return [u for (u,) in found]
