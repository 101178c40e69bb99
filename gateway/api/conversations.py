"""Conversations: creating, listing and renaming them, their members, typing indicators and read marks."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple, TypedDict

import msgspec

from gateway.http import page_cursor
from gateway.http.base import ADMIN_BODY_BYTES, Handler
from gateway.http.describe import LIST_LIMIT_MAX, PAGED, Id, Listed, TextParameter, UserReference, chars, describe, many, one_of
from gateway.http.page_cursor import IdPosition
from gateway.http.request import field_error, is_number
from models.chat import additions, conversation_search, member_level, member_list, read_marks, targets, views
from models.chat import conversation as conversations
from models.chat.conversation import (
    MAX_ADDED_PER_TRANSACTION,
    MAX_MEMBERS_PER_REQUEST,
    MAX_TITLE_CHARS,
    ConversationView,
    MemberView,
)
from models.chat.member_level import MemberLevel
from models.chat.message import MessageView
from models.chat.views import ActivityPosition
from models.identity import user as users
from models.log.event import Transaction, conversation_stream
from models.notices.levels import LEVELS
from models.store.database import ID_MAX
from models.store.text_rules import is_displayable


class NewConversation(msgspec.Struct, forbid_unknown_fields=True):
    """A conversation to create, with the ids of its members. The caller is added."""

    members: Annotated[list[UserReference], many(1, MAX_MEMBERS_PER_REQUEST - 1, enforced=False)]
    title: Annotated[str, chars(1, MAX_TITLE_CHARS, enforced=False)] | None = None


EXAMPLE = {"members": [3, 4], "title": "The crew"}
NAME_OR_TITLE = TextParameter("q", "beginnings of words of the title, or of the other members' names; `@` may stand before it")


class NewTitle(msgspec.Struct, forbid_unknown_fields=True):
    """A group's new title."""

    title: Annotated[str, chars(1, MAX_TITLE_CHARS, enforced=False)]


class TypingState(msgspec.Struct, forbid_unknown_fields=True):
    """The caller's typing state."""

    typing: bool


class NewReadMark(msgspec.Struct, forbid_unknown_fields=True):
    """The message up to which the caller has read, or with `unread` the first one that they have not read."""

    message: Id
    unread: bool = False


class NewLevel(msgspec.Struct, forbid_unknown_fields=True):
    """The caller's level, null for the default, and the time when it ends and they have the default again."""

    level: Annotated[str, one_of(LEVELS)] | None
    until: Annotated[str, chars(1, 40, "RFC 3339")] | None = None


class UnreadCount(TypedDict):
    """The number of unread messages or notifications that are left."""

    unread: int


class ConversationAnswer(ConversationView, kw_only=True):
    """CONVERSATION. With more than 50 members, it lists the first 50 and has `members_count`. `read` is the caller's own mark."""

    last_message: MessageView | None


def _title(title: str | None) -> str | None:
    """The trimmed title. Raises ProblemError 422 if it cannot be displayed."""
    if title is None:
        return None
    if not (len(title.strip()) <= MAX_TITLE_CHARS and is_displayable(title)):
        raise field_error("title", f"must have 1 to {MAX_TITLE_CHARS} printable characters")
    return title.strip()


class ListPosition(NamedTuple):
    """A position in a list of conversations: see ActivityPosition. A page cursor of the version before has no third number."""

    activity: page_cursor.Integer
    conversation: page_cursor.Integer
    upto: page_cursor.Integer = ID_MAX


class Conversations(Handler):
    """The caller's conversations."""

    body_limit = ADMIN_BODY_BYTES  # a group can be created with thousands of members

    @describe("List my conversations", {200: Listed[ConversationAnswer]}, query=(NAME_OR_TITLE, *PAGED))
    async def get(self) -> None:
        """Answer a list of CONVERSATION, newest activity first. With `?q=` those in whose title each of its words begins a word, or
        without a title, in the names of the other members. Of thousands of conversations, the newest are searched."""
        start, limit = self.query_page(ListPosition)
        after, user, among = None if start is None else ActivityPosition(*start), self.actor.user, await self._found()
        await self.answer_list(
            lambda position, count: self.read(views.conversation_list, user, position, count, among), after, limit
        )

    async def _found(self) -> set[int] | None:
        """The conversations that `?q=` finds; None without it."""
        user, text = self.actor.user, self.query_text(NAME_OR_TITLE)
        return await self.services.search.of_account(user, conversation_search.find, user, [text]) if text.strip() else None

    @describe(
        "Create a conversation",
        {201: ConversationAnswer, 200: ConversationAnswer},
        body=NewConversation,
        errors=("not-found", "forbidden", "blocked"),
        example=EXAMPLE,
    )
    async def post(self) -> None:
        """Answer 201 with CONVERSATION, or 200 with the direct conversation that the two users have already.

        Where users don't reach everybody: 404 if one of the members is hidden from the caller or does not exist, 403 if only admins
        make conversations.
        """
        new = self.decode(NewConversation)
        title = _title(new.title)
        user = self.actor.user
        members = [member for member in dict.fromkeys(await self.user_ids(new.members)) if member != user]
        end = MAX_MEMBERS_PER_REQUEST if self.bound() is None else MAX_ADDED_PER_TRANSACTION
        if not 1 <= len(members) < end:
            raise field_error("members", f"must be 1 to {end - 1} ids of other users")

        if len(members) >= MAX_ADDED_PER_TRANSACTION:
            await self.read(conversations.require_active, members)

        def run(tx: Transaction) -> tuple[int, bool]:
            if len(members) == 1 and title is None:
                return targets.get_or_create_direct(tx, user, members[0], self.bound_in(tx))
            return additions.create_conversation(tx, user, members, title, self.bound_in(tx)), True

        conversation, is_new = await self.commit(run)
        if is_new:
            self.count_written(len(members), 0)  # the events of many members are few, and those after the first come later
        self.answer(await self._view(conversation), 201 if is_new else 200)

    async def _view(self, conversation: int) -> ConversationView:
        return await self.read(views.conversation_view, self.actor.user, conversation)


