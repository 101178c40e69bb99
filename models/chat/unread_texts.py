"""The newest unread message of members, as they are members of it: for a push that is sent now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from models.files.file import names_of
from models.notices.audience import UNREAD_SQL
from models.notices.levels import effective_level
from models.store.database import chunks, decode_text, placeholders, rows, values_cte

MAX_KEYS_PER_QUERY = 200
Pair = tuple[int, int]  # user and conversation
# A message (`y`) that a member (`m`) has not read, of a sender whom they had not blocked.
_UNREAD_SQL = f"""y.conversation_id=m.conversation_id AND {UNREAD_SQL} AND (y.event=0 OR y.event>=m.from_event)
 AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.user_id=m.user_id AND b.blocked_id=y.sender_id AND b.from_event<=y.event
 AND (b.to_event IS NULL OR b.to_event>y.event))"""
# Raw: joins with many values; their order makes each row of `input` seek the indexes.
MEMBERS_SQL = """
SELECT m.user_id, m.conversation_id, m.level, m.level_until_ms, c.members_count FROM input CROSS JOIN memberships m
 JOIN conversations c ON c.id=m.conversation_id
 WHERE m.conversation_id=input.conversation AND m.user_id=input.member AND m.to_event IS NULL"""
NEWEST_SQL = f"""
SELECT m.user_id, m.conversation_id, CASE WHEN input.mentioned
 THEN (SELECT y.id FROM mentions x JOIN messages y ON y.id=x.message WHERE x.conversation=m.conversation_id
  AND x.user_id IN (0, m.user_id) AND x.message>coalesce(m.unread_after, m.read_message, 0) AND {_UNREAD_SQL}
  ORDER BY x.message DESC LIMIT 1)
 ELSE (SELECT y.id FROM messages y WHERE {_UNREAD_SQL} ORDER BY y.id DESC LIMIT 1) END
 FROM input CROSS JOIN memberships m
 WHERE m.conversation_id=input.conversation AND m.user_id=input.member AND m.to_event IS NULL"""
TEXTS_SQL = """
SELECT y.id, u.display_name, c.kind, c.title, y.body, y.files FROM messages y JOIN users u ON u.id=y.sender_id
 JOIN conversations c ON c.id=y.conversation_id WHERE y.deleted_ms IS NULL AND y.id IN """


class UnreadText(NamedTuple):
    """A message: its id, its sender's name, the conversation's kind and title, the text, and the names of its files."""

    id: int
    sender: str
    kind: str
    title: str | None
    body: str
    files: Sequence[str] = ()


def newest(pairs: Sequence[Pair], now_ms: int) -> dict[Pair, UnreadText]:
    """Return the newest unread message of each pair of user and conversation, without the pairs that have none: the user has left,
    has read all, has blocked the sender, or the conversation's level is none. With the level `mentions`, one that mentions them."""
    found: dict[Pair, UnreadText] = {}
    for part in chunks(sorted(set(pairs)), MAX_KEYS_PER_QUERY):
        levels = _levels(part, now_ms)
        members = [(*pair, level == "mentions") for pair, level in levels.items() if level != "none"]
        if members:
            values = [value for row in members for value in row]
            numbers = rows(values_cte("member, conversation, mentioned", len(members)) + NEWEST_SQL, values)
            messages = {(user, conversation): number for user, conversation, number in numbers if number is not None}
            texts = _texts(sorted(set(messages.values())))
            found |= {pair: texts[number] for pair, number in messages.items() if number in texts}
    return found


def deleted(messages: Sequence[int]) -> list[int]:
    """Return those of the messages that are deleted."""
    if not messages:
        return []
    sql = f"SELECT id FROM messages WHERE id IN ({placeholders(len(messages))}) AND deleted_ms IS NOT NULL"
    return [number for (number,) in rows(sql, messages)]


def _levels(pairs: Sequence[Pair], now_ms: int) -> dict[Pair, str]:
    values = [value for pair in pairs for value in pair]
    members = rows(values_cte("member, conversation", len(pairs)) + MEMBERS_SQL, values)
    return {
        (user, conversation): effective_level(level, until_ms, now_ms, count)
        for user, conversation, level, until_ms, count in members
    }


def _texts(messages: Sequence[int]) -> dict[int, UnreadText]:
    if not messages:
        return {}
    found = rows(TEXTS_SQL + f"({placeholders(len(messages))})", messages)
    names = names_of([number for number, *_, count in found if count])
    return {
        number: UnreadText(number, sender, kind, title, decode_text(body), names.get(number, ()))
        for number, sender, kind, title, body, _ in found
    }
