"""Read marks: the newest message that each member has read, which never moves back. A member may mark messages as unread again:
that is a mark of their own, which nobody else is shown."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from models.chat.conversation import MAX_MEMBERS_IN_VIEW
from models.chat.views import count_unread, count_unread_mentions
from models.log.event import Transaction, conversation_stream, user_stream
from models.notices import notification as notifications
from models.notices import withdrawals
from models.store.database import execute, rows
from models.store.errors import InvalidError, NotFoundError


class _Marks(NamedTuple):
    """A member's read mark, and their own one: the same, or an earlier one after messages were marked as unread. `newest` is the
    newest message of the conversation."""

    newest: int
    read: int
    own: int


def mark_read(tx: Transaction, user: int, conversation: int, message: int) -> int:
    """Move the user's read mark to a message; returns the number of messages that are unread after it.

    A mark that is not after the present one changes nothing. In a small conversation all members receive `read.updated`. In a
    large one only the user does, and so it is when they read again what they had marked as unread. Raises NotFoundError and
    InvalidError.
    """
    marks = _marks(user, conversation, message)
    if message > marks.own:
        back = message if message < marks.read else None
        _set_marks(user, conversation, max(message, marks.read), back)
    unread = 0 if message == marks.newest else count_unread(user, conversation)
    if message > marks.own:
        ((is_small,),) = rows("SELECT members_count<=? FROM conversations WHERE id=?", (MAX_MEMBERS_IN_VIEW, conversation))
        is_for_all = is_small and message > marks.read
        _append(tx, conversation_stream(conversation) if is_for_all else user_stream(user), user, conversation, message, unread)
        if unread:
            withdrawals.withdraw_from(tx, user, conversation)
        else:
            notifications.mark_group_read(tx, user, notifications.conversation_grouping(conversation))
    return unread


def mark_unread(tx: Transaction, user: int, conversation: int, message: int) -> int:
    """Mark a message and those after it as unread, for the user alone; returns the number of messages that are unread.

    The user's devices receive `read.updated` with the message before it, 0 if there is none. A message that is unread already
    changes nothing. Raises NotFoundError and InvalidError.
    """
    marks = _marks(user, conversation, message)
    # Raw: reads one entry of an index.
    ((before,),) = rows("SELECT coalesce(max(id), 0) FROM messages WHERE conversation_id=? AND id<?", (conversation, message))
    if before < marks.own:
        _set_marks(user, conversation, marks.read, before)
        _count_imported(user, conversation, marks.newest)
    unread = count_unread(user, conversation)
    if before < marks.own:
        _append(tx, user_stream(user), user, conversation, before, unread)
    return unread


def _marks(user: int, conversation: int, message: int) -> _Marks:
    """The marks of a member, 0 for none. Raises NotFoundError for others, and InvalidError when the message is of another
    conversation."""
    # Raw: moving a read mark is as frequent as a send.
    found = rows(
        "SELECT (SELECT 1 FROM messages WHERE id=? AND conversation_id=m.conversation_id), "
        "(SELECT max(id) FROM messages WHERE conversation_id=m.conversation_id), "
        "coalesce(m.read_message, 0), coalesce(m.unread_after, m.read_message, 0) "
        "FROM memberships m WHERE m.conversation_id=? AND m.user_id=? AND m.to_event IS NULL",
        (message, conversation, user),
    )
    if not found:
        raise NotFoundError
    is_in_conversation, *marks = found[0]
    if not is_in_conversation:
        raise InvalidError(("message", "must be a message of this conversation"))
    return _Marks(*marks)


def _set_marks(user: int, conversation: int, read: int, back: int | None) -> None:
    # Raw: as above.
    execute(
        "UPDATE memberships SET read_message=?, unread_after=? WHERE conversation_id=? AND user_id=? AND to_event IS NULL",
        (read, back, conversation, user),
    )


def _count_imported(user: int, conversation: int, upto: int) -> None:
    """Count as unread what was imported, up to a message: the user has marked it so. What is imported later is not unread."""
    # Raw: as above.
    execute(
        "UPDATE memberships SET unread_upto=? WHERE conversation_id=? AND user_id=? AND to_event IS NULL",
        (upto, conversation, user),
    )


def _append(tx: Transaction, stream: str, user: int, conversation: int, message: int, unread: int) -> None:
    mentions = count_unread_mentions(user, conversation) if unread else 0
    data = {"conversation": conversation, "user": user, "message": message, "unread": unread, "mentions_unread": mentions}
    tx.append(stream, "read.updated", msgspec.json.encode(data))