class Conversation(Handler):
    """One conversation, for its members."""

    @describe("Read a conversation", {200: ConversationAnswer})
    async def get(self, conversation: str) -> None:
        """Answer 200 with CONVERSATION."""
        self.answer(await self.read(views.conversation_view, self.actor.user, int(conversation)))

    @describe(
        "Rename a conversation",
        {200: ConversationAnswer},
        body=NewTitle,
        errors=("forbidden", "conflict"),
        example={"title": "Crew"},
    )
    async def patch(self, conversation: str) -> None:
        """Answer 200 with CONVERSATION and its new title. A group's owners may rename it."""
        user, number, title = self.actor.user, int(conversation), _title(self.decode(NewTitle).title)
        await self.commit(lambda tx: conversations.rename(tx, user, number, title))
        await self.get(conversation)


MEMBER_NAME = TextParameter("q", "beginnings of words of the username or the display name; `@` may stand before it")
MEMBER_IDS = TextParameter("ids", f"only those of these users: at most {LIST_LIMIT_MAX} ids, with commas between them")


class Members(Handler):
    """The members of a conversation."""

    @describe("List members", {200: Listed[MemberView]}, query=(MEMBER_NAME, MEMBER_IDS, *PAGED))
    async def get(self, conversation: str) -> None:
        """Answer a list of members as in CONVERSATION, by the ids of the users. For members."""
        number, caller = int(conversation), self.actor.user
        words, among = users.search_words(self.query_text(MEMBER_NAME)), self._ids()
        start, limit = self.query_page_id()

        async def read(position: IdPosition | None, count: int) -> list[tuple[IdPosition, MemberView]]:
            after = 0 if position is None else position.id
            found = await self.services.search.of_account(caller, member_list.page, caller, number, words, among, after, count)
            return [(IdPosition(member.user.id), member) for member in found]

        await self.answer_list(read, None if start is None else IdPosition(start), limit)

    def _ids(self) -> list[int]:
        ids = [text for text in self.query_text(MEMBER_IDS).split(",") if text]
        if len(ids) > LIST_LIMIT_MAX or not all(is_number(text) for text in ids):
            raise field_error(MEMBER_IDS.name, f"must be at most {LIST_LIMIT_MAX} ids, with commas between them")
        return [int(text) for text in ids]


class Member(Handler):
    """One member of a group."""

    @describe("Add a member", {204: None}, errors=("forbidden", "conflict", "invalid"))
    async def put(self, conversation: str, member: str) -> None:
        """Answer 204. A group's owners may add members."""
        user, number, added = self.actor.user, int(conversation), int(member)
        await self.commit(lambda tx: conversations.add_member(tx, user, number, added, self.bound_in(tx)))
        self.answer(None, 204)

    @describe("Remove a member, or leave", {204: None}, errors=("forbidden", "not-a-member", "conflict"))
    async def delete(self, conversation: str, member: str) -> None:
        """Answer 204. A group's owners may remove members, and a member may leave."""
        user, number, removed = self.actor.user, int(conversation), int(member)
        await self.commit(lambda tx: conversations.remove_member(tx, user, number, removed))
        self.answer(None, 204)


class TypingIndicator(Handler):
    """The caller's typing state: an event for the members who are online now, which is never stored."""

    rate_limit: ClassVar[str] = "typing"

    @describe("Set my typing state", {204: None}, body=TypingState, example={"typing": True})
    async def post(self, conversation: str) -> None:
        """Answer 204. Members of a conversation of more than 50 members are not shown it, nor the other user of a direct
        one where either blocks the other."""
        typing = self.decode(TypingState).typing
        number, user = int(conversation), self.actor.user
        if await self.read(conversations.shows_typing, number, user):
            data: dict[str, Any] = {"conversation": number, "user": user, "typing": typing}
            self.services.hub.publish_ephemeral(None, conversation_stream(number), "typing", data, except_user=user)
        self.answer(None, 204)


class ReadMark(Handler):
    """The caller's read mark: the last message that they have read."""

    @describe("Mark as read", {200: UnreadCount}, body=NewReadMark, example={"message": 7})
    async def post(self, conversation: str) -> None:
        """Answer 200 with `{"unread"}`. A mark never moves back, except by `"unread": true`: then this message and those after it
        are unread for the caller, while others go on seeing how far they had read."""
        user, number, mark = self.actor.user, int(conversation), self.decode(NewReadMark)
        move = read_marks.mark_unread if mark.unread else read_marks.mark_read
        unread = await self.commit(lambda tx: move(tx, user, number, mark.message))
        self.answer({"unread": unread})


class ConversationLevel(Handler):
    """The caller's level: which messages of a conversation they are notified of."""

    @describe("Set my level", {200: MemberLevel}, body=NewLevel, errors=("invalid",), example={"level": "mentions"})
    async def put(self, conversation: str) -> None:
        """Answer 200 with the level, and with the time when it ends, if it does. The caller is notified of `all` messages, of those
        with `mentions` of them, or of `none`. The default is `all` in conversations of up to 50 members, `mentions` in others."""
        user, number, new = self.actor.user, int(conversation), self.decode(NewLevel)
        until_ms = None if new.until is None else self.time_ms("until", new.until)
        self.answer(await self.commit(lambda tx: member_level.set_level(tx, user, number, new.level, until_ms)))
