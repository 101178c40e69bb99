"""Reading the log: `/state` to start from, and the long poll."""

from __future__ import annotations

import time
from typing import Any, TypedDict

from gateway.api.accounts import MyAccount
from gateway.api.conversations import ConversationAnswer
from gateway.api.event_types import Event
from gateway.delivery.subscriptions import Answer, Subscription, Types
from gateway.http.base import Handler
from gateway.http.describe import SecondsParameter, TextParameter, describe
from gateway.http.errors import ProblemError
from gateway.http.request import field_error
from metrics import declared as metrics
from models.log.event import POSTS
from models.store.errors import DeadTokenError, ExpiredError
from models.sync import initial_state
from models.sync.catchup import BEGINNING

TIMEOUT_MAX_S = 60.0  # most proxies cut idle connections then
TYPES_MAX = 40
BEGIN = "begin"
CURSOR = TextParameter("cursor", f"from here on; `{BEGIN}`: all that is kept; not given: from now on")
TIMEOUT = SecondsParameter("timeout", "for so many seconds at most; 30 when not given", TIMEOUT_MAX_S)
TYPES = TextParameter("types", "events of these types alone, with commas between them")
FOLLOW = TextParameter("follow", "these, too", one_of=(POSTS,))
SUBSCRIPTION_QUERY = (CURSOR, TYPES, FOLLOW)
OUTCOMES = {o: metrics.POLL_SECONDS.labels(o) for o in ("events", "empty", "gone", "aborted")}
POLLS_OPEN = metrics.POLLS_OPEN.labels("poll")
DELIVERY = {t: metrics.DELIVERY_SECONDS.labels(t) for t in ("poll", "sse", "ws")}


def observe_delivery(answer: Answer, subscription: Subscription, transport: str) -> None:
    """Commit to socket, of events that came while the reader waited."""
    if subscription.waited:
        now = time.perf_counter()
        for event in answer.events:
            DELIVERY[transport].observe(now - event.committed)


class SubscribingHandler(Handler):
    """What long poll, SSE and WebSocket have in common: from where, and which types."""

    query_token = True
    subscription: Subscription | None = None

    async def subscribe(self, cursor: str | None) -> Subscription:
        """Registers the caller as a reader from a cursor on (None: from now). Raises ExpiredError."""
        hub = self.services.hub
        if cursor is None:
            position = hub.head
        elif cursor == BEGIN:
            position = BEGINNING
        else:
            position = self.position(cursor)
        user = self.actor.user
        feed = await hub.feed(user) if self.follows_posts() else None
        subscriber = hub.loaded_subscriber(user) or await hub.subscriber(user)
        self.subscription = hub.register(subscriber, self.actor.token, position, self.types(), feed)
        await self.require_live_token()
        return self.subscription

    async def require_live_token(self) -> None:
        """Raises DeadTokenError when the token died before the poll was registered, which nothing else would tell it."""
        credential = self.credential()
        if self.services.tokens.cached(credential) is None:
            await self.services.tokens.find(credential)

    def position(self, cursor: str) -> int:
        """The place in the log that a cursor stands for. Raises ExpiredError, or ProblemError 422 when it is none."""
        try:
            return self.services.hub.position(cursor)
        except ValueError:
            raise field_error("cursor", "a cursor that was given by an answer or event") from None

    def types(self) -> Types:
        """`?types=a,b`: only these."""
        types = frozenset(name for name in self.query_text(TYPES).split(",") if name)
        if len(types) > TYPES_MAX:
            raise field_error("types", f"at most {TYPES_MAX} types")
        return types or None

    def follows_posts(self) -> bool:
        """`?follow=posts`: these, too."""
        follows = self.query_text(FOLLOW) == POSTS
        if not follows and FOLLOW.name in self.request.query_arguments:
            raise field_error(FOLLOW.name, POSTS)  # whoever says that word wants something
        return follows

    def on_connection_close(self) -> None:
        """The client is gone."""
        if self.subscription is not None:
            self.subscription.end("aborted")
        super().on_connection_close()


class EventsAnswer(TypedDict):
    """`cursor` is for the next poll; `more` says that there is more at once."""

    events: list[Event]
    cursor: str
    more: bool


class StateAnswer(TypedDict):
    """Everything that a client starts from. `presence` is by user id."""

    cursor: str
    me: MyAccount
    conversations: list[ConversationAnswer]
    presence: dict[str, bool]
    notifications_unread: int


class Events(SubscribingHandler):
    """The long poll. Passing a cursor back is the acknowledgement; nothing is kept for a client."""

    @describe("Poll for events", {200: EventsAnswer}, query=(*SUBSCRIPTION_QUERY, TIMEOUT), errors=("cursor-expired",))
    async def get(self) -> None:
        """200 `{"events","cursor","more"}`; 410 with the cursor of now when the given one has expired."""
        requested_s = self.query_seconds(TIMEOUT)
        timeout_s = self.services.settings.poll_timeout_s if requested_s is None else requested_s
        cursor = self.get_query_argument("cursor", None)
        hub = self.services.hub
        if cursor is None:
            self.types()
            self.follows_posts()
            self.answer({"events": [], "cursor": hub.cursor(hub.head), "more": False})
            return
        began = time.perf_counter()
        outcome = "gone"
        POLLS_OPEN.inc()
        try:
            subscription = await self.subscribe(cursor)
            answer = await hub.next(subscription, timeout_s)
            outcome = self._finish(subscription, answer)
        except ExpiredError:
            raise ProblemError("cursor-expired", "load the state again", cursor=hub.cursor(hub.head)) from None
        finally:
            POLLS_OPEN.dec()
            if self.subscription is not None:
                hub.unregister(self.subscription)
            OUTCOMES[outcome].observe(time.perf_counter() - began)

    def _finish(self, subscription: Subscription, answer: Answer) -> str:
        if subscription.end_reason == "aborted":
            return "aborted"
        if subscription.end_reason == "dead":
            raise DeadTokenError("the token is dead")
        hub = self.services.hub
        parts = [hub.encode(event) for event in answer.events] + answer.ephemeral
        more = b"true}" if answer.more else b"false}"
        self.answer(
            b"".join((b'{"events":[', b",".join(parts), b'],"cursor":"', hub.cursor(answer.position).encode(), b'","more":', more))
        )
        observe_delivery(answer, subscription, "poll")
        return "events" if parts else "empty"


class State(Handler):
    """Where a client starts, and starts again after a 410."""

    @describe("Load the state", {200: StateAnswer})
    async def get(self) -> None:
        """200 `{"cursor","me","conversations","presence","notifications_unread"}`, all as of one moment."""
        found: dict[str, Any] = await self.services.read(initial_state.load, self.actor.user)
        self.answer({"cursor": self.services.hub.cursor(found.pop("head")), **found})
