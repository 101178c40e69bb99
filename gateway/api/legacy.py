"""The older client's two endpoints: a send, and a poll whose cursor the server keeps for each token."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypedDict

import msgspec
from tornado.iostream import StreamClosedError

from gateway.api.event_types import Event
from gateway.api.events import POLLS_OPEN, SubscribingHandler
from gateway.delivery.subscriptions import Answer
from gateway.http.base import MESSAGE_BODY_BYTES, Handler
from gateway.http.describe import Id, chars, describe
from models.chat.message import BODY_CHARS, Draft
from models.identity import token
from models.store.errors import DeadTokenError, ExpiredError, InvalidError
from models.sync.catchup import BEGINNING

POLL_S = 5.5
LEGACY_FIELD_NAMES = {"to": "receiver", "body": "message"}
MESSAGE_EVENTS = ("message.created", "message.updated", "message.deleted")


class LegacyNewMessage(msgspec.Struct):
    """A message of the older client; other fields are passed over."""

    receiver: Id
    message: Annotated[str, chars(1, BODY_CHARS)]


EXAMPLE = {"receiver": 3, "message": "hello Bob"}


class LegacyMessage(TypedDict):
    """A message as the older client knows it."""

    id: int
    conversation: int
    sender: int
    receiver: int
    message: str
    timestamp: str
    is_read: bool


class LegacyEvents(TypedDict):
    """Data of messages also carries `message`, the body."""

    events: list[Event]


class LegacyMessages(Handler):
    """POST: a direct message."""

    body_limit = MESSAGE_BODY_BYTES
    rate_limit: ClassVar[str] = "send"

    @describe("Send, as the older client", {201: LegacyMessage}, body=LegacyNewMessage, errors=("not-found",), example=EXAMPLE)
    async def post(self) -> None:
        """201, in the older shape."""
        new = self.decode(LegacyNewMessage)
        draft = Draft(self.actor.user, self.actor.token, new.message, to=new.receiver)
        try:
            posted = await self.services.committer.post(draft).future
        except InvalidError as error:
            raise InvalidError(*((LEGACY_FIELD_NAMES[field], message) for field, message in error.errors)) from None
        made = msgspec.json.decode(posted.json)
        shown = {name: made[name] for name in ("id", "conversation", "sender")}
        self.answer(
            {**shown, "receiver": new.receiver, "message": made["body"], "timestamp": made["created_at"], "is_read": False}, 201
        )


class LegacyPollState:
    """A token's polls on this gateway: how many are open, how many still use this, and how far the last answer went that was fully
    written."""

    __slots__ = ("open", "users", "written")

    def __init__(self) -> None:
        self.open = 0
        self.users = 0
        self.written = 0


class LegacyPoll(SubscribingHandler):
    """GET: `{"events"}`. A poll that starts after the last answer was fully written, while no other is open, acknowledges it."""

    @describe("Poll, as the older client", {200: LegacyEvents})
    async def get(self) -> None:
        """200, at once when there is something, else within 5.5 s."""
        token_id = self.actor.token
        poll_state = self.services.legacy_polls.setdefault(token_id, LegacyPollState())
        poll_state.users += 1
        try:
            written = await self._answer(poll_state, token_id)
            if written is not None:
                await self._record_positions(token_id, None, written)
        finally:
            poll_state.users -= 1
            if not poll_state.users:
                self.services.legacy_polls.pop(token_id, None)

    async def _answer(self, poll_state: LegacyPollState, token_id: int) -> int | None:
        """How far the answer went, once it is fully written: until then this poll is open. None when its client has left."""
        poll_state.open += 1
        POLLS_OPEN.inc()
        try:
            answer = await self._wait(poll_state, token_id)
            hub = self.services.hub
            parts = [self._legacy_json(hub.encode(e), e.type) for e in answer.events] + answer.ephemeral
            await self.finish(b'{"events":[' + b",".join(parts) + b"]}")
            poll_state.written = max(poll_state.written, answer.position)
            return answer.position
        except StreamClosedError:
            return None
        finally:
            POLLS_OPEN.dec()
            poll_state.open -= 1
            if self.subscription is not None:
                self.services.hub.unregister(self.subscription)

    async def _wait(self, poll_state: LegacyPollState, token_id: int) -> Answer:
        hub = self.services.hub
        position = await self._start(token_id, poll_state.written if poll_state.open == 1 else None)
        subscriber = hub.loaded_subscriber(self.actor.user) or await hub.subscriber(self.actor.user)
        self.subscription = hub.register(subscriber, token_id, position, None)
        await self.require_live_token()
        try:
            answer = await hub.next(self.subscription, POLL_S)
        except ExpiredError:
            hub.unregister(self.subscription)
            self.subscription = hub.register(subscriber, token_id, BEGINNING, None)
            answer = await hub.next(self.subscription, POLL_S)
        if self.subscription.end_reason == "dead":
            raise DeadTokenError("the token is dead")
        return answer

    async def _start(self, token_id: int, written_here: int | None) -> int:
        """Where this poll reads from. It acknowledges what was written, unless another poll was open (None)."""
        acked, written, _ = await self.services.read(token.poll_positions, token_id)
        if written_here is None or max(written, written_here) <= acked:
            return acked
        written = max(written, written_here)
        await self._record_positions(token_id, written, None)
        return written

    async def _record_positions(self, token_id: int, acked: int | None, written: int | None) -> None:
        await self.services.committer.call(None, lambda tx: token.advance_poll_positions(tx, token_id, acked, written))

    @staticmethod
    def _legacy_json(encoded: bytes, kind: str) -> bytes:
        """MESSAGE data also carries `message`, the body."""
        if kind not in MESSAGE_EVENTS:
            return encoded
        decoded: dict[str, Any] = msgspec.json.decode(encoded)
        decoded["data"]["message"] = decoded["data"]["body"]
        return msgspec.json.encode(decoded)
