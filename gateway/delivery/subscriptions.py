"""Who reads: a user with the streams they follow, and each open poll, stream or socket of theirs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import NamedTuple

from models.log.event import Event

EVENTS_AN_ANSWER = 200  # a slow reader must not hold memory: `more` tells that there is more
EPHEMERAL_KEPT = 20
FOREVER = 2**62

Types = frozenset[str] | None  # of events that are asked for; None: all


class Answer(NamedTuple):
    """What a reader gets: log events, ephemeral ones as JSON, the position read to, and whether more waits."""

    events: list[Event]
    ephemeral: list[bytes]
    position: int
    more: bool = False


class Reader:
    """A user known to this gateway, as a reader of their conversations or of posts. `intervals` say which places of which streams
    are theirs to see."""

    __slots__ = ("applied", "idle_since", "intervals", "user", "waiters")

    def __init__(self, user: int, intervals: Collection[tuple[str, int, int | None]], applied: int) -> None:
        self.user = user
        self.applied = applied  # membership events up to here are in `intervals` already
        self.intervals: dict[str, list[tuple[int, int]]] = {}
        self.waiters: dict[Waiter, None] = {}
        self.idle_since = time.monotonic()
        for stream, opened, closed in intervals:
            self.intervals.setdefault(stream, []).append((opened, FOREVER if closed is None else closed))

    def sees(self, event: Event) -> bool:
        """Whether the event's place in the log is within one of the user's intervals of its stream."""
        return any(opened <= event.id < closed for opened, closed in self.intervals.get(event.stream, ()))

    def follows(self, stream: str) -> bool:
        """Whether the user is in the stream's conversation or group now."""
        return any(closed == FOREVER for _, closed in self.intervals.get(stream, ()))

    def join(self, stream: str, event: int) -> None:
        """Opens an interval at an event."""
        self.intervals.setdefault(stream, []).append((event, FOREVER))

    def leave(self, stream: str, event: int) -> None:
        """Closes the open interval at an event."""
        self.intervals[stream] = [(a, min(b, event)) for a, b in self.intervals.get(stream, ())]


class Waiter:
    """One open poll, stream or socket. While `synced`, every event of its user after `position` is offered to it."""

    __slots__ = (
        "_future",
        "_timer",
        "ended",
        "ephemeral",
        "events",
        "feed",
        "live",
        "position",
        "reader",
        "synced",
        "token",
        "types",
        "urgent",
    )

    def __init__(self, reader: Reader, token: int, position: int, types: Types, feed: Reader | None = None) -> None:
        self.reader = reader
        self.feed = feed  # the same user as a reader of posts, when these are asked for
        self.token = token
        self.position = position
        self.types = types
        self.events: list[Event] = []
        self.ephemeral: list[bytes] = []
        self.synced = False
        self.urgent = False  # an ephemeral event that ends a poll is there
        self.live = False  # whether what is there came while it waited
        self.ended = ""
        self._future: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def readers(self) -> tuple[Reader, ...]:
        """Its user, as a reader of all that it asks for."""
        return (self.reader,) if self.feed is None else (self.reader, self.feed)

    def sees(self, event: Event) -> bool:
        """Whether the event is its user's to see, posts included."""
        return self.reader.sees(event) or (self.feed is not None and self.feed.sees(event))

    def offer(self, event: Event) -> bool:
        """Takes an event that its user sees, if it wants it. Returns whether somebody is to be woken."""
        if not self.synced or event.id <= self.position or (self.types is not None and event.type not in self.types):
            return False
        if len(self.events) >= EVENTS_AN_ANSWER:
            self.synced = False  # the rest is read from ring or store, from the last one kept
            return False
        self.events.append(event)
        return len(self.events) == 1 and self._future is not None  # once is enough

    def whisper(self, kind: str, data: bytes, ends_poll: bool) -> bool:
        """Takes an ephemeral event. Returns whether somebody is to be woken."""
        if self.types is not None and kind not in self.types:
            return False
        if len(self.ephemeral) < EPHEMERAL_KEPT:
            self.ephemeral.append(data)
        self.urgent = self.urgent or ends_poll
        return ends_poll and self._future is not None

    def end(self, why: str) -> None:
        """Ends the poll: `dead` token, `superseded` by newer polls, `closing` gateway, `aborted` by its client."""
        self.ended = self.ended or why
        self.wake()

    def miss(self) -> None:
        """A part of the log is gone that was never offered: its client is to ask again from where it stands."""
        self.synced = False
        self.end("missed")

    def wake(self) -> None:
        """Wakes who waits."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def wait(self, timeout_s: float, later: Callable[..., asyncio.TimerHandle]) -> None:
        """Until something is there, it is ended, or the time is over."""
        self._future = asyncio.get_running_loop().create_future()
        self._timer = later(timeout_s, self.wake)
        try:
            await self._future
        finally:
            self._timer.cancel()
            self._future = self._timer = None

    def take(self, head: int) -> Answer:
        """What is there, and moves on: to the hub's head, or to the last event when there was no room for more."""
        events, ephemeral = self.events, self.ephemeral
        self.position = max(self.position, head) if self.synced else (events[-1].id if events else self.position)
        self.events, self.ephemeral, self.urgent = [], [], False
        return Answer(events, ephemeral, self.position, not self.synced)
