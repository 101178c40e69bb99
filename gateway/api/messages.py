"""Messages: sending them is the hot path; reading, editing, deleting and reacting."""

from __future__ import annotations

import time
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from gateway.http.base import MESSAGE_BODY_BYTES, Handler
from gateway.http.describe import PAGED, IntParameter, Listed, UncheckedId, chars, describe, one_of
from gateway.http.errors import ProblemError
from metrics import declared as metrics
from models.chat import message as messages
from models.chat.message import BODY_CHARS, CLIENT_ID_CHARS, PRIORITIES, Draft, MessageView
from models.identity import token
from models.store.errors import RefusedError

# The stages of a send add up to the send.
STAGES = {s: metrics.SEND_STAGE_SECONDS.labels(s) for s in ("parse", "authorize", "wait", "commit", "publish")}
OUTCOMES = {o: metrics.MESSAGE_SEND_SECONDS.labels(o) for o in ("ok", "duplicate", "refused", "error")}
AROUND = IntParameter("around", "half before this message, half after it")
SENT = {k: metrics.MESSAGES_SENT_TOTAL.labels(k) for k in ("direct", "group")}


class NewMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message to be sent. What else must hold is checked where a retry is recognised first."""

    body: Annotated[str, chars(1, BODY_CHARS, "needed, unless `client_id` was used before", enforced=False)] = ""
    to: Annotated[UncheckedId, Meta(description="a user; this, or a conversation")] | None = None
    conversation: UncheckedId | None = None
    client_id: Annotated[str, chars(1, CLIENT_ID_CHARS, "the same again: the first message is answered, none is made")] | None = (
        None
    )
    priority: Annotated[str, one_of(PRIORITIES, enforced=False)] = "normal"
    reply_to: UncheckedId | None = None


EXAMPLE = {"to": 3, "body": "hello Bob", "client_id": "my-1"}


class MessageEdit(msgspec.Struct, forbid_unknown_fields=True):
    """A message's new text."""

    body: Annotated[str, chars(1, BODY_CHARS)]


class Messages(Handler):
    """POST: one message, answered when it is on disk."""

    body_limit = MESSAGE_BODY_BYTES
    rate_limit: ClassVar[str] = "send"

    @describe("Send a message", {201: MessageView, 200: MessageView}, body=NewMessage, errors=("not-found",), example=EXAMPLE)
    async def post(self) -> None:
        """201 MESSAGE, or 200 and the first one when this `client_id` was used before."""
        authorize_s, arrived = self.request.request_time(), time.perf_counter()
        outcome = "error"
        try:
            operation = self.services.committer.post(self._draft())
            posted = await operation.future
            outcome = "ok" if posted.created else "duplicate"
            self.stages = operation.stages(arrived, authorize_s)
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

    def _draft(self) -> Draft:
        new = self.decode(NewMessage)
        return Draft(
            self.actor.user,
            self.actor.token,
            new.body,
            new.to,
            new.conversation,
            new.client_id,
            new.priority,
            new.reply_to,
        )


class Message(Handler):
    """One message, for the members of its conversation."""

    body_limit = MESSAGE_BODY_BYTES

    @describe("Read a message", {200: MessageView})
    async def get(self, message: str) -> None:
        """200 MESSAGE."""
        self.answer(await self.services.read(messages.get_view, self.actor.user, int(message)))

    @describe("Edit a message", {200: MessageView}, body=MessageEdit, errors=("forbidden",), example={"body": "hello, Bob"})
    async def patch(self, message: str) -> None:
        """200 MESSAGE with the new text: the sender's own."""
        user, number, body = self.actor.user, int(message), self.decode(MessageEdit).body
        self.answer(await self.commit(lambda tx: messages.edit(tx, user, number, body)))

    @describe("Delete a message", {204: None}, errors=("forbidden",))
    async def delete(self, message: str) -> None:
        """204; the message stays as an empty one."""
        actor, number = self.actor, int(message)
        await self.commit(lambda tx: messages.delete(tx, *token.check_actor(tx, actor.token), number))
        self.answer(None, 204)


class Reaction(Handler):
    """The caller's emoji on a message."""

    @describe("React to a message", {204: None}, errors=("invalid",))
    async def put(self, message: str, emoji: str) -> None:
        """204, also when it was there."""
        await self._react(message, emoji, added=True)

    @describe("Take a reaction back", {204: None}, errors=("invalid",))
    async def delete(self, message: str, emoji: str) -> None:
        """204, also when it was not there."""
        await self._react(message, emoji, added=False)

    async def _react(self, message: str, emoji: str, *, added: bool) -> None:
        user, number = self.actor.user, int(message)
        await self.commit(lambda tx: messages.react(tx, user, number, emoji, added=added))
        self.answer(None, 204)


class History(Handler):
    """A conversation's messages."""

    @describe("List a conversation's messages", {200: Listed[MessageView]}, query=(AROUND, *PAGED))
    async def get(self, conversation: str) -> None:
        """A list of MESSAGE, newest first, or those around one."""
        before, limit = self.query_page_id()
        around = self.query_int(AROUND)
        found = await self.services.read(messages.history, self.actor.user, int(conversation), before, around, limit + 1)
        items = found[:limit]
        self.answer_list(items, (items[-1].id,) if len(found) > limit else None)
