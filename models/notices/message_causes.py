"""Causes about messages: which of them are not notified yet, and what their notifications count with them.

They are not kept. A message was notified if it is not newer than the newest that the unread notification of its conversation, or
one that was read, counted; so a slice of the log that is done again after a crash is notified once (promise 5).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from models.notices import message_counts
from models.notices.causes import Cause
from models.notices.counts import UNREAD_COLUMNS, Key, UnreadByKey, UnreadCount, find_unread, grouped, interval_of, key_of
from models.notices.message_counts import MessageInterval
from models.store.database import chunks, rows, values_cte

MAX_KEYS_PER_QUERY = 200


def counted(groups: Sequence[list[Cause]]) -> tuple[list[tuple[list[Cause], int]], UnreadByKey]:
    """Return the groups with the causes that are not notified yet, each with the count of its notification; and the unread
    notifications.

    Groups that nobody is to be notified of any more are left out: since the decision all was read or deleted, or the user has left.
    The notifications of the version before begin to have a first message.
    """
    unread, notified = _read_notified([key_of(group) for group in groups])
    new = [left for group in groups if (left := _not_notified(group, notified))]
    _adopt(new, unread)
    new = _reachable(new, unread)
    return list(zip(new, _counts(new, unread), strict=True)), unread


def count_ahead(causes: Sequence[Cause]) -> list[Cause]:
    """Return the causes, with what their notifications will count: in the transaction, others wait for the log's lock."""
    groups = [group for group in grouped(causes) if group[0].message is not None]
    unread = find_unread([group[0] for group in groups])
    intervals = [_interval(group, unread) for group in groups]
    for group, interval, count in zip(groups, intervals, message_counts.count(intervals), strict=True):
        for cause in group:  # the causes of a group may be written in several transactions
            cause.ahead = interval, count
    return list(causes)


def _counts(groups: Sequence[list[Cause]], unread: UnreadByKey) -> list[int]:
    """The counts of these groups: those that were counted ahead, unless what is counted has changed, and the others as of now."""
    ahead = dict(group[-1].ahead for group in groups if group[-1].ahead is not None)
    intervals = [_interval(group, unread) for group in groups]
    left = [interval for interval in intervals if interval not in ahead]
    counts = ahead | dict(zip(left, message_counts.count(left), strict=True))
    return [max(1, counts[interval]) for interval in intervals]  # each has a first message by now


def _reachable(groups: Sequence[list[Cause]], unread: UnreadByKey) -> list[list[Cause]]:
    """The groups without causes before the first message that their notifications can count."""
    firsts = message_counts.first([_interval(group, unread) for group in groups])
    left = [_from(group, first) for group, first in zip(groups, firsts, strict=True) if first]
    return [group for group in left if group]


def _from(group: Sequence[Cause], first: int) -> list[Cause]:
    return [
        msgspec.structs.replace(cause, first=max(cause.first or cause.message, first))
        for cause in group
        if cause.message is not None and cause.message >= first
    ]


def _not_notified(group: list[Cause], notified: dict[Key, int]) -> list[Cause]:
    upto = notified.get(key_of(group), 0)
    return [_after(cause, upto) for cause in group if cause.recorded or (cause.message or 0) > upto]


def _after(cause: Cause, upto: int) -> Cause:
    """The cause of several messages without those that were notified before."""
    if cause.recorded or cause.first is None or cause.first > upto:
        return cause
    # Raw: as below.
    ((first,),) = rows(
        "SELECT min(y.id) FROM messages f JOIN messages y ON y.conversation_id=f.conversation_id AND y.id>? WHERE f.id=?",
        (upto, cause.message),
    )
    return msgspec.structs.replace(cause, first=first)


def _interval(group: Sequence[Cause], unread: UnreadByKey) -> MessageInterval:
    first, _, mentions_only = interval_of(group, unread.get(key_of(group)))
    return MessageInterval(group[0].user, first or 0, None, bool(mentions_only))


def _read_notified(keys: Sequence[Key]) -> tuple[UnreadByKey, dict[Key, int]]:
    """The unread notifications, and (user, grouping) -> the newest message that was notified, read or unread."""
    unread: UnreadByKey = {}
    notified: dict[Key, int] = {}
    for part in chunks(keys, MAX_KEYS_PER_QUERY):
        # Raw: under the log's lock; the order of the joins makes each row of `input` seek the index.
        found = rows(
            values_cte("member, grouping", len(part)) + "SELECT input.member, input.grouping, (SELECT max(r.upto_message) "
            "FROM notifications r WHERE r.user_id=input.member AND r.grouping=input.grouping AND r.read_ms IS NOT NULL "
            f"AND r.upto_message IS NOT NULL), {UNREAD_COLUMNS} FROM input LEFT JOIN notifications n "
            "ON n.user_id=input.member AND n.grouping=input.grouping AND n.read_ms IS NULL",
            [value for key in part for value in key],
        )
        for user, grouping, read_upto, *values in found:
            upto = 0
            if values[0] is not None:
                unread[user, grouping] = present = UnreadCount(*values)
                upto = present.upto or 0
            notified[user, grouping] = max(upto, read_upto or 0)
    return unread, notified


def _adopt(groups: Sequence[list[Cause]], unread: UnreadByKey) -> None:
    """Let a notification of the version before, which counted causes, begin with the first message that is unread."""
    for group in groups:
        key = key_of(group)
        present = unread.get(key)
        if present is not None and present.first is None:
            unread[key] = present._replace(first=_first_unread(group[0].user, group[0].message or 0))


def _first_unread(user: int, message: int) -> int:
    # Raw: as above.
    ((first,),) = rows(
        "SELECT (SELECT min(y.id) FROM messages f JOIN memberships m ON m.conversation_id=f.conversation_id AND m.user_id=? "
        "AND m.to_event IS NULL JOIN messages y ON y.conversation_id=f.conversation_id "
        "AND y.id>coalesce(m.unread_after, m.read_message, 0) AND y.event>=m.from_event WHERE f.id=?)",
        (user, message),
    )
    return int(first or message)
