"""Subscribers (a user with the streams they follow) and subscriptions (their open polls, event streams and WebSockets)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from models.log.event import Event
from models.sync.catchup import FOREVER, MAX_SLICE_BYTES, IntervalsByStream, by_stream, is_within

MAX_EVENTS_PER_ANSWER = 200  # `more` in the answer says that further events wait
MAX_BYTES_PER_ANSWER = MAX_SLICE_BYTES  # of the events' data
MAX_EPHEMERAL_KEPT = 20

Waiting = dict["Subscription", None]
Types = frozenset[str] | None  # event types that a subscription receives; None: all


class Answer(NamedTuple):
    """Log events, ephemeral events as JSON, the position reached, and whether further events wait."""

    events: list[Event]
    ephemeral: list[bytes]
    position: int
    more: bool = False


def first_that_fit(events: list[Event]) -> list[Event]:
    """As many of the first events as an answer may have."""
    size = 0
    for n, event in enumerate(events[:MAX_EVENTS_PER_ANSWER]):
        size += len(event.data)
        if n and size > MAX_BYTES_PER_ANSWER:
            return events[:n]
    return events[:MAX_EVENTS_PER_ANSWER]


class Subscriber:
    """A user on this gateway: the intervals of the log in which they may see a stream, and their open subscriptions.

    A user has one for conversations and another one for posts.
    """

    __slots__ = ("applied", "idle_since", "intervals", "subscriptions", "user")

    def __init__(self, user: int, intervals: Collection[tuple[str, int, int | None]], applied: int) -> None:
        self.user = user
        self.applied = applied  # membership events up to this id are in `intervals` already
        self.intervals: IntervalsByStream = by_stream(intervals)
        self.subscriptions: dict[Subscription, None] = {}
        self.idle_since = time.monotonic()

    def sees(self, event: Event) -> bool:
        """Whether the event's id is within one of the user's intervals of its stream."""
        return is_within(self.intervals.get(event.stream, ()), event.id)

    def follows(self, stream: str) -> bool:
        """Whether the user is a member of the stream's conversation or group now."""
        intervals = self.intervals.get(stream)
        return intervals is not None and intervals[-1][1] == FOREVER

    def join(self, stream: str, event: int, closed: int = FOREVER) -> None:
        """Open an interval at an event, or add one that is closed already."""
        self.intervals.setdefault(stream, []).append((event, closed))

    def leave(self, stream: str, event: int) -> None:
        """Close the open interval at an event."""
        intervals = self.intervals.get(stream)
        if intervals:
            opened, closed = intervals[-1]
            intervals[-1] = opened, min(closed, event)


class Subscription:
    """One open poll, event stream or WebSocket. While `synced`, every event of its user after `position` is offered to it."""

    __slots__ = (
        "_bytes",
        "_on_wake",
        "_until",
        "by_admin",
        "end_reason",
        "ephemeral",
        "events",
        "expires",
        "feed",
        "position",
        "subscriber",
        "synced",
        "token",
        "types",
        "urgent",
        "waited",
    )

    def __init__(self, subscriber: Subscriber, token: int, position: int, types: Types, feed: Subscriber | None = None) -> None:
        self.subscriber = subscriber
        self.feed = feed  # the same user as a subscriber of posts, when the client follows these
        self.token = token
        self.position = position
        self.types = types
        self.events: Sequence[Event] = ()  # a list when there are any: most wait with none
        self.ephemeral: Sequence[bytes] = ()
        self._bytes = 0  # of the events' data
        self.synced = False
        self.urgent = False  # an ephemeral event that ends a poll has arrived
        self.waited = False  # whether the events arrived while the subscription waited
        self.end_reason = ""
        self.by_admin = 0  # the admin whose token it is, who acts for the user
        self.expires = math.inf  # the loop's time when its token ends
        self._on_wake: Callable[[], None] | None = None  # of the request that waits
        self._until: Waiting | None = None  # the others that wait as long

    @property
    def subscribers(self) -> tuple[Subscriber, ...]:
        """The user's subscribers that this subscription belongs to."""
        return (self.subscriber,) if self.feed is None else (self.subscriber, self.feed)

    def sees(self, event: Event) -> bool:
        """Whether the user may see the event, posts included."""
        return self.subscriber.sees(event) or (self.feed is not None and self.feed.sees(event))

    def offer(self, event: Event) -> bool:
        """Keep an event that the user may see, if its type matches. Returns whether the waiting request must be woken."""
        if not self.synced or event.id <= self.position or (self.types is not None and event.type not in self.types):
            return False
        self._bytes += len(event.data)
        if len(self.events) >= MAX_EVENTS_PER_ANSWER or (self._bytes > MAX_BYTES_PER_ANSWER and self.events):
            self.synced = False  # the rest is read from memory or store, after the last event kept
            return False
        if isinstance(self.events, list):
            self.events.append(event)
            return False  # waking it once is enough
        self.events = [event]
        return self._on_wake is not None

    def offer_ephemeral(self, event_type: str, encoded: bytes, *, ends_poll: bool) -> bool:
        """Keep an ephemeral event, if its type matches. Returns whether the waiting request must be woken."""
        if self.types is not None and event_type not in self.types:
            return False
        if len(self.ephemeral) < MAX_EPHEMERAL_KEPT:
            self.ephemeral = [*self.ephemeral, encoded]
        self.urgent = self.urgent or ends_poll
        return ends_poll and self._on_wake is not None

    def clear_events(self) -> list[Event]:
        """Return the events that have arrived, and keep none."""
        events, self.events, self._bytes = self.events, (), 0
        return list(events)

    def clear_ephemeral(self) -> list[bytes]:
        """Return the ephemeral events that have arrived, and keep none."""
        ephemeral, self.ephemeral, self.urgent = self.ephemeral, (), False
        return list(ephemeral)

    def fall_behind(self, position: int) -> None:
        """Keep no events for a slow client, to which those up to a position were sent: `Hub.next` reads the others later."""
        self.synced = False
        self.clear_events()
        self.position = position

    def end(self, reason: str) -> None:
        """Mark it as ended, for its first reason: `dead` token, `suspended` user for whom an admin acts, `superseded` by newer
        polls, `closing` gateway, `aborted` by its client, or `missed` events."""
        self.end_reason = self.end_reason or reason

    def wait(self, until: Waiting, on_wake: Callable[[], None]) -> None:
        """Wait until an event arrives, the subscription is ended, or the time of `until` is over. `on_wake` is called once."""
        self._until = until
        self._on_wake = on_wake
        until[self] = None

    def stop_waiting(self) -> Callable[[], None] | None:
        """Wait no more; returns the function that was to be called, if it waited."""
        on_wake, until = self._on_wake, self._until
        self._on_wake = self._until = None
        if until is not None:
            until.pop(self, None)
        return on_wake

    def wake(self) -> None:
        """Let the request go on that waits, if one does."""
        on_wake = self.stop_waiting()
        if on_wake is not None:
            on_wake()

    def collect(self, head: int) -> Answer:
        """Return what has arrived, and advance to the hub's head, or to the last event if there was no room for more."""
        events, ephemeral = self.clear_events(), self.clear_ephemeral()
        self.position = max(self.position, head) if self.synced else (events[-1].id if events else self.position)
        return Answer(events, ephemeral, self.position, not self.synced)
