"""The hub delivers committed events to the open subscriptions of one gateway. It runs on the loop's thread only.

A subscription is registered first and reads the log then, so that no event falls between the two.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import msgspec
import structlog

from gateway.commit.threads import ThreadPool
from gateway.delivery.following import CONVERSATIONS, GROUPS, Followers, Following
from gateway.delivery.log_polls import LogPolls
from gateway.delivery.observer import HubObserver
from gateway.delivery.recent_events import EVENTS_WITH_DELETED_TEXT, RecentEvents
from gateway.delivery.subscriptions import MAX_EVENTS_PER_ANSWER, Answer, Subscriber, Subscription, Types, first_that_fit
from gateway.delivery.wakeups import Wakeups
from models.log.event import GATEWAYS, JOINING, MEMBERS, Event
from models.store.clock import rfc3339
from models.store.errors import ExpiredError
from models.sync import catchup

logger = structlog.get_logger()

MAX_SCANNED_EVENTS = 1_000  # in memory, for one answer with some types of events
MAX_KEPT_JSON_BYTES = 2048  # of an event's data: beside it in memory, the JSON of all recent events would be as much again


class Hub:
    """The subscribers of one gateway, the newest events, and the head: the id of the newest event that was published here.

    `read` runs a function on a reader thread. `check_log` makes the tail read the log now, and `forward_ephemeral` sends an
    ephemeral event to the other gateways; the gateway's services set both.
    """

    def __init__(self, epoch: str, head: int, read: ThreadPool, observer: HubObserver) -> None:
        self.epoch = epoch
        self.head = head
        self.recent = RecentEvents(head)
        self.check_log: Callable[[], None] = lambda: None
        self.forward_ephemeral: Callable[[Collection[int] | None, str, str, bytes, int], None] = lambda *_: None
        self.max_polls_per_user = 20
        self.has_public_posts = True  # for who follows posts; not where some people are hidden from others
        self.closing = False
        self.log_polls = LogPolls()
        self._read = read
        self._observer = observer
        self._followers: Followers = {}
        self._members = Following(CONVERSATIONS, self.recent, self._followers, self._load_conversations)
        self._feeds = Following(GROUPS, self.recent, self._followers, self._load_posts)
        self._membership = {
            event_type: following for following in (self._members, self._feeds) for event_type in following.event_types
        }
        self._subscribers = self._members.subscribers
        self._wakeups = Wakeups()
        self.encoded_answer: tuple[Answer, bytes] | None = None  # the last one since an event was published
        self._acting: dict[int, dict[Subscription, None]] = {}  # by the admin who acts for another user
        self._loop = asyncio.get_running_loop()

    async def _load_conversations(self, users: list[int]) -> dict[int, catchup.Intervals]:
        intervals: dict[int, catchup.Intervals] = await self._read(catchup.conversation_intervals, users, self.recent.low)
        return intervals

    async def _load_posts(self, users: list[int]) -> dict[int, catchup.Intervals]:
        intervals: dict[int, catchup.Intervals] = await self._read(
            catchup.post_intervals, users, self.recent.low, self.has_public_posts
        )
        return intervals

    # Following the log

    def publish(self, after: int, events: list[Event], committed: float) -> None:
        """Deliver events that follow id `after` without a gap; those at or below the head are skipped.

        `committed` is the time.perf_counter() of their commit. If the head is below `after`, the tail reads all events instead.
        """
        if after > self.head:
            self.check_log()  # other processes committed in between
            return
        for event in events:
            if event.id > self.head:
                event.committed = committed
                self._deliver(event)
        self._wakeups.begin()
        self.log_polls.wake_soon()

    def _deliver(self, event: Event) -> None:
        self.head, self.encoded_answer = event.id, None
        self.recent.append(event)
        try:
            self._route(event)
        except Exception:  # a defect with one event: the events after it must arrive
            logger.exception("event_not_delivered", event_id=event.id)

    def _route(self, event: Event) -> None:
        if event.stream == GATEWAYS:
            self._observer.account_event(event)
            return
        if event.stream == MEMBERS:
            self._members.apply_addition(event)
            return
        if event.type in EVENTS_WITH_DELETED_TEXT:
            self.recent.erase_text(event)
        for subscriber in self._followers.get(event.stream, ()):
            if subscriber.subscriptions and subscriber.sees(event):
                self._wakeups.add(s for s in subscriber.subscriptions if s.offer(event))
        following = self._membership.get(event.type)
        if following is not None and event.stream.startswith("user:"):
            following.apply(event)
        elif following is not None and event.stream.startswith(JOINING):
            self._followers.pop(event.stream, None)  # its next event is for others

    def skip_to(self, mark: int) -> None:
        """Move the head to the log's low-water mark when the log was trimmed past it, and end every open subscription."""
        if mark > self.head:
            self.head = mark
            self.recent.reset(mark)
            self._observer.events_lost()
            self.log_polls.wake_soon()
            for subscription in self._members.clear() + self._feeds.clear():
                subscription.synced = False  # the client continues from its own position
                self.end_one(subscription, "missed")

    # Ephemeral events

    def publish_ephemeral(
        self, users: Collection[int] | None, stream: str, event_type: str, data: Any, *, except_user: int
    ) -> None:
        """Deliver an ephemeral event to users, or (None) to the followers of a stream, except one user, on every gateway."""
        encoded = msgspec.json.encode({"id": None, "type": event_type, "at": rfc3339(time.time_ns() // 1_000_000), "data": data})
        self.deliver_ephemeral(users, stream, event_type, encoded, except_user)
        self.forward_ephemeral(users, stream, event_type, encoded, except_user)

    def deliver_ephemeral(
        self, users: Collection[int] | None, stream: str, event_type: str, encoded: bytes, except_user: int
    ) -> None:
        """Deliver an encoded ephemeral event to the subscriptions of this gateway. Presence ends no poll."""
        if users is None:
            recipients = [s for s in self._followers.get(stream, ()) if s.user != except_user and s.follows(stream)]
        else:
            recipients = [s for u in users if (s := self._subscribers.get(u)) is not None and u != except_user]
        ends_poll = event_type != "presence"
        for subscriber in recipients:
            self._wakeups.add(s for s in subscriber.subscriptions if s.offer_ephemeral(event_type, encoded, ends_poll=ends_poll))
        self._wakeups.begin()

    # Subscribers

    def loaded_subscriber(self, user: int) -> Subscriber | None:
        """The user's subscriber, if it is in memory."""
        return self._subscribers.get(user)

    async def subscriber(self, user: int) -> Subscriber:
        """The user as a subscriber of their own stream and of their conversations. Raises StoreDownError."""
        return await self._members.subscriber(user)

    async def feed(self, user: int) -> Subscriber:
        """The user as a subscriber of posts: public ones, and those of their groups. Raises StoreDownError."""
        return await self._feeds.subscriber(user)

    def drop_idle(self) -> None:
        """Drop subscribers that have had no open subscription for a while."""
        self._members.drop_idle()
        self._feeds.drop_idle()

    # Subscriptions

    def register(
        self,
        subscriber: Subscriber,
        token: int,
        position: int,
        types: Types,
        feed: Subscriber | None = None,
        *,
        bot: bool = False,
        remaining_s: float = math.inf,
        by_admin: int = 0,
    ) -> Subscription:
        """Open a subscription after a position, with `feed` to posts too. Beyond the bound per user, the oldest one is ended.

        That of a bot makes no one present. After `remaining_s` its token expires: it ends as one with a dead token. `by_admin` is
        the admin whose token it is, if they act for the user.
        """
        subscription = Subscription(subscriber, token, position, types, feed)
        subscription.expires = self._loop.time() + remaining_s
        if by_admin:
            subscription.by_admin = by_admin
            self._acting.setdefault(by_admin, {})[subscription] = None
        if len(subscriber.subscriptions) >= self.max_polls_per_user:
            oldest = next((s for s in subscriber.subscriptions if not s.end_reason), None)
            if oldest is not None:
                self.end_one(oldest, "superseded")
        if not subscriber.subscriptions and not bot:
            self._observer.user_connected(subscriber.user)
        for owner in subscription.subscribers:
            owner.subscriptions[subscription] = None
        if self.closing:
            subscription.end_reason = "closing"
        return subscription

    def unregister(self, subscription: Subscription, silent_s: float = 0.0) -> None:
        """Close a subscription whose client gave the last sign of life so many seconds ago."""
        now, user = time.monotonic(), subscription.subscriber
        last_seen = max(user.idle_since, now - silent_s)  # another client of theirs may have left later
        for owner in subscription.subscribers:
            owner.subscriptions.pop(subscription, None)
            owner.idle_since = last_seen
        if subscription.by_admin and (acting := self._acting.get(subscription.by_admin)) is not None:
            acting.pop(subscription, None)
            if not acting:
                del self._acting[subscription.by_admin]
        if not user.subscriptions:
            self._observer.user_disconnected(user.user, now - last_seen)

    async def next(self, subscription: Subscription, timeout_s: float) -> Answer:
        """Return the events after the subscription's position: at once if there are any, else when one arrives or the time is over.
        The subscription ends when its token expires.

        Raises ExpiredError, StoreDownError.
        """
        answer = await self.available(subscription)
        if answer is not None:
            return answer
        if timeout_s > 0:
            woken = self._loop.create_future()
            self.wait(subscription, timeout_s, partial(_resolve, woken))
            try:
                await woken
            finally:
                subscription.stop_waiting()
        return self.collect(subscription)

    async def available(self, subscription: Subscription) -> Answer | None:
        """Return the events after the subscription's position, or None if none has arrived and it has not ended.

        Raises ExpiredError, StoreDownError.
        """
        subscription.waited = False
        answer = None if subscription.synced else await self._catch_up(subscription)
        self._end_at_expiry(subscription)
        if answer is None and (subscription.events or subscription.urgent or subscription.end_reason):
            return subscription.collect(self.head)
        return answer

    def wait(self, subscription: Subscription, timeout_s: float, on_wake: Callable[[], None]) -> None:
        """Call `on_wake` once: when there is something to `collect`, the time is over, or the subscription has ended. Its
        exceptions are logged."""
        subscription.waited = True
        self._wakeups.wait(subscription, min(timeout_s, subscription.expires - self._loop.time()), on_wake)

    def collect(self, subscription: Subscription) -> Answer:
        """Return what has arrived, nothing perhaps. The subscription ends when its token expires."""
        self._end_at_expiry(subscription)
        return subscription.collect(self.head)

    def _end_at_expiry(self, subscription: Subscription) -> None:
        if self._loop.time() >= subscription.expires:
            subscription.end("dead")

    async def _catch_up(self, subscription: Subscription) -> Answer | None:
        subscription.clear_events()
        subscription.synced = True  # from here on, published events are offered to it
        if subscription.position == self.head:
            return None
        if self.recent.low <= subscription.position < self.head:
            events, position, more = self._from_memory(subscription)
        else:
            try:
                events, position, more = await self._from_store(subscription)
            except BaseException:
                subscription.synced = False  # the events before its registration are still to be read
                raise
        fitting = first_that_fit(events)
        if len(fitting) < len(events):
            events, position, more = fitting, fitting[-1].id, True
        subscription.position = position
        subscription.synced = not more
        if not events and not more:
            return None
        return Answer(events, subscription.clear_ephemeral(), position, more)

    def _from_memory(self, subscription: Subscription) -> tuple[list[Event], int, bool]:
        types, feed = subscription.types, subscription.feed
        streams = subscription.subscriber.intervals if feed is None else subscription.subscriber.intervals | feed.intervals
        limit = MAX_EVENTS_PER_ANSWER + 1 if types is None else MAX_SCANNED_EVENTS
        scanned = self.recent.first(streams, subscription.position, limit)
        events = [e for e in scanned if (types is None or e.type in types) and subscription.sees(e)]
        if len(scanned) == limit:
            return events, scanned[-1].id, True
        return events, self.head, False

    async def _from_store(self, subscription: Subscription) -> tuple[list[Event], int, bool]:
        user = subscription.subscriber.user
        past: catchup.Slice = await self._read.of_account(
            user,
            catchup.read,
            user,
            subscription.position,
            subscription.types,
            MAX_EVENTS_PER_ANSWER,
            subscription.feed is not None,
            self.has_public_posts,
        )
        if past.expired:
            raise ExpiredError
        if past.more or not subscription.synced:
            subscription.clear_events()
            return past.events, past.position, True
        published_meanwhile = [e for e in subscription.clear_events() if e.id > past.position]
        return past.events + published_meanwhile, max(past.position, self.head), False

    # Cursors and ends

    def cursor(self, position: int) -> str:
        """The opaque form of a position."""
        return f"{self.epoch}-{position}"

    def position(self, cursor: str) -> int:
        """The position in a cursor. Raises ExpiredError when it is of another epoch, ValueError when it is not a cursor."""
        epoch, _, number = cursor.partition("-")
        if not (number.isascii() and number.isdigit() and len(number) < 17):
            raise ValueError("not a cursor")
        if epoch != self.epoch:
            raise ExpiredError
        return int(number)

    def encode(self, event: Event) -> bytes:
        """EVENT of the contract as JSON, the stored data spliced in: made once for each event, but for large ones."""
        if event.json:
            return event.json
        head = f'{{"id":"{self.epoch}-{event.id}","type":"{event.type}","at":"{rfc3339(event.at_ms)}","data":'
        encoded = head.encode() + event.data + b"}"
        if len(event.data) <= MAX_KEPT_JSON_BYTES:
            event.json = encoded
        return encoded

    def end_one(self, subscription: Subscription, reason: str) -> None:
        """End a subscription. Its request goes on in a later tick."""
        subscription.end(reason)
        self._wakeups.add_later(subscription)

    def end(self, user: int, tokens: Collection[int] | None, reason: str, acting_reason: str = "") -> None:
        """End the user's subscriptions that were opened with these tokens (None: all of them). Those of admins who act for the user
        end for `acting_reason`, if there is one: their tokens are alive."""
        subscriber = self._subscribers.get(user)
        for subscription in subscriber.subscriptions if subscriber is not None else ():
            if tokens is None or subscription.token in tokens:
                self.end_one(subscription, acting_reason if acting_reason and subscription.by_admin else reason)
        self.log_polls.end(user, tokens, reason)

    def end_acting(self, admin: int, tokens: Collection[int] | None, reason: str) -> None:
        """End the subscriptions for other users that an admin has opened with these tokens (None: all of them)."""
        for subscription in self._acting.get(admin, ()):
            if tokens is None or subscription.token in tokens:
                self.end_one(subscription, reason)

    def close(self) -> None:
        """End every open subscription, and every later one at once: the gateway stops."""
        self.closing = True
        self.log_polls.end_all()
        for subscriber in self._subscribers.values():
            for subscription in subscriber.subscriptions:
                self.end_one(subscription, "closing")


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
