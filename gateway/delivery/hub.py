"""The hub: it follows the log and wakes who waits for it. Everything here runs on the loop's thread.

A waiter is registered first and reads then, so no event slips between. Whom a user follows, `gateway.delivery.following` knows.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import msgspec

from gateway.delivery.following import CONVERSATIONS, GROUPS, Followers, Following
from gateway.delivery.listener import Listener
from gateway.delivery.recent_events import FORGETTING, Ring
from gateway.delivery.subscriptions import EVENTS_AN_ANSWER, Answer, Reader, Types, Waiter
from models.log.event import GATEWAYS, Event
from models.store.clock import rfc3339
from models.store.errors import ExpiredError
from models.sync import catchup

WOKEN_A_TICK = 100  # waking 3,000 at once blocks the loop for longer than a send may take


class Hub:
    """The readers of one gateway. `read` runs a function on a reader thread; `look` makes the tail look now."""

    def __init__(self, epoch: str, head: int, read: Callable[..., Awaitable[Any]], listener: Listener) -> None:
        self.epoch = epoch
        self.head = head
        self.ring = Ring(head)
        self.look: Callable[[], None] = lambda: None
        self.tell: Callable[[Collection[int] | None, str, str, bytes, int], None] = lambda *_: None  # other gateways
        self.polls_a_user = 20
        self.closing = False
        self._read = read
        self._listener = listener
        self._followers: Followers = {}
        self._members = Following(
            CONVERSATIONS, self.ring, self._followers, lambda *asked: self._read(catchup.conversation_intervals, *asked)
        )
        self._feeds = Following(GROUPS, self.ring, self._followers, lambda *asked: self._read(catchup.post_intervals, *asked))
        self._changes = {kind: which for which in (self._members, self._feeds) for kind in which.kinds}
        self._readers = self._members.readers
        self._ready: deque[Waiter] = deque()
        self._loop = asyncio.get_running_loop()

    # Following the log

    def publish(self, after: int, events: list[Event], committed: float) -> None:
        """Takes the events that follow `after` without a gap. What is known already is passed over."""
        if after > self.head:
            self.look()  # others committed in between: the tail reads it all, in order
            return
        woken = bool(self._ready)
        for event in events:
            if event.id > self.head:
                event.committed = committed
                self._take(event)
        if self._ready and not woken:
            self._dispatch()

    def _take(self, event: Event) -> None:
        self.head = event.id
        self.ring.append(event)
        if event.stream == GATEWAYS:
            self._listener.account_event(event)
            return
        if event.type in FORGETTING:
            self.ring.forget_text(event)
        for reader in self._followers.get(event.stream, ()):
            if reader.waiters and reader.sees(event):
                self._ready.extend(w for w in reader.waiters if w.offer(event))
        changed = self._changes.get(event.type)
        if changed is not None and event.stream.startswith("user:"):
            changed.heed(event)

    def skip(self, mark: int) -> None:
        """The log was trimmed beyond the head while this gateway stood still: whoever waits is to ask again, and hears so."""
        if mark > self.head:
            self.head = mark
            self.ring.begin_anew(mark)
            self._listener.missed()
            for waiter in self._members.forget_all() + self._feeds.forget_all():
                waiter.miss()

    def _dispatch(self) -> None:
        for _ in range(min(WOKEN_A_TICK, len(self._ready))):
            self._ready.popleft().wake()
        if self._ready:
            self._loop.call_soon(self._dispatch)

    def whisper(self, users: Collection[int] | None, stream: str, kind: str, data: Any, but: int) -> None:
        """An ephemeral event, now, to these users or the followers of a stream, but not to one user, on every gateway."""
        encoded = msgspec.json.encode({"id": None, "type": kind, "at": rfc3339(time.time_ns() // 1_000_000), "data": data})
        self.hear(users, stream, kind, encoded, but)
        self.tell(users, stream, kind, encoded, but)

    def hear(self, users: Collection[int] | None, stream: str, kind: str, encoded: bytes, but: int) -> None:
        """The same on this gateway, of an event that is encoded. Presence ends no poll."""
        if users is None:
            chosen = [r for r in self._followers.get(stream, ()) if r.user != but and r.follows(stream)]
        else:
            chosen = [r for u in users if (r := self._readers.get(u)) is not None and u != but]
        for reader in chosen:
            self._ready.extend(w for w in reader.waiters if w.whisper(kind, encoded, kind != "presence"))
        if self._ready:
            self._dispatch()

    # Readers

    def known(self, user: int) -> Reader | None:
        """The user's reader, when it is loaded."""
        return self._readers.get(user)

    async def reader(self, user: int) -> Reader:
        """The user's own stream and those of their conversations, loaded once and kept up to date by the log from then on."""
        return await self._members.reader(user)

    async def feed(self, user: int) -> Reader:
        """The same user as a reader of posts: public ones, and those of their groups."""
        return await self._feeds.reader(user)

    def forget_idle(self) -> None:
        """Drops readers without an open poll for a while."""
        for kind in (self._members, self._feeds):
            kind.forget_idle()

    # Waiters

    def register(self, reader: Reader, token: int, position: int, types: Types, feed: Reader | None = None) -> Waiter:
        """Opens a poll, with a `feed` one for posts, too; of too many, the oldest is answered empty."""
        waiter = Waiter(reader, token, position, types, feed)
        if len(reader.waiters) >= self.polls_a_user:
            oldest = next((w for w in reader.waiters if not w.ended), None)
            if oldest is not None:
                oldest.end("superseded")
        if not reader.waiters:
            self._listener.watching(reader.user, True)
        for each in waiter.readers:
            each.waiters[waiter] = None
        if self.closing:
            waiter.ended = "closing"
        return waiter

    def unregister(self, waiter: Waiter) -> None:
        """Ends a poll."""
        for each in waiter.readers:
            each.waiters.pop(waiter, None)
            each.idle_since = time.monotonic()
        if not waiter.reader.waiters:
            self._listener.watching(waiter.reader.user, False)

    async def next(self, waiter: Waiter, timeout_s: float) -> Answer:
        """What comes after the waiter's position: at once if there is any, else as soon as there is, else nothing.

        Raises ExpiredError.
        """
        waiter.live = False
        if not waiter.synced:
            answer = await self._catch_up(waiter)
            if answer is not None:
                return answer
        if not (waiter.events or waiter.urgent or waiter.ended) and timeout_s > 0:
            waiter.live = True
            await waiter.wait(timeout_s, self._loop.call_later)
        return waiter.take(self.head)

    async def _catch_up(self, waiter: Waiter) -> Answer | None:
        waiter.events.clear()
        waiter.synced = True  # from here on, what the hub takes is offered
        if waiter.position == self.head:
            return None
        if self.ring.low <= waiter.position < self.head:
            events, position, more = self._from_ring(waiter)
        else:
            try:
                events, position, more = await self._from_store(waiter)
            except BaseException:
                waiter.synced = False  # what came before it was registered is still to be read
                raise
        waiter.position = position
        waiter.synced = not more
        if not events and not more:
            return None
        ephemeral, waiter.ephemeral = waiter.ephemeral, []
        return Answer(events, ephemeral, position, more)

    def _from_ring(self, waiter: Waiter) -> tuple[list[Event], int, bool]:
        sees, types = waiter.reader.sees if waiter.feed is None else waiter.sees, waiter.types
        events = [e for e in self.ring.after(waiter.position) if (types is None or e.type in types) and sees(e)]
        if len(events) > EVENTS_AN_ANSWER:
            return events[:EVENTS_AN_ANSWER], events[EVENTS_AN_ANSWER - 1].id, True
        return events, self.head, False

    async def _from_store(self, waiter: Waiter) -> tuple[list[Event], int, bool]:
        asked = waiter.reader.user, waiter.position, waiter.types, EVENTS_AN_ANSWER, waiter.feed is not None
        found: catchup.Slice = await self._read(catchup.read, *asked)
        if found.expired:
            raise ExpiredError
        if found.more or not waiter.synced:
            waiter.events.clear()
            return found.events, found.position, True
        since = [e for e in waiter.events if e.id > found.position]
        waiter.events = []
        return found.events + since, max(found.position, self.head), False

    # Cursors and ends

    def cursor(self, position: int) -> str:
        """The opaque form of a position."""
        return f"{self.epoch}-{position}"

    def position(self, cursor: str) -> int:
        """The position a cursor stands for. Raises ExpiredError when it is of another epoch, ValueError when it is none."""
        epoch, _, number = cursor.partition("-")
        if not (number.isascii() and number.isdigit() and len(number) < 17):
            raise ValueError("not a cursor")
        if epoch != self.epoch:
            raise ExpiredError
        return int(number)

    def encode(self, event: Event) -> bytes:
        """EVENT of the contract: made once for each event, the stored data spliced in."""
        if not event.json:
            head = f'{{"id":"{self.epoch}-{event.id}","type":"{event.type}","at":"{rfc3339(event.at_ms)}","data":'
            event.json = head.encode() + event.data + b"}"
        return event.json

    def end(self, user: int, tokens: Collection[int] | None, why: str) -> None:
        """Ends the polls of these tokens of a user (None: all)."""
        reader = self._readers.get(user)
        for waiter in list(reader.waiters) if reader is not None else ():
            if tokens is None or waiter.token in tokens:
                waiter.end(why)

    def close(self) -> None:
        """The gateway is going: every open poll is answered, every later one at once."""
        self.closing = True
        for reader in self._readers.values():
            for waiter in list(reader.waiters):
                waiter.end("closing")
