"""The subscribers of one gateway: each is loaded from the store once, and then kept up to date by the log.

The events about joining and leaving are on the user's own stream and are applied in id order. So a subscriber neither misses an
event nor receives one that the user may not see.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from gateway.commit.threads import BatchedRead
from gateway.delivery.recent_events import RecentEvents
from gateway.delivery.subscriptions import Subscriber, Subscription
from models.log.event import MEMBERS, Event, conversation_stream, group_stream, joining_stream, user_stream
from models.store.errors import StoreDownError
from models.sync.catchup import Intervals

SUBSCRIBER_KEPT_S = 120  # how long a user without an open subscription stays in memory
MAX_LOAD_ATTEMPTS = 5

Followers = dict[str, set[Subscriber]]  # by stream


class MembershipEvents(NamedTuple):
    """The types of events that report joining and leaving, and how to read the stream they are about from their data."""

    joining: str
    leaving: str
    stream_of: Callable[[bytes], str]


class _Numbered(msgspec.Struct):
    id: int


class _InConversation(msgspec.Struct):
    """The fields of `conversation.created` (`id`) and `member.left` (`conversation`) that name the conversation."""

    id: int = 0
    conversation: int = 0


class _Added(msgspec.Struct):
    """The data of `members.added`."""

    conversation: int
    users: list[int]


class _InGroup(msgspec.Struct):
    group: _Numbered


def _conversation(data: bytes) -> str:
    event = msgspec.json.decode(data, type=_InConversation)
    return conversation_stream(event.id or event.conversation)


def _group(data: bytes) -> str:
    return group_stream(msgspec.json.decode(data, type=_InGroup).group.id)


CONVERSATIONS = MembershipEvents("conversation.created", "member.left", _conversation)
GROUPS = MembershipEvents("group.joined", "group.left", _group)


class Following:
    """The subscribers of conversations, or those of posts, by user.

    `followers` is shared by both: all subscribers by stream. `load` reads users' intervals from the store.
    """

    def __init__(
        self,
        membership: MembershipEvents,
        recent: RecentEvents,
        followers: Followers,
        load: Callable[[list[int]], Awaitable[dict[int, Intervals]]],
    ) -> None:
        self.subscribers: dict[int, Subscriber] = {}
        self.event_types = (membership.joining, membership.leaving)
        self._membership = membership
        self._recent = recent
        self._followers = followers
        self._load = BatchedRead(load)
        self._loading: dict[int, asyncio.Future[Subscriber]] = {}

    async def subscriber(self, user: int) -> Subscriber:
        """The user's subscriber, loaded if it is not in memory. Raises StoreDownError."""
        subscriber = self.subscribers.get(user)
        if subscriber is not None:
            subscriber.idle_since = time.monotonic()
            return subscriber
        loading = self._loading.get(user)
        if loading is None:
            loading = self._loading[user] = asyncio.ensure_future(self._loaded(user))
            loading.add_done_callback(lambda _: self._loading.pop(user, None))
        return await asyncio.shield(loading)

    async def _loaded(self, user: int) -> Subscriber:
        for _ in range(MAX_LOAD_ATTEMPTS):
            snapshot = await self._load(user)
            if snapshot.head >= self._recent.low:
                break
        else:  # events leave memory faster than the store can be read, so some would be missing
            raise StoreDownError
        subscriber = Subscriber(user, snapshot.intervals, snapshot.head)
        self.subscribers[user] = subscriber
        for stream in subscriber.intervals:
            self._followers.setdefault(stream, set()).add(subscriber)
        for event in self._recent.after(snapshot.head):
            if event.stream == user_stream(user) and event.type in self.event_types:
                self.apply(event)
            elif event.stream == MEMBERS and self._membership is CONVERSATIONS:
                self.apply_addition(event, user)
        return subscriber

    def apply(self, event: Event) -> None:
        """Apply an event about joining or leaving, from a user's own stream."""
        subscriber = self.subscribers.get(int(event.stream.removeprefix("user:")))
        if subscriber is None or event.id <= subscriber.applied:
            return
        stream = self._membership.stream_of(event.data)
        if event.type == self._membership.joining:
            subscriber.join(stream, event.id)
            self._followers.setdefault(stream, set()).add(subscriber)
        else:
            subscriber.leave(stream, event.id)

    def apply_addition(self, event: Event, only_user: int | None = None) -> None:
        """Apply an event of the stream MEMBERS: the memberships of all its users (or of one of them) begin with the next event."""
        added = msgspec.json.decode(event.data, type=_Added)
        stream, joining, opened = conversation_stream(added.conversation), joining_stream(added.conversation), event.id + 1
        users = added.users if only_user is None else {only_user}.intersection(added.users)
        subscribers = [s for user in users if (s := self.subscribers.get(user)) is not None and event.id > s.applied]
        for subscriber in subscribers:
            subscriber.join(stream, opened)
            subscriber.join(joining, opened, opened + 1)
        self._followers.setdefault(stream, set()).update(subscribers)
        self._followers.setdefault(joining, set()).update(subscribers)

    def clear(self) -> list[Subscription]:
        """Drop all subscribers, to be loaded again; returns their open subscriptions."""
        open_subscriptions = [s for subscriber in self.subscribers.values() for s in subscriber.subscriptions]
        self.subscribers.clear()
        self._followers.clear()
        return open_subscriptions

    def drop_idle(self) -> None:
        """Drop subscribers that have had no open subscription for a while."""
        before = time.monotonic() - SUBSCRIBER_KEPT_S
        for subscriber in [s for s in self.subscribers.values() if not s.subscriptions and s.idle_since < before]:
            del self.subscribers[subscriber.user]
            for stream in subscriber.intervals:
                self._drop_follower(stream, subscriber)

    def _drop_follower(self, stream: str, subscriber: Subscriber) -> None:
        followers = self._followers.get(stream)
        if followers is not None:
            followers.discard(subscriber)
            if not followers:
                del self._followers[stream]
