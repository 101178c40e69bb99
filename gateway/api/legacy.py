"""The two endpoints of the older client: a send, and a poll for which the server stores a cursor for each token."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypedDict

import msgspec
from tornado.iostream import StreamClosedError

from gateway.api.event_types import Event
from gateway.api.open_polls import POLLS_OPEN
from gateway.api.subscribing import SubscribingHandler
from gateway.delivery.subscriptions import MAX_BYTES_PER_ANSWER, Answer
from gateway.http.base import MESSAGE_BODY_BYTES, Handler
from gateway.http.describe import UserReference, chars, describe
from models.chat.drafts import MAX_BODY_CHARS, Draft
from models.files import file as files
from models.identity import token
from models.store.errors import ExpiredError, InvalidError
from models.sync.catchup import BEGINNING

POLL_TIMEOUT_S = 5.5
LEGACY_FIELD_NAMES = {"to": "receiver", "body": "message"}
MESSAGE_EVENTS = ("message.created", "message.updated", "message.deleted")


class LegacyNewMessage(msgspec.Struct):
    """A message from the older client. Unknown fields are ignored."""

    receiver: UserReference
    message: Annotated[str, chars(1, MAX_BODY_CHARS)]


EXAMPLE = {"receiver": 3, "message": "hello Bob"}


class LegacyMessage(TypedDict):
    """A message in the format of the older client."""

    id: int
    conversation: int
    sender: int
    receiver: int
    message: str
    timestamp: str
    is_read: bool


class LegacyEvents(TypedDict):
    """Events. The data of a message also has `message`, which is its body, or without one the names of its files."""

    events: list[Event]


class LegacyMessages(Handler):
    """Direct messages of the older client."""

    body_limit = MESSAGE_BODY_BYTES
    rate_limit: ClassVar[str] = "send"

    @describe(
        "Send a message with the older client",
        {201: LegacyMessage},
        body=LegacyNewMessage,
        errors=("not-found", "forbidden", "blocked"),
        example=EXAMPLE,
    )
    async def post(self) -> None:
        """Answer 201 with the message in the older format."""
        new = self.decode(LegacyNewMessage)
        receiver = await self.user_id(new.receiver)
        draft = Draft(self.actor.user, self.actor.token, new.message, to=receiver, contacts=self.services.settings.contacts)
        try:
            posted = await self.submit_message(draft).future
        except InvalidError as error:
            raise InvalidError(*((LEGACY_FIELD_NAMES[field], message) for field, message in error.errors)) from None
        self.count_written(1, 2 * len(posted.json))  # the row and the event
        message = msgspec.json.decode(posted.json)
        legacy_message = LegacyMessage(
            id=message["id"],
            conversation=message["conversation"],
            sender=message["sender"],
            receiver=receiver,
            message=message["body"],
            timestamp=message["created_at"],
            is_read=False,
        )
        self.answer(legacy_message, 201)


class LegacyPollState:
    """The polls of one token on this gateway.

    `open` counts the polls whose answers are not fully written, `users` those that use this object, and `written` is the position
    of the last answer that was fully written.
    """

    __slots__ = ("open", "users", "written")

    def __init__(self) -> None:
        self.open = 0
        self.users = 0
        self.written = 0


class LegacyPoll(SubscribingHandler):
    """The poll of the older client.

    A poll that starts after the last answer was fully written, while no other poll of its token is open, acknowledges that answer.
    """

    refuses_acting = "a token has one cursor of this poll: use /api/v1/events"

    @describe("Poll for events with the older client", {200: LegacyEvents})
    async def get(self) -> None:
        """Answer 200 with `{"events"}`, at once if there are any, else within 5.5 s."""
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
        """Write the answer, and return its position when it is fully written. Returns None if the client has disconnected."""
        poll_state.open += 1
        try:
            start = await self._start_position(token_id, poll_state.written if poll_state.open == 1 else None)
            with POLLS_OPEN.track_inprogress():
                body, position = self._body(await self._wait(token_id, start))
                sent = self.answer(body)
                del body
                self.unsubscribe()
                await sent
            poll_state.written = max(poll_state.written, position)
            return position
        except StreamClosedError:
            return None
        finally:
            poll_state.open -= 1
            self.unsubscribe()

    async def _wait(self, token_id: int, position: int) -> Answer:
        hub = self.services.hub
        subscriber = hub.loaded_subscriber(self.actor.user) or await hub.subscriber(self.actor.user)
        self.subscription = hub.register(subscriber, token_id, position, None, **self.of_caller())
        await self.require_live_token()
        try:
            answer = await hub.next(self.subscription, POLL_TIMEOUT_S)
        except ExpiredError:
            hub.unregister(self.subscription)
            self.subscription = hub.register(subscriber, token_id, BEGINNING, None, **self.of_caller())
            answer = await hub.next(self.subscription, POLL_TIMEOUT_S)
        if self.subscription.end_reason == "dead":
            await self.refuse_ended()
        return answer

    async def _start_position(self, token_id: int, written_here: int | None) -> int:
        """The position to read from. It acknowledges the last answer that was written here, None if another poll is open."""
        acked, written, _ = await self.read(token.poll_positions, token_id)
        if written_here is None or max(written, written_here) <= acked:
            return acked
        written = max(written, written_here)
        await self._record_positions(token_id, written, None)
        return written

    async def _record_positions(self, token_id: int, acked: int | None, written: int | None) -> None:
        await self.services.committer.call(None, lambda tx: token.advance_poll_positions(tx, token_id, acked, written))

    def _body(self, answer: Answer) -> tuple[bytes, int]:
        """The answer's body, and the position that it reaches: a text is in it twice, so not all events may fit."""
        parts: list[bytes] = []
        size = last = 0
        for event in answer.events:
            part = self._legacy_json(self.services.hub.encode(event), event.type)
            size += len(part)
            if parts and size > MAX_BYTES_PER_ANSWER:
                break
            parts.append(part)
            last = event.id
        else:
            return _events(parts + answer.ephemeral), answer.position
        return _events(parts), last

    @staticmethod
    def _legacy_json(encoded: bytes, event_type: str) -> bytes:
        """The event's JSON; the data of a message also has `message`, which is its body, or the names of its files."""
        if event_type not in MESSAGE_EVENTS:
            return encoded
        decoded: dict[str, Any] = msgspec.json.decode(encoded)
        data = decoded["data"]
        data["message"] = data["body"] or files.in_words([file["name"] for file in data.get("files", ())])
        return msgspec.json.encode(decoded)


def _events(parts: list[bytes]) -> bytes:
    return b'{"events":[' + b",".join(parts) + b"]}"
