"""Which notifications quiet hours do not delay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.chat.conversation import Membership
from models.chat.message import Message
from models.notices import host_types
from models.notices.notification import UnreadNotification
from models.store.database import fetch_column

ACCOUNT, MESSAGE = "account", "message"  # the types of notifications that are about the account, and about messages
MAX_UNREAD_READ = 200  # newest unread messages among which the one that a mail is about is looked for


def urgent_among(user: int, unread: Sequence[UnreadNotification]) -> set[int]:
    """Return the ids of those of a user's unread notifications that are of an urgent type of the host's, or about messages of which
    an urgent one is unread."""
    types = host_types.urgent_names({item.type for item in unread})
    return {
        item.id
        for item in unread
        if item.type in types or (item.type == MESSAGE and "urgent" in unread_priorities(user, item.data.get("conversation")))
    }


def unread_priorities(user: int, conversation: Any) -> list[str]:
    """Return the priorities of the messages of a conversation that a user has not read, newest first."""
    is_own = (Membership.user == user) & (Membership.conversation == conversation) & Membership.to_event.is_null()
    read = Membership.select(Membership.read_message).where(is_own).scalar() or 0
    unread = Message.select(Message.priority).where(
        *(Message.conversation == conversation, Message.id > read, Message.sender != user, Message.deleted_ms.is_null()),
        Message.event != 0,  # not imported
    )
    return fetch_column(unread.order_by(Message.id.desc()).limit(MAX_UNREAD_READ))
