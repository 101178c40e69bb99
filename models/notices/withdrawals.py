"""Taking back notifications about messages that nothing is left to be told of: the messages were deleted, or read in part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from models.log.event import Transaction
from models.notices import message_counts
from models.notices.message_counts import MessageInterval
from models.notices.notification import MAIL_ONLY_PREFIX, conversation_grouping, mark_mail_only_read, mark_read
from models.store.database import rows

MAX_WITHDRAWN = 50  # members, under the log's lock


class UnreadInterval(NamedTuple):
    """An unread notification about messages."""

    id: int
    mail_only: bool
    interval: MessageInterval


def withdraw(tx: Transaction, conversation: int, message: int) -> None:
    """Mark the unread notifications as read that were about a deleted message alone, in a conversation of at most MAX_WITHDRAWN
    members. Those of a large one are left to a drain."""
    # Raw: the models of conversations are in models.chat, which imports this package.
    ((members,),) = rows("SELECT members_count FROM conversations WHERE id=?", (conversation,))
    if members <= MAX_WITHDRAWN:
        withdraw_empty(tx, find_empty(find_unread(conversation, message)))


def withdraw_from(tx: Transaction, user: int, conversation: int) -> None:
    """Mark the user's notifications of a conversation as read that nothing is left of."""
    withdraw_empty(tx, find_empty(_unread_where("n.user_id=?", (user,), conversation)))


def find_unread(conversation: int, message: int, after: int = 0, limit: int = MAX_WITHDRAWN) -> list[UnreadInterval]:
    """The unread notifications that may count a message, of the next `limit` members after a user's id."""
    members = (
        "n.user_id IN (SELECT m.user_id FROM memberships m WHERE m.conversation_id=? AND m.to_event IS NULL AND m.user_id>? "
        "ORDER BY m.user_id LIMIT ?) AND n.from_message<=?"
    )
    return _unread_where(members, (conversation, after, limit, message), conversation)


def _unread_where(condition: str, params: Sequence[int], conversation: int) -> list[UnreadInterval]:
    grouping = conversation_grouping(conversation)
    # Raw: part of moving a read mark, and of deleting a message.
    found = rows(
        f"SELECT n.id, n.mail_only, n.user_id, n.from_message, n.mentions_only FROM notifications n WHERE {condition} "
        "AND n.grouping IN (?,?) AND n.read_ms IS NULL AND n.from_message IS NOT NULL",
        (*params, grouping, MAIL_ONLY_PREFIX + grouping),
    )
    return [
        UnreadInterval(id_, bool(mail_only), MessageInterval(user, first, None, bool(mentions_only)))
        for id_, mail_only, user, first, mentions_only in found
    ]


def find_empty(unread: Sequence[UnreadInterval]) -> list[UnreadInterval]:
    """Those that count no message any more."""
    empty = message_counts.are_empty([item.interval for item in unread])
    return [item for item, is_empty in zip(unread, empty, strict=True) if is_empty]


def withdraw_empty(tx: Transaction, empty: Sequence[UnreadInterval]) -> None:
    """Mark these as read, with an event for each that is shown."""
    mark_mail_only_read(tx, [item.id for item in empty if item.mail_only])
    for item in empty:
        if not item.mail_only:
            mark_read(tx, item.interval.user, [item.id])
