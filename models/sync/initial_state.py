"""The state with which a client starts, read in one snapshot with a constant number of queries."""

from __future__ import annotations

from typing import Any

from models.chat import conversation as conversations
from models.chat import presence, views
from models.identity import user as users
from models.log import event
from models.notices import notification
from models.store.database import snapshot

MAX_CONVERSATIONS = 1000  # the newest; older ones are on the pages of the list


def load(user: int) -> dict[str, Any]:
    """Return `head`, the user, conversations, the presence of members of small ones, and the number of unread notifications."""
    with snapshot():
        newest = conversations.ids_by_activity(user)[:MAX_CONVERSATIONS]
        listed = views.conversation_views(user, [i for _, i in newest])
        peers = {m.user.id for view in listed if view.members_count is None for m in view.members} - {user}
        online = presence.online_now(peers)
        return {
            "head": event.head(),
            "me": users.me(user),
            "conversations": listed,
            "presence": {str(peer): peer in online for peer in sorted(peers)},
            "notifications_unread": notification.unread_count(user),
        }
