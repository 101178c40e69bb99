"""Everything a client starts from, in one snapshot and a fixed few queries."""

from __future__ import annotations

from typing import Any

from models.chat import conversation as conversations
from models.chat import presence, views
from models.identity import user as users
from models.log import event
from models.notices import notification
from models.store.database import snapshot

CONVERSATIONS_SHOWN = 1000  # the newest; older ones are on the list's pages


def load(user: int) -> dict[str, Any]:
    """`head`, me, conversations, presence of who is in small ones, and the number of unread notifications."""
    with snapshot():
        newest = conversations.ids_by_activity(user)[:CONVERSATIONS_SHOWN]
        shown = views.conversation_views(user, [i for _, i in newest])
        peers = {m.user.id for view in shown if view.members_count is None for m in view.members} - {user}
        online = presence.online_now(peers)
        return {
            "head": event.head(),
            "me": users.me(user),
            "conversations": shown,
            "presence": {str(peer): peer in online for peer in sorted(peers)},
            "notifications_unread": notification.unread_count(user),
        }
