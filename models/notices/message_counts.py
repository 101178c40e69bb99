"""The counts of notifications about messages, derived when they are read from the log's messages and the read marks.

Such a notification has an interval of messages of one conversation: from the first that it told of, to the newest one when it was
read. Its count is the number of messages of the interval that are not the user's own, not deleted, not imported, of the membership
in which it began, and not by somebody whom the user blocked then; of an unread one only those after the read mark. So no crash,
deletion or partial read makes it wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from models.store.database import ID_MAX, chunks, placeholders, rows, values_cte

MAX_COUNTED = 1_000  # nobody reads "12,345"; the count stops here, and so does its cost
MAX_KEYS_PER_QUERY = 200
ONE, MORE = "1 new message", "{n} new messages"

# Raw: it is read under the log's lock. The order of the joins makes each row of `input` seek the indexes.
_MARK = "coalesce(m.unread_after, m.read_message, 0)"
_START = f"CASE WHEN input.unread=1 AND {_MARK}>=input.first THEN {_MARK}+1 ELSE input.first END"
_MEMBERSHIP = (
    "FROM messages f CROSS JOIN memberships m CROSS JOIN {} WHERE f.id=input.first AND m.user_id=input.member "
    "AND m.conversation_id=f.conversation_id AND (input.unread=1 OR m.from_event<=f.event) "
    "AND (m.to_event IS NULL OR (input.unread=0 AND m.to_event>f.event)) "
)
_COUNTED = (
    " AND y.sender_id<>input.member AND y.deleted_ms IS NULL AND y.event<>0 AND y.event>=m.from_event "
    "AND (m.to_event IS NULL OR y.event<m.to_event) AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.user_id=input.member "
    "AND b.blocked_id=y.sender_id AND b.from_event<=y.event AND (b.to_event IS NULL OR b.to_event>y.event))"
)
_ALL = (
    f"SELECT y.id {_MEMBERSHIP.format('messages y')}"
    f"AND y.conversation_id=f.conversation_id AND y.id>={_START} AND y.id<=input.last{_COUNTED}"
)
_MENTIONS = (
    f"SELECT DISTINCT y.id {_MEMBERSHIP.format('mentions k CROSS JOIN messages y')}"
    f"AND k.conversation=f.conversation_id AND k.user_id IN (input.member, 0) AND k.message>={_START} AND k.message<=input.last "
    f"AND y.id=k.message{_COUNTED}"
)


class MessageInterval(NamedTuple):
    """The messages of a notification: from `first` to `last`, which is None while it is unread. `mentions_only`: only those that
    mention the user."""

    user: int
    first: int
    last: int | None = None
    mentions_only: bool = False


class NewestMessage(NamedTuple):
    """The newest message that a notification counts, and what the notification is called after it."""

    id: int
    conversation: int
    title: str


def count(intervals: Sequence[MessageInterval]) -> list[int]:
    """Return the number of messages that each interval counts."""
    return _select(intervals, f"SELECT count(*) FROM ({{}} LIMIT {MAX_COUNTED}) AS counted")


def first(intervals: Sequence[MessageInterval]) -> list[int]:
    """Return the first message that each interval counts, 0 if it counts none."""
    return _select(intervals, "SELECT coalesce(min(id), 0) FROM ({} ORDER BY y.id LIMIT 1) AS counted")


def newest(intervals: Sequence[MessageInterval]) -> list[NewestMessage | None]:
    """Return the newest message that each interval counts, None if it counts none."""
    ids = _select(intervals, "SELECT coalesce(max(id), 0) FROM ({} ORDER BY y.id DESC LIMIT 1) AS counted")
    messages: dict[int, NewestMessage] = {}
    for part in chunks(sorted({id_ for id_ in ids if id_}), MAX_KEYS_PER_QUERY):
        found = rows(
            "SELECT y.id, c.id, u.display_name, c.kind, c.title FROM messages y JOIN users u ON u.id=y.sender_id "
            f"JOIN conversations c ON c.id=y.conversation_id WHERE y.id IN ({placeholders(len(part))})",
            part,
        )
        messages |= {id_: NewestMessage(id_, conversation, title_of(*names)) for id_, conversation, *names in found}
    return [messages.get(id_) for id_ in ids]


def title_of(sender: str, kind: str, title: str | None) -> str:
    """Return the title of a notification, from the newest message's sender and the kind and title of the conversation."""
    return sender if kind == "direct" or not title else f"{sender} in {title}"


def _select(intervals: Sequence[MessageInterval], what: str) -> list[int]:
    """Return a value of the messages of each interval."""
    values = dict[int, int]()
    for sql, mentions_only in ((_ALL, False), (_MENTIONS, True)):
        chosen = [(n, interval) for n, interval in enumerate(intervals) if interval.mentions_only == mentions_only]
        for part in chunks(chosen, MAX_KEYS_PER_QUERY):
            query = f"SELECT input.n, ({what.format(sql)}) FROM input"
            values |= dict(rows(values_cte("n, member, first, last, unread", len(part)) + query, _values(part)))
    return [values[n] for n in range(len(intervals))]


def _values(intervals: Sequence[tuple[int, MessageInterval]]) -> list[int]:
    return [
        value
        for n, interval in intervals
        for value in (
            *(n, interval.user, interval.first),
            *(ID_MAX if interval.last is None else interval.last, int(interval.last is None)),
        )
    ]


def body(count: int) -> str:
    """Return the words of a notification about so many messages."""
    return ONE if count == 1 else MORE.format(n=count)
