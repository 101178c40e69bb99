"""Reading the event log: `/state`, from which a client starts, and the long poll."""

from __future__ import annotations

from typing import Any, TypedDict

from gateway.api.accounts import MyAccount
from gateway.api.conversations import ConversationAnswer
from gateway.api.event_types import Event
from gateway.api.open_polls import OpenPoll
from gateway.api.subscribing import SUBSCRIPTION_QUERY, TIMEOUT, SubscribingHandler
from gateway.http.base import Handler
from gateway.http.describe import describe
from gateway.http.errors import ProblemError
from models.store.errors import ExpiredError
from models.sync import initial_state


class EventsAnswer(TypedDict):
    """Events. `cursor` is for the next poll, which answers at once if `more` is true."""

    events: list[Event]
    cursor: str
    more: bool


class StateAnswer(TypedDict):
    """The state that a client starts from. `presence` maps user ids to whether they are online; `blocked` are the ids of users
    whom the caller blocks; `unread_total` is the number of unread messages in these conversations, without those whose level is
    `none`, and `notifications_unread_messages` how many of the unread notifications are about messages."""

    cursor: str
    me: MyAccount
    conversations: list[ConversationAnswer]
    presence: dict[str, bool]
    unread_total: int
    blocked: list[int]
    notifications_unread: int
    notifications_unread_messages: int


class Events(SubscribingHandler):
    """The long poll. Passing a cursor back acknowledges the events before it; the server stores nothing for a client."""

    @describe("Poll for events", {200: EventsAnswer}, query=(*SUBSCRIPTION_QUERY, TIMEOUT), errors=("cursor-expired",))
    async def get(self) -> None:
        """Answer 200 with `{"events","cursor","more"}`, or 410 with the present cursor if the cursor has expired."""
        requested_s = self.query_seconds(TIMEOUT)
        timeout_s = self.services.settings.poll_timeout_s if requested_s is None else requested_s
        cursor = self.get_query_argument("cursor", None)
        hub = self.services.hub
        if cursor is None:
            self.types()
            self.follows_posts()
            self.answer({"events": [], "cursor": hub.cursor(hub.head), "more": False})
            return
        self._auto_finish = False
        poll = OpenPoll()
        try:
            subscription = await self.subscribe(cursor)
            answer = await hub.available(subscription)
            if answer is None and timeout_s > 0:
                poll.wait(self, subscription, timeout_s)
            else:
                await poll.answer(self, subscription, answer or hub.collect(subscription))
        except ExpiredError:
            poll.end("gone")
            self.unsubscribe()
            raise ProblemError("cursor-expired", "load the state again", cursor=hub.cursor(hub.head)) from None
        except BaseException:
            poll.end("gone")
            self.unsubscribe()
            raise


class State(Handler):
    """The state from which a client starts, and starts again after a 410."""

    @describe("Load the state", {200: StateAnswer})
    async def get(self) -> None:
        """Answer 200 with `{"cursor","me","conversations","presence","notifications_unread",…}`, read in one snapshot."""
        state: dict[str, Any] = await self.read(initial_state.load, self.actor.user)
        self.answer({"cursor": self.services.hub.cursor(state.pop("head")), **state})
