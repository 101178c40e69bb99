"""The state with which a client starts, read in one snapshot with a constant number of queries."""

from __future__ import annotations

from typing import Any

import msgspec

from models.chat import blocks, views
from models.chat import conversation as conversations
from models.chat.conversation import ConversationView
from models.identity import user as users
from models.log import event
from models.notices import notification
from models.store.database import chunks, snapshot

MAX_BYTES = 1024 * 1024  # of the conversations' JSON
MAX_CONVERSATIONS_PER_READ = 200  # with long last messages, these are 16 MB in memory
MAX_CONVERSATIONS = 1000  # the newest; older ones are on the pages of the list


def _newest_conversations(user: int) -> list[ConversationView]:
    """The conversations with the latest activity, as many as fit."""
    listed: list[ConversationView] = []
    size = 0
    newest = [
        conversation for _, conversation in conversations.ids_by_activity(user, conversations.newest_message())[:MAX_CONVERSATIONS]
    ]
    for part in chunks(newest, MAX_CONVERSATIONS_PER_READ):
        for view in views.conversation_views(user, part):
            size += len(msgspec.json.encode(view))
            if listed and size > MAX_BYTES:
                return listed
            listed.append(view)
    return listed


def load(user: int) -> dict[str, Any]:
    """Return `head`, the user, conversations, the presence of members of small ones, whom the user blocks, the number of unread
    messages in conversations whose level is not `none`, and of unread notifications."""
    with snapshot():
        listed = _newest_conversations(user)
        peers = {m.user.id for view in listed if view.members_count is None for m in view.members} - {user}
        unread, unread_messages = notification.unread_counts(user)
        online = views.online_for(user, peers)
        return {
            "head": event.head(),
            "me": users.me(user),
            "conversations": listed,
            "presence": {str(peer): peer in online for peer in sorted(peers)},
            "unread_total": sum(view.unread for view in listed if view.level != "none"),
            "blocked": blocks.blocked_by(user),
            "notifications_unread": unread,
            "notifications_unread_messages": unread_messages,
        }
