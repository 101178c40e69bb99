"""Read marks: the newest message that each member has read. A mark never moves back."""

from __future__ import annotations

import msgspec

from models.chat.conversation import MAX_MEMBERS_IN_VIEW, require_member
from models.chat.views import count_unread
from models.log.event import Transaction, conversation_stream, user_stream
from models.notices import notification as notifications
from models.store.database import affected_rows, rows
from models.store.errors import InvalidError


def mark_read(tx: Transaction, user: int, conversation: int, message: int) -> int:
    """Move the user's read mark to a message; returns the number of messages that are unread after it.

    A mark that is not after the present one changes nothing. In a small conversation all members receive `read.updated`, in a
    large one only the user. Raises NotFoundError and InvalidError.
    """
    require_member(conversation, user)
    # Raw: moving a read mark is as frequent as a send.
    newest, is_in_conversation = rows(
        "SELECT (SELECT max(id) FROM messages WHERE conversation_id=?), (SELECT 1 FROM messages WHERE id=? AND conversation_id=?)",
        (conversation, message, conversation),
    )[0]
    if not is_in_conversation:
        raise InvalidError(("message", "must be a message of this conversation"))
    moved = affected_rows(
        "UPDATE memberships SET read_message=? WHERE conversation_id=? AND user_id=? AND to_event IS NULL "
        "AND coalesce(read_message, 0)<?",
        (message, conversation, user, message),
    )
    unread = 0 if message == newest else count_unread(user, conversation)
    if moved:
        data = msgspec.json.encode({"conversation": conversation, "user": user, "message": message, "unread": unread})
        ((is_small,),) = rows("SELECT members_count<=? FROM conversations WHERE id=?", (MAX_MEMBERS_IN_VIEW, conversation))
        tx.append(conversation_stream(conversation) if is_small else user_stream(user), "read.updated", data)
        if not unread:
            notifications.mark_group_read(tx, user, notifications.conversation_grouping(conversation))
    return unread
