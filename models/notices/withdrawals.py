"""Taking back notifications about messages that nothing is left to be told of: the messages were deleted, or read in part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from models.log.event import Transaction
from models.notices import message_counts, pushes
from models.notices.levels import Level
from models.notices.message_counts import MessageInterval
from models.notices.notification import MAIL_ONLY_PREFIX, conversation_grouping, mark_group_read, mark_mail_only_read, mark_read
from models.store.database import ID_MAX, execute, placeholders, rows

MAX_WITHDRAWN = 50  # members, under the log's lock


class UnreadInterval(NamedTuple):
    """An unread notification about messages."""

    id: int
    mail_only: bool
    interval: MessageInterval


def withdraw(tx: Transaction, conversation: int, message: int) -> None:
    """Mark the unread notifications as read that were about a deleted message alone, in a conversation of at most MAX_WITHDRAWN
    members. Those of a large one are left to jobs/consumers/withdrawals.py."""
    members = list_members(conversation, 0, MAX_WITHDRAWN + 1)
    if len(members) <= MAX_WITHDRAWN:
        withdraw_empty(tx, find_empty(find_unread(conversation, message, members)))


def withdraw_from(tx: Transaction, user: int, conversation: int) -> None:
    """Mark the user's notifications of a conversation as read that nothing is left of."""
    withdraw_empty(tx, find_empty(find_unread(conversation, ID_MAX, [user])))


def apply_level(tx: Transaction, user: int, conversation: int, level: Level) -> None:
    """Let the user's unread notifications of a conversation count by a level that they have set, and take back what is below it."""
    if level == "none":
        mark_group_read(tx, user, conversation_grouping(conversation))
        return
    # Raw: the log's lock is acquired.
    unread = [item.id for item in find_unread(conversation, ID_MAX, [user])]
    mentions_only = True if level == "mentions" else None
    execute(f"UPDATE notifications SET mentions_only=? WHERE id IN ({placeholders(len(unread))})", (mentions_only, *unread))
    withdraw_from(tx, user, conversation)


def list_members(conversation: int, after: int, limit: int) -> list[int]:
    """The members of a conversation whose ids are larger than `after`, by id."""
    # Raw: part of deleting a message; the models of conversations are in models.chat, which imports this package.
    members = rows(
        "SELECT user_id FROM memberships WHERE conversation_id=? AND to_event IS NULL AND user_id>? ORDER BY user_id LIMIT ?",
        (conversation, after, limit),
    )
    return [user for (user,) in members]


def find_unread(conversation: int, message: int, users: Sequence[int]) -> list[UnreadInterval]:
    """The unread notifications of these users that may count a message of a conversation."""
    grouping = conversation_grouping(conversation)
    # Raw: part of moving a read mark, and of deleting a message.
    found = rows(
        "SELECT id, mail_only, user_id, from_message, mentions_only FROM notifications "
        f"WHERE user_id IN ({placeholders(len(users))}) AND grouping IN (?,?) AND read_ms IS NULL AND from_message<=?",
        (*users, grouping, MAIL_ONLY_PREFIX + grouping, message),
    )
    return [
        UnreadInterval(id_, bool(mail_only), MessageInterval(user, first, None, bool(mentions_only)))
        for id_, mail_only, user, first, mentions_only in found
    ]


def find_empty(unread: Sequence[UnreadInterval]) -> list[UnreadInterval]:
    """Those that count no message any more."""
    firsts = message_counts.first([item.interval for item in unread])
    return [item for item, first in zip(unread, firsts, strict=True) if not first]


def withdraw_empty(tx: Transaction, empty: Sequence[UnreadInterval]) -> None:
    """Mark these as read, with an event for each that is shown."""
    mail_only = [item.id for item in empty if item.mail_only]
    mark_mail_only_read(tx, mail_only)
    pushes.recall(tx, mail_only)
    for item in empty:
        if not item.mail_only:
            mark_read(tx, item.interval.user, [item.id])
