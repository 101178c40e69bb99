"""Messages: sending (the hot path), reading, editing and deleting them, and reactions."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.http import page_cursor
from gateway.http.base import MAX_BYTES_PER_ANSWER, MAX_ITEMS_PER_FIRST_READ, MESSAGE_BODY_BYTES, Handler
from gateway.http.describe import PAGED, IntParameter, Listed, UncheckedId, UncheckedUser, chars, describe, one_of
from gateway.http.errors import ProblemError
from metrics import declared as metrics
from models.chat import message as messages
from models.chat.drafts import MAX_BODY_CHARS, MAX_CLIENT_ID_CHARS, PRIORITIES, Draft
from models.chat.message import MessageView
from models.files.claims import MAX_FILES
from models.store.errors import RefusedError

# The stages of a send add up to the send.
STAGES = {s: metrics.SEND_STAGE_SECONDS.labels(s) for s in ("parse", "authorize", "wait", "commit", "publish")}
OUTCOMES = {o: metrics.MESSAGE_SEND_SECONDS.labels(o) for o in ("ok", "duplicate", "refused", "error")}
AROUND = IntParameter("around", "a message id: half of the page is before this message, half after it")
SENT = {k: metrics.MESSAGES_SENT_TOTAL.labels(k) for k in ("direct", "group")}
BODY_ABOUT = "required, unless it has files or `client_id` was used before"
AttachedFiles = Annotated[
    list[UncheckedId],
    Meta(
        description="ids of own files that were uploaded and not sent yet",
        extra_json_schema={"minItems": 1, "maxItems": MAX_FILES, "uniqueItems": True},
    ),
]


class NewMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message to send. The transaction checks most of its fields, after it has recognised a retry by `client_id`."""

    body: Annotated[str, chars(0, MAX_BODY_CHARS, BODY_ABOUT, enforced=False)] = ""
    to: Annotated[UncheckedUser, Meta(description="a user; either this or `conversation` is required")] | None = None
    conversation: UncheckedId | None = None
    client_id: (
        Annotated[str, chars(1, MAX_CLIENT_ID_CHARS, "the idempotency key: if it was used before, the answer is that message")]
        | None
    ) = None
    priority: Annotated[str, one_of(PRIORITIES, enforced=False)] = "normal"
    reply_to: UncheckedId | None = None
    files: AttachedFiles | UnsetType = UNSET


EXAMPLE = {"to": 3, "body": "hello Bob", "client_id": "my-1"}


class MessageEdit(msgspec.Struct, forbid_unknown_fields=True):
    """The new text of a message."""

    body: Annotated[str, chars(0, MAX_BODY_CHARS, "may be empty if the message has files")]


class Messages(Handler):
    """Sends a message, which is on disk when it is answered."""

    body_limit = MESSAGE_BODY_BYTES
    rate_limit: ClassVar[str] = "send"

    @describe(
        "Send a message",
        {201: MessageView, 200: MessageView},
        body=NewMessage,
        errors=("not-found", "forbidden", "blocked"),
        example=EXAMPLE,
    )
    async def post(self) -> None:
        """Answer 201 with MESSAGE, or 200 with the earlier one if this `client_id` was used before."""
        authorize_s, arrived = self.request.request_time(), time.perf_counter()
        outcome = "error"
        try:
            new = self.decode(NewMessage)
            to = await self.user_id(new.to) if isinstance(new.to, str) else new.to
            operation = self.submit_message(self._draft(new, to))
            posted = await operation.future
            outcome = "ok" if posted.created else "duplicate"
            self.stages = operation.stages(arrived, authorize_s)
            if posted.created:
                self.count_written(1, 2 * len(posted.json))  # the row and the event
            self.answer(posted.json, 201 if posted.created else 200)
        except (RefusedError, ProblemError):
            outcome = "refused"
            raise
        finally:
            answered = time.perf_counter()
            OUTCOMES[outcome].observe(authorize_s + answered - arrived)
        if posted.created:
            SENT[posted.kind].inc()
        STAGES["authorize"].observe(authorize_s)
        STAGES["parse"].observe(operation.submitted - arrived)
        STAGES["wait"].observe(operation.started - operation.submitted)
        STAGES["commit"].observe(operation.committed - operation.started)
        STAGES["publish"].observe(answered - operation.committed)

    def _draft(self, new: NewMessage, to: int | None) -> Draft:
        return Draft(
            self.actor.user,
            self.actor.token,
            new.body,
            to,
            new.conversation,
            new.client_id,
            new.priority,
            new.reply_to,
            self.services.settings.contacts,
            None if new.files is UNSET else new.files,
        )


