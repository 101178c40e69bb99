"""Reading the event log: `/state`, from which a client starts, and the long poll."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any, NamedTuple, TypedDict

from gateway.api.accounts import MyAccount
from gateway.api.conversations import ConversationAnswer
from gateway.api.event_types import DATA_BY_EVENT_TYPE, Event
from gateway.delivery.subscriptions import Answer, Subscription, Types
from gateway.http.base import Handler
from gateway.http.connections import stream_of
from gateway.http.describe import SecondsParameter, TextParameter, describe
from gateway.http.errors import ProblemError
from gateway.http.request import field_error
from metrics import declared as metrics
from models.log.event import POSTS
from models.store.errors import ActingError, ExpiredError
from models.sync import initial_state
from models.sync.catchup import BEGINNING

MAX_TIMEOUT_S = 60.0  # most proxies close idle connections after 60 s
BEGIN = "begin"
NOT_ACTIVE = "the user is not active any more"
CURSOR = TextParameter("cursor", f"the position to read from; `{BEGIN}`: everything that is stored; absent: only new events")
TIMEOUT = SecondsParameter("timeout", "the longest time to wait, in seconds; 30 by default", MAX_TIMEOUT_S)
TYPES = TextParameter("types", "only events of these types, separated by commas")
FOLLOW = TextParameter("follow", "follow these streams, too", one_of=(POSTS,))
SUBSCRIPTION_QUERY = (CURSOR, TYPES, FOLLOW)
OUTCOMES = {o: metrics.POLL_SECONDS.labels(o) for o in ("events", "empty", "gone", "aborted")}
POLLS_OPEN = metrics.POLLS_OPEN.labels("poll")
_refusing: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references to tasks
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
        return types or None

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
    """The long poll. Passing a cursor back acknowledges the events before it; the server stores nothing for a client.

    A poll that waits has no task: the hub calls it back, and it answers at once.
    """

    _began = 0.0  # time.perf_counter() of an open poll

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
        self._began = time.perf_counter()
        POLLS_OPEN.inc()
        try:
            subscription = await self.subscribe(cursor)
            answer = await hub.available(subscription)
            if answer is not None or timeout_s <= 0:
                await self._answer(subscription, answer or hub.collect(subscription))
            else:
                hub.wait(subscription, timeout_s, self._go_on)
        except ExpiredError:
            self._end("gone")
            raise ProblemError("cursor-expired", "load the state again", cursor=hub.cursor(hub.head)) from None
        except BaseException:
            self._end("gone")
            raise

    def _go_on(self) -> None:
        """Answer after the wait."""
        subscription = self.subscription
        assert subscription is not None
        answer = self.services.hub.collect(subscription)
        if subscription.end_reason == "dead":
            task = asyncio.create_task(self._answer_or_fail(subscription, answer))
            _refusing.add(task)
            task.add_done_callback(_refusing.discard)
            return
        try:
            self._finish(subscription, answer)
        except Exception as error:
            self._fail(error)

    async def _answer_or_fail(self, subscription: Subscription, answer: Answer) -> None:
        try:
            await self._answer(subscription, answer)
        except Exception as error:
            self._fail(error)

    async def _answer(self, subscription: Subscription, answer: Answer) -> None:
        if subscription.end_reason == "dead":
            await self.refuse_ended()
        self._finish(subscription, answer)

    def _fail(self, error: Exception) -> None:
        """Answer an exception as one of `get` is."""
        self._end("gone")
        self._handle_request_exception(error)

    def _finish(self, subscription: Subscription, answer: Answer) -> None:
        """Write the answer, and keep no event. The poll is open until its client has received it."""
        if subscription.end_reason == "aborted":
            self._end("aborted")
            self.finish()  # for the log and the metrics
            return
        if subscription.end_reason == "suspended":
            raise ActingError(NOT_ACTIVE)
        hub = self.services.hub
        parts = [hub.encode(event) for event in answer.events] + answer.ephemeral
        more = b"true}" if answer.more else b"false}"
        sent = self.answer(
            b"".join((b'{"events":[', b",".join(parts), b'],"cursor":"', hub.cursor(answer.position).encode(), b'","more":', more))
        )
        observe_delivery(answer, subscription, "poll")
        self.unsubscribe()
        self._end_when_sent("events" if parts else "empty", asyncio.ensure_future(sent))

    def _end_when_sent(self, outcome: str, sent: asyncio.Future[None]) -> None:
        if sent.done():
            self._end("aborted" if sent.cancelled() or sent.exception() is not None else outcome)
        else:
            sent.add_done_callback(partial(self._end_when_sent, outcome))

    def _end(self, outcome: str) -> None:
        """Count the poll as ended, once."""
        began, self._began = self._began, 0.0
        if began:
            POLLS_OPEN.dec()
            self.unsubscribe()
            OUTCOMES[outcome].observe(time.perf_counter() - began)


class State(Handler):
    """The state from which a client starts, and starts again after a 410."""

    @describe("Load the state", {200: StateAnswer})
    async def get(self) -> None:
        """Answer 200 with `{"cursor","me","conversations","presence","notifications_unread",…}`, read in one snapshot."""
        state: dict[str, Any] = await self.read(initial_state.load, self.actor.user)
        self.answer({"cursor": self.services.hub.cursor(state.pop("head")), **state})
