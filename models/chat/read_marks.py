"""Read marks: how far each member has read, which only ever moves on."""

from __future__ import annotations

import msgspec

from models.chat.conversation import MAX_MEMBERS_IN_VIEW, require_member
from models.chat.views import count_unread
from models.log.event import Transaction, conversation_stream, user_stream
from models.notices import notification as notifications
from models.store.database import affected_rows, rows
from models.store.errors import InvalidError


def mark_read(tx: Transaction, user: int, conversation: int, message: int) -> int:
    """Reads up to a message and returns what is left unread. What an earlier or equal mark says changes nothing.

    The reader's devices hear of it with the others when the conversation is small, else alone (anybody in the conversation
    could count what is unread from the mark, so it is no secret there).
    """
    require_member(conversation, user)
    newest, there = rows(
        "SELECT (SELECT max(id) FROM messages WHERE conversation_id=?), (SELECT 1 FROM messages WHERE id=? AND conversation_id=?)",
        (conversation, message, conversation),
    )[0]
    if not there:
        raise InvalidError(("message", "no message of this conversation"))
    moved = affected_rows(
        "UPDATE memberships SET read_message=? WHERE conversation_id=? AND user_id=? AND to_event IS NULL "
        "AND coalesce(read_message, 0)<?",
        (message, conversation, user, message),
    )
    left = 0 if message == newest else count_unread(user, conversation)
    if moved:
        data = msgspec.json.encode({"conversation": conversation, "user": user, "message": message, "unread": left})
        small = rows("SELECT members_count<=? FROM conversations WHERE id=?", (MAX_MEMBERS_IN_VIEW, conversation))[0][0]
        tx.append(conversation_stream(conversation) if small else user_stream(user), "read.updated", data)
        if not left:
            notifications.mark_group_read(tx, user, notifications.conversation_grouping(conversation))
    return left
