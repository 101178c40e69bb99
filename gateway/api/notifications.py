"""The caller's notifications, and search over their messages."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import msgspec

from gateway.api.conversations import UnreadCount
from gateway.http import page_cursor
from gateway.http.base import Handler
from gateway.http.describe import PAGED, BoolParameter, Id, Listed, TextParameter, describe, many, one_of
from gateway.http.request import field_error
from models.chat import message as messages
from models.chat import search
from models.chat.message import MessageView
from models.notices import notification
from models.notices.preference import TYPES

IDS_AT_ONCE = 1000
SEARCH_TEXT = TextParameter("q", "words that the message holds", 1, 200, required=True)
UNREAD = BoolParameter("unread", "those unread alone")
TYPE = TextParameter("type", "of this type", one_of=TYPES)


class ReadRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Ids, or all."""

    ids: Annotated[list[Id], many(0, IDS_AT_ONCE)] | None = None
    all: bool = False


class NotificationAnswer(TypedDict):
    """NOTIFICATION: `count` is of how many things it tells."""

    id: int
    type: Annotated[str, one_of(TYPES)]
    title: str
    body: str
    data: dict[str, Any]
    count: int
    created_at: str
    read_at: str | None


class NotificationPage(TypedDict):
    """A page of a list, and how many are unread in all."""

    items: list[NotificationAnswer]
    next: str | None
    unread: int


class Notifications(Handler):
    """GET: what the caller was told."""

    @describe("List my notifications", {200: NotificationPage}, query=(UNREAD, TYPE, *PAGED))
    async def get(self) -> None:
        """A list of NOTIFICATION, newest first, with `unread`."""
        before, limit = self.query_page_id()
        unread_only, kind = self.query_bool(UNREAD), self.query_text(TYPE) or None
        found = await self.services.read(notification.list_page, self.actor.user, unread_only, kind, before, limit + 1)
        unread = await self.services.read(notification.unread_count, self.actor.user)
        following = page_cursor.encode((found[limit - 1]["id"],)) if len(found) > limit else None
        self.answer({"items": found[:limit], "next": following, "unread": unread})


class NotificationsReadMark(Handler):
    """POST: marks them read."""

    @describe("Mark notifications read", {200: UnreadCount}, body=ReadRequest, example={"all": True})
    async def post(self) -> None:
        """200 `{"unread"}`."""
        request = self.decode(ReadRequest)
        if (request.ids is None) == (not request.all):
            raise field_error("ids", "must be set, or else `all` must be true")
        user, ids = self.actor.user, request.ids
        unread = await self.commit(lambda tx: notification.mark_read(tx, user, ids))
        self.answer({"unread": unread})


class MessageSearch(Handler):
    """GET: the caller's messages that hold the words."""

    @describe("Search my messages", {200: Listed[MessageView]}, query=(SEARCH_TEXT, *PAGED))
    async def get(self) -> None:
        """A list of MESSAGE, newest first."""
        before, limit = self.query_page_id()
        found = await self.services.read(search.find, self.actor.user, self.query_text(SEARCH_TEXT), before, limit + 1)
        items = await self.services.read(messages.views, found[:limit])
        self.answer_list(list(items), (found[limit - 1],) if len(found) > limit else None)
