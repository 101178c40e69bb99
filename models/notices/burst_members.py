"""The members of a large group whom a burst may reach: not all of thousands, but those with the level `all`, and those mentioned.

A member who has an unread notification of all messages need not be told of further ones, except of important ones and mentions: its
count follows from the messages.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from models.notices.audience import Interval
from models.notices.notification import MAIL_ONLY_PREFIX, conversation_grouping
from models.store.database import chunks, placeholders, rows

MAX_IDS_PER_QUERY = 500
# Raw: run for each burst, with an index that has only members with the level `all`. One that is only mailed counts for those who
# are not to be shown any.
_QUERY = """
    SELECT user_id, status, from_event, to_event, read_message, level, level_until_ms, is_counted FROM (
        SELECT m.user_id, u.status, m.from_event, m.to_event, m.read_message, m.level, m.level_until_ms, EXISTS (
            SELECT 1 FROM notifications n WHERE n.user_id=m.user_id AND n.grouping IN (?,?) AND n.read_ms IS NULL
            AND n.from_message IS NOT NULL AND n.mentions_only IS NULL AND (n.mail_only IS NULL OR EXISTS (
                SELECT 1 FROM preferences p WHERE p.user_id=n.user_id AND p.type='message' AND NOT p.in_app))
        ) AS is_counted
        FROM memberships m JOIN users u ON u.id=m.user_id
        WHERE m.conversation_id=? AND m.to_event IS NULL AND m.user_id>?{}
    ) AS found{} ORDER BY user_id"""
_BY_LEVEL = " AND m.level='all'"


class BurstMember(NamedTuple):
    """A member; `is_counted`: they have an unread notification that counts all messages."""

    interval: Interval
    is_counted: bool


def list_all(conversation: int, after: int) -> list[BurstMember]:
    """All members with a larger id, by id."""
    return _find(conversation, after)


def list_by_level(conversation: int, after: int, *, counted: bool) -> list[BurstMember]:
    """Those who are notified of all messages; those who are `counted` already only on request."""
    return _find(conversation, after, _BY_LEVEL, "" if counted else " WHERE NOT is_counted")


def list_among(conversation: int, after: int, users: Collection[int]) -> list[BurstMember]:
    """Those of these users who are members."""
    found: list[BurstMember] = []
    for part in chunks(sorted(users), MAX_IDS_PER_QUERY):
        found += _find(conversation, after, f" AND m.user_id IN ({placeholders(len(part))})", params=part)
    return found


def _find(conversation: int, after: int, which: str = "", outer: str = "", params: Sequence[int] = ()) -> list[BurstMember]:
    grouping = conversation_grouping(conversation)
    found = rows(_QUERY.format(which, outer), (grouping, MAIL_ONLY_PREFIX + grouping, conversation, after, *params))
    return [
        BurstMember(Interval(user, status == "active", from_event, to_event, read or 0, *level), bool(is_counted))
        for user, status, from_event, to_event, read, *level, is_counted in found
    ]
