"""The caller's notifications, and search over their messages."""

from __future__ import annotations

import msgspec

from gateway.asked import field_error
from gateway.base import ID_MAX, Handler
from models import message as messages
from models import notification, search

IDS_AT_ONCE = 1000
QUERY_CHARS = 200


class ReadThese(msgspec.Struct, forbid_unknown_fields=True):
    """Ids, or all."""

    ids: list[int] | None = None
    all: bool = False


class Notifications(Handler):
    """GET: what the caller was told."""

    async def get(self) -> None:
        """A list of NOTIFICATION, newest first, with `unread`."""
        before, limit = self.page_number()
        unread_only = self.text("unread") == "true"
        kind = self.text("type") or None
        found = await self.services.read(notification.listed, self.actor.user, unread_only, kind, before, limit + 1)
        unread = await self.services.read(notification.unread_count, self.actor.user)
        following = str(found[limit - 1]["id"]) if len(found) > limit else None
        self.answer({"items": found[:limit], "next": following, "unread": unread})


class NotificationsRead(Handler):
    """POST: marks them read."""

    async def post(self) -> None:
        """200 `{"unread"}`."""
        asked = self.decode(ReadThese)
        if (asked.ids is None) == (not asked.all):
            raise field_error("ids", "exactly one of ids and all")
        ids = asked.ids
        if ids is not None and not (len(ids) <= IDS_AT_ONCE and all(0 < i < ID_MAX for i in ids)):
            raise field_error("ids", f"at most {IDS_AT_ONCE} ids")
        user = self.actor.user
        left = await self.commit(lambda log: notification.mark_read(log, user, ids))
        self.answer({"unread": left})


class Search(Handler):
    """GET: the caller's messages that hold the words."""

    async def get(self) -> None:
        """A list of MESSAGE, newest first."""
        before, limit = self.page_number()
        text = self.text("q")
        if not 1 <= len(text) <= QUERY_CHARS:
            raise field_error("q", f"1 to {QUERY_CHARS} characters")
        found = await self.services.read(search.find, self.actor.user, text, before, limit + 1)
        items = await self.services.read(messages.views, found[:limit])
        self.listed(list(items), found[limit - 1] if len(found) > limit else None)
