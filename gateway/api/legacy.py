"""The older client's two endpoints: a send, and a poll whose cursor the server keeps for each token."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypedDict

import msgspec
from tornado.iostream import StreamClosedError

from gateway.api.event_types import Event
from gateway.api.events import POLLS_OPEN, Reading
from gateway.delivery.subscriptions import Answer
from gateway.http.base import MESSAGE_BODY_BYTES, Handler
from gateway.http.describe import Id, chars, describe
from models.chat.message import BODY_CHARS, Draft
from models.identity import token
from models.store.errors import DeadTokenError, ExpiredError, InvalidError
from models.sync.catchup import BEGINNING

POLL_S = 5.5
OLDER_NAMES = {"to": "receiver", "body": "message"}
MESSAGE_EVENTS = ("message.created", "message.updated", "message.deleted")


class Chat(msgspec.Struct):
    """A message of the older client; other fields are passed over."""

    receiver: Id
    message: Annotated[str, chars(1, BODY_CHARS)]


EXAMPLE = {"receiver": 3, "message": "hello Bob"}


class OlderMessage(TypedDict):
    """A message as the older client knows it."""

    id: int
    conversation: int
    sender: int
    receiver: int
    message: str
    timestamp: str
    is_read: bool


class OlderEvents(TypedDict):
    """Data of messages also carries `message`, the body."""

    events: list[Event]


class Chats(Handler):
    """POST: a direct message."""

    body_limit = MESSAGE_BODY_BYTES
    rate_limit: ClassVar[str] = "send"

    @describe("Send, as the older client", {201: OlderMessage}, body=Chat, errors=("not-found",), example=EXAMPLE)
    async def post(self) -> None:
        """201, in the older shape."""
        asked = self.decode(Chat)
        draft = Draft(self.actor.user, self.actor.token, asked.message, to=asked.receiver)
        try:
            posted = await self.services.committer.post(draft).future
        except InvalidError as error:
            raise InvalidError(*((OLDER_NAMES[field], message) for field, message in error.errors)) from None
        made = msgspec.json.decode(posted.json)
        shown = {name: made[name] for name in ("id", "conversation", "sender")}
        self.answer(
            {**shown, "receiver": asked.receiver, "message": made["body"], "timestamp": made["created_at"], "is_read": False}, 201
        )


class Place:
    """A token's polls on this gateway: how many are open, how many still use this, and how far the last answer went that was fully
    written."""

    __slots__ = ("held", "open", "written")

    def __init__(self) -> None:
        self.open = 0
        self.held = 0
        self.written = 0


class Poll(Reading):
    """GET: `{"events"}`. A poll that starts after the last answer was fully written, while no other is open, acknowledges it."""

    @describe("Poll, as the older client", {200: OlderEvents})
    async def get(self) -> None:
        """200, at once when there is something, else within 5.5 s."""
        number = self.actor.token
        place = self.services.legacy_places.setdefault(number, Place())
        place.held += 1
        try:
            written = await self._answer(place, number)
            if written is not None:
                await self._note(number, None, written)
        finally:
            place.held -= 1
            if not place.held:
                self.services.legacy_places.pop(number, None)

    async def _answer(self, place: Place, number: int) -> int | None:
        """How far the answer went, once it is fully written: until then this poll is open. None when its client has left."""
        place.open += 1
        POLLS_OPEN.inc()
        try:
            answer = await self._wait(place, number)
            hub = self.services.hub
            parts = [self._older(hub.encode(e), e.type) for e in answer.events] + answer.ephemeral
            await self.finish(b'{"events":[' + b",".join(parts) + b"]}")
            place.written = max(place.written, answer.position)
            return answer.position
        except StreamClosedError:
            return None
        finally:
            POLLS_OPEN.dec()
            place.open -= 1
            if self.waiter is not None:
                self.services.hub.unregister(self.waiter)

    async def _wait(self, place: Place, number: int) -> Answer:
        hub = self.services.hub
        position = await self._start(number, place.written if place.open == 1 else None)
        reader = hub.known(self.actor.user) or await hub.reader(self.actor.user)
        self.waiter = hub.register(reader, number, position, None)
        await self.still_lives()
        try:
            answer = await hub.next(self.waiter, POLL_S)
        except ExpiredError:
            hub.unregister(self.waiter)
            self.waiter = hub.register(reader, number, BEGINNING, None)
            answer = await hub.next(self.waiter, POLL_S)
        if self.waiter.ended == "dead":
            raise DeadTokenError("the token is dead")
        return answer

    async def _start(self, number: int, written_here: int | None) -> int:
        """Where this poll reads from. It acknowledges what was written, unless another poll was open (None)."""
        acked, written, _ = await self.services.read(token.poll_positions, number)
        if written_here is None or max(written, written_here) <= acked:
            return acked
        written = max(written, written_here)
        await self._note(number, written, None)
        return written

    async def _note(self, number: int, acked: int | None, written: int | None) -> None:
        await self.services.committer.call(None, lambda tx: token.advance_poll_positions(tx, number, acked, written))

    @staticmethod
    def _older(encoded: bytes, kind: str) -> bytes:
        """MESSAGE data also carries `message`, the body."""
        if kind not in MESSAGE_EVENTS:
            return encoded
        decoded: dict[str, Any] = msgspec.json.decode(encoded)
        decoded["data"]["message"] = decoded["data"]["body"]
        return msgspec.json.encode(decoded)