class Message(Handler):
    """A message, for the members of its conversation."""

    body_limit = MESSAGE_BODY_BYTES

    @describe("Read a message", {200: MessageView})
    async def get(self, message: str) -> None:
        """Answer 200 with MESSAGE."""
        self.answer(await self.read(messages.get_view, self.actor.user, int(message)))

    @describe(
        "Edit a message", {200: MessageView}, body=MessageEdit, errors=("forbidden", "blocked"), example={"body": "hello, Bob"}
    )
    async def patch(self, message: str) -> None:
        """Answer 200 with MESSAGE and its new text. Only its sender may edit a message."""
        user, number, body = self.actor.user, int(message), self.decode(MessageEdit).body
        self.answer(await self.commit(lambda tx: messages.edit(tx, user, number, body)))

    @describe("Delete a message", {204: None}, errors=("forbidden",))
    async def delete(self, message: str) -> None:
        """Answer 204. The message stays, with an empty body."""
        number = int(message)
        await self.commit(lambda tx: messages.delete(tx, *self.checked_actor(tx), number))
        self.answer(None, 204)


class Reaction(Handler):
    """A reaction of the caller to a message: an emoji."""

    @describe("React to a message", {204: None}, errors=("invalid", "blocked"))
    async def put(self, message: str, emoji: str) -> None:
        """Answer 204, also if the reaction existed already. A message has at most 50 different ones: another is answered 422."""
        await self._react(message, emoji, added=True)

    @describe("Remove a reaction", {204: None}, errors=("invalid",))
    async def delete(self, message: str, emoji: str) -> None:
        """Answer 204, also if there was no such reaction."""
        await self._react(message, emoji, added=False)

    async def _react(self, message: str, emoji: str, *, added: bool) -> None:
        user, number = self.actor.user, int(message)
        await self.commit(lambda tx: messages.react(tx, user, number, emoji, added=added))
        self.answer(None, 204)


class History(Handler):
    """The messages of a conversation."""

    @describe("List a conversation's messages", {200: Listed[MessageView]}, query=(AROUND, *PAGED))
    async def get(self, conversation: str) -> None:
        """Answer a list of MESSAGE, newest first: a page of all, or those around one message."""
        around = self.query_int(AROUND)
        start, limit = self.query_page_id()

        async def read(before: int | None, count: int) -> list[MessageView]:
            return await self.read(messages.history, self.actor.user, int(conversation), before, None, count)

        if around is None:
            await self.answer_list_by_id(read)
            return
        fetched, count = await self._read_around(int(conversation), start, around, limit)
        items = _closest(fetched[:count], around)
        following = page_cursor.encode((items[-1].id,)) if items and items[-1] is not fetched[-1] else None
        self.answer({"items": items, "next": following})

    async def _read_around(self, conversation: int, start: int | None, around: int, limit: int) -> tuple[list[MessageView], int]:
        """Read a few messages, then as many as would fit an answer if they were like these. Return them, and how many were to be
        read: an older one may follow these."""
        read, count = partial(messages.history, self.actor.user, conversation, start, around), min(limit, MAX_ITEMS_PER_FIRST_READ)
        fetched = await self.read(read, count + 1)
        size = sum(len(msgspec.json.encode(view)) for view in fetched)
        fitting = min(limit, len(fetched) * MAX_BYTES_PER_ANSWER // max(size, 1))
        if len(fetched) <= count or fitting <= count:
            return fetched, count
        return await self.read(read, fitting + 1), fitting


def _closest(newest_first: list[MessageView], around: int) -> list[MessageView]:
    """The messages without those that are furthest from one of them, until they fit an answer."""
    sizes = [len(msgspec.json.encode(view)) for view in newest_first]
    start, end, size = 0, len(sizes), sum(sizes)
    while size > MAX_BYTES_PER_ANSWER and end - start > 1:
        newer = sum(view.id > around for view in newest_first[start:end])
        if newer > end - start - newer:
            size, start = size - sizes[start], start + 1
        else:
            size, end = size - sizes[end - 1], end - 1
    return newest_first[start:end]
