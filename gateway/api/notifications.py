"""The caller's notifications, and the search in their messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

from gateway.api.conversations import UnreadCount
from gateway.http.base import Handler
from gateway.http.describe import PAGED, BoolParameter, Id, IntParameter, Listed, TextParameter, UserParameter, describe, many
from gateway.http.request import field_error
from jobs.insight.explain import explain_own
from models.chat import search, search_hits
from models.chat.search_hits import SearchHit
from models.chat.search_scope import SearchFilter
from models.notices import host_types, notification
from models.notices.preference import TYPES

MAX_IDS_PER_REQUEST = 1000
SEARCH_TEXT = TextParameter(
    "q",
    "words of the message, or beginnings of words, and filters: from:NAME in:TITLE after:DATE before:DATE",
    1,
    200,
    required=True,
)
SEARCH_FROM = UserParameter("from", "only messages of this user")
SEARCH_CONVERSATION = IntParameter("conversation", "only messages of this conversation")
SEARCH_BEFORE = IntParameter("before", "only messages older than this one")
SEARCH_FILTERS = (SEARCH_FROM, SEARCH_CONVERSATION, SEARCH_BEFORE)
UNREAD = BoolParameter("unread", "only unread ones")
TYPE = TextParameter("type", "only those of this type")


class ReadRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The notifications to mark as read: those of `ids`, or all."""

    ids: Annotated[list[Id], many(0, MAX_IDS_PER_REQUEST)] | None = None
    all: bool = False


class NotificationAnswer(TypedDict):
    """NOTIFICATION. `type` is one of Bellwire's own, or of the host's, which may have a `url`: an address, or a path of the host's.
    `count` is the number of causes that it counts."""

    id: int
    type: str
    title: str
    body: str
    data: dict[str, Any]
    count: int
    created_at: str
    read_at: str | None
    url: NotRequired[str]


class NotificationPage(TypedDict):
    """A page of notifications, the number of all that are unread, and how many of those are about messages."""

    items: list[NotificationAnswer]
    next: str | None
    unread: int
    unread_messages: int


class Notifications(Handler):
    """The caller's notifications."""

    @describe("List my notifications", {200: NotificationPage}, query=(UNREAD, TYPE, *PAGED))
    async def get(self) -> None:
        """Answer a list of NOTIFICATION, newest first, with `unread` and `unread_messages`."""
        user, unread_only, chosen = self.actor.user, self.query_bool(UNREAD), self.query_text(TYPE) or None
        if chosen is not None and chosen not in TYPES and not await self.read(host_types.exist, [chosen]):
            raise field_error(TYPE.name, "must be one of " + ", ".join(TYPES) + ", or a type of the host's")
        unread, of_messages = await self.read(notification.unread_counts, user)

        async def read(before: int | None, count: int) -> list[dict[str, Any]]:
            return await self.read(notification.list_page, user, chosen, before, count, unread_only=unread_only)

        await self.answer_list_by_id(read, unread=unread, unread_messages=of_messages)


class DecisionAnswer(TypedDict):
    """The decisions of a rule about the caller: that they are notified, and what becomes of the mail."""

    rule: str
    type: str
    decided: list[str]


class OwnMailAnswer(TypedDict):
    """A mail to the caller about the notification, and its state."""

    kind: str
    state: str
    queued_at: str
    ended_at: str | None


class OwnExplanationAnswer(TypedDict):
    """Why the caller has a notification. `mail_due_at` is when it will be mailed, if it will."""

    rules: list[DecisionAnswer]
    mails: list[OwnMailAnswer]
    mail_due_at: str | None


class NotificationExplanation(Handler):
    """The reasons for one of the caller's notifications."""

    @describe("Explain one of my notifications", {200: OwnExplanationAnswer})
    async def get(self, notification: str) -> None:
        """Answer 200 with `{"rules":[{"rule","type","decided":[…]}],"mails":[…],"mail_due_at"}`, about the newest of what it
        counts. There are no rules for an announcement, for what an admin watches, and when the event is no longer kept
        or far back."""
        self.answer(await self.read(explain_own, int(notification), self.actor.user))


class NotificationsReadMark(Handler):
    """Marks notifications as read."""

    @describe("Mark notifications as read", {200: UnreadCount}, body=ReadRequest, example={"all": True})
    async def post(self) -> None:
        """Answer 200 with `{"unread"}`."""
        request = self.decode(ReadRequest)
        if (request.ids is None) == (not request.all):
            raise field_error("ids", "exactly one of ids and all must be set")
        user, ids = self.actor.user, request.ids
        unread = await self.commit(lambda tx: notification.mark_read(tx, user, ids))
        self.answer({"unread": unread})


class MessageSearch(Handler):
    """Search in the messages of the caller's conversations."""

    @describe("Search my messages", {200: Listed[SearchHit]}, query=(SEARCH_TEXT, *SEARCH_FILTERS, *PAGED))
    async def get(self) -> None:
        """Answer a list of MESSAGE, newest first, with the places of the words in `marks`. A page may have few or none, and a
        `next`, when a search takes long.

        `from:` is the beginning of a name, a username after an `@`, or `me`; `in:` is the beginning of a word of a conversation's
        title, or of the other person's name. A name of several words is quoted: `in:"The crew"`. `after:` is from a day on,
        `before:` until it begins: `2026-11-21`, `2026-11` or `2026`, in the caller's time zone. Of several names (at most
        5) any will do; those after `from:` may mean 10,000 people. Other filters are words.
        """
        user, text, chosen = self.actor.user, self.query_text(SEARCH_TEXT), await self._filter()
        start, limit = self.query_page_id()
        before = min((end for end in (start, self.query_int(SEARCH_BEFORE)) if end is not None), default=None)
        found = await self.services.search.of_account(user, search.find, user, text, before, limit + 1, chosen)

        async def read(after: int | None, count: int) -> Sequence[SearchHit]:
            left = [id_ for id_ in found.ids if after is None or id_ < after]
            return await self.services.search.of_account(user, search_hits.hits, left[:count], found.phrases)

        await self.answer_list_by_id(read, found.reached)

    async def _filter(self) -> SearchFilter:
        return SearchFilter(await self.query_user(SEARCH_FROM), self.query_int(SEARCH_CONVERSATION), self.bound())
