"""The base of what reads the event log and waits: long poll, event stream and WebSocket."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import NamedTuple, TypedDict

from gateway.api.event_types import DATA_BY_EVENT_TYPE
from gateway.delivery.subscriptions import Answer, Subscription, Types
from gateway.http.base import Handler
from gateway.http.connections import stream_of
from gateway.http.describe import SecondsParameter, TextParameter
from gateway.http.request import field_error
from metrics import declared as metrics
from models.log.event import POSTS
from models.store.errors import ExpiredError
from models.sync.catchup import BEGINNING

MAX_TIMEOUT_S = 60.0  # most proxies close idle connections after 60 s
BEGIN = "begin"
NOT_ACTIVE = "the user is not active any more"
CURSOR = TextParameter("cursor", f"the position to read from; `{BEGIN}`: everything that is stored; absent: only new events")
TIMEOUT = SecondsParameter("timeout", "the longest time to wait, in seconds; 30 by default", MAX_TIMEOUT_S)
TYPES = TextParameter("types", "only events of these types, separated by commas")
FOLLOW = TextParameter("follow", "follow these streams, too", one_of=(POSTS,))
SUBSCRIPTION_QUERY = (CURSOR, TYPES, FOLLOW)
DELIVERY = {t: metrics.DELIVERY_SECONDS.labels(t) for t in ("poll", "sse", "ws")}


def observe_delivery(answer: Answer, subscription: Subscription, transport: str) -> None:
    """Observe the time from commit to socket, for events that were committed while the subscription waited."""
    if subscription.waited:
        now = time.perf_counter()
        for event in answer.events:
            DELIVERY[transport].observe(now - event.committed)


class Start(NamedTuple):
    """The start of a stream or socket: its subscription, the position that it began at, and the events that were there at once."""

    subscription: Subscription
    position: int
    answer: Answer
    was_expired: bool

    @property
    def before(self) -> int:
        """A position after which the same events are read again."""
        if self.position != BEGINNING:
            return self.position
        return self.answer.events[0].id - 1 if self.answer.events else self.answer.position


def position_of(handler: Handler, cursor: str, field: str = "cursor") -> int:
    """The position of a cursor in the log, or of `begin`. Raises ExpiredError, or ProblemError 422 if the field is neither."""
    if cursor == BEGIN:
        return BEGINNING
    try:
        return handler.services.hub.position(cursor)
    except ValueError:
        raise field_error(field, f"must be the cursor of an answer, the id of an event, or `{BEGIN}`") from None


class CallerOptions(TypedDict):
    """Whether the caller is a bot, the seconds until their token expires, and the admin who acts for them."""

    bot: bool
    remaining_s: float
    by_admin: int


@lru_cache(maxsize=256)
def _shared(types: frozenset[str]) -> frozenset[str]:
    """An equal set that was made before: clients of one kind choose the same types, and thousands of them wait."""
    return types


class SubscribingHandler(Handler):
    """The base of long poll, SSE and WebSocket: it subscribes the caller at a cursor, for some types of events."""

    query_token = True
    is_paced = True
    subscription: Subscription | None = None

    async def subscribe(self, cursor: str | None) -> Subscription:
        """Register a subscription from a cursor on (None: from the head of the log). Raises ExpiredError, or ProblemError 422."""
        hub = self.services.hub
        position = hub.head if cursor is None else position_of(self, cursor)
        user = self.actor.user
        feed = await hub.feed(user) if self.follows_posts() else None
        subscriber = hub.loaded_subscriber(user) or await hub.subscriber(user)
        self.subscription = hub.register(subscriber, self.actor.token, position, self.types(), feed, **self.of_caller())
        await self.require_live_token()
        return self.subscription

    def of_caller(self) -> CallerOptions:
        """The options of a subscription that follow from the caller."""
        return CallerOptions(bot=self.actor.bot, remaining_s=self.remaining_s(), by_admin=self.actor.by_admin)

    async def head(self, *_: str) -> None:
        """The headers only: nobody waits, nothing counts as delivered, and nobody is present by it."""
        self.finish()

    def unsubscribe(self) -> None:
        """End the subscription, if there is one."""
        subscription, self.subscription = self.subscription, None
        if subscription is not None:
            stream = stream_of(self)
            self.services.hub.unregister(subscription, 0.0 if stream is None else stream.silent_s)

    async def start(self, cursor: str | None) -> Start:
        """Subscribe from a cursor on, or from the head of the log if the cursor has expired."""
        try:
            return await self._start(cursor, was_expired=False)
        except ExpiredError:
            self.unsubscribe()
            return await self._start(None, was_expired=True)

    async def _start(self, cursor: str | None, *, was_expired: bool) -> Start:
        subscription = await self.subscribe(cursor)
        position = subscription.position
        return Start(subscription, position, await self.services.hub.next(subscription, 0), was_expired)

    async def require_live_token(self) -> None:
        """Raise DeadTokenError if the token was revoked before the subscription was registered, which would not notice it; or
        ActingError or ForbiddenError if an admin may not act for the user any more."""
        credential = self.credential()
        actor = self.services.tokens.cached(credential)
        if actor is None:
            actor = await self.services.tokens.find(credential, self.client_address())
        if self.actor.by_admin:
            await self.acting_actor(actor)

    def types(self) -> Types:
        """The event types of `?types=a,b`; None for all. Raises ProblemError 422 for a type that does not exist."""
        types = frozenset(name for name in self.query_text(TYPES).split(",") if name)
        if types - DATA_BY_EVENT_TYPE.keys():
            raise field_error(TYPES.name, "must be types of events: " + ", ".join(DATA_BY_EVENT_TYPE))
        return _shared(types) if types else None

    def follows_posts(self) -> bool:
        """Whether `?follow=posts` is set. Raises ProblemError 422 for any other value, an empty one included."""
        follows = self.query_text(FOLLOW) == POSTS
        if not follows and FOLLOW.name in self.request.query_arguments:
            raise field_error(FOLLOW.name, f"must be {POSTS}")
        return follows

    def on_connection_close(self) -> None:
        """End the subscription: the client has disconnected."""
        if self.subscription is not None:
            self.services.hub.end_one(self.subscription, "aborted")
        super().on_connection_close()
