"""The hub: it follows the log and wakes who waits for it. Everything here runs on the loop's thread.

A waiter is registered first and reads then, so no event slips between. Whom a user follows changes only by processing
membership events in id order, so a stale cache can neither skip nor leak.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Protocol

import msgspec

from gateway.committer import StoreDownError
from gateway.reader import EVENTS_AN_ANSWER, Answer, Reader, Waiter
from gateway.ring import Ring
from models import catchup
from models.clock import rfc3339
from models.event import GATEWAYS, Event, conversation_stream, user_stream

WOKEN_A_TICK = 100  # waking 3,000 at once blocks the loop for longer than a send may take
READER_KEPT_S = 120  # how long a user without an open poll stays known
LOADS_AT_ONCE = 5


class ExpiredError(Exception):
    """The cursor is older than what is kept, or past the store's head. `head` is the cursor of now."""

    def __init__(self, head: int) -> None:
        super().__init__("the cursor has expired")
        self.head = head


class Listener(Protocol):
    """Who hears of what happens in the hub besides its waiters."""

    def account_event(self, event: Event) -> None:
        """An account changed or a token died, on any gateway."""

    def watching(self, user: int, watches: bool) -> None:
        """A user's first poll was opened, or the last one ended."""


class _Named(msgspec.Struct):
    """The one field of `conversation.created` and `member.left` that the hub needs."""

    id: int = 0
    conversation: int = 0


class Hub:
    """The readers of one gateway. `read` runs a function on a reader thread; `look` makes the tail look now."""

    def __init__(self, epoch: str, head: int, read: Callable[..., Awaitable[Any]], listener: Listener) -> None:
        self.epoch = epoch
        self.head = head
        self.ring = Ring(head)
        self.look: Callable[[], None] = lambda: None
        self.polls_a_user = 20
        self.closing = False
        self._read = read
        self._listener = listener
        self._readers: dict[int, Reader] = {}
        self._loading: dict[int, asyncio.Future[Reader]] = {}
        self._followers: dict[str, set[Reader]] = {}
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
        if event.type == "message.deleted":
            self.ring.forget_text(event)
        for reader in self._followers.get(event.stream, ()):
            if reader.waiters and reader.sees(event):
                self._ready.extend(w for w in reader.waiters if w.offer(event))
        self._follow(event)

    def _follow(self, event: Event) -> None:
        """Joining and leaving take effect in id order; a user's own stream tells of both."""
        if event.type not in ("conversation.created", "member.left") or not event.stream.startswith("user:"):
            return
        reader = self._readers.get(int(event.stream[5:]))
        if reader is None or event.id <= reader.applied:
            return
        named = msgspec.json.decode(event.data, type=_Named)
        if event.type == "conversation.created":
            stream = conversation_stream(named.id)
            reader.join(stream, event.id)
            self._followers.setdefault(stream, set()).add(reader)
        else:
            reader.leave(conversation_stream(named.conversation), event.id)

    def _dispatch(self) -> None:
        for _ in range(min(WOKEN_A_TICK, len(self._ready))):
            self._ready.popleft().wake()
        if self._ready:
            self._loop.call_soon(self._dispatch)

    def whisper(self, users: Collection[int] | None, stream: str, kind: str, data: Any, but: int) -> None:
        """An ephemeral event, now, to these users or the followers of a stream, but not to one user. Presence ends no poll."""
        if users is None:
            chosen = [r for r in self._followers.get(stream, ()) if r.user != but and r.follows(stream)]
        else:
            chosen = [r for u in users if (r := self._readers.get(u)) is not None and u != but]
        body = {"id": None, "type": kind, "at": rfc3339(time.time_ns() // 1_000_000), "data": data}
        encoded = msgspec.json.encode(body)
        for reader in chosen:
            self._ready.extend(w for w in reader.waiters if w.whisper(kind, encoded, kind != "presence"))
        if self._ready:
            self._dispatch()

    # Readers

    def known(self, user: int) -> Reader | None:
        """The user's reader, when it is loaded."""
        return self._readers.get(user)

    async def reader(self, user: int) -> Reader:
        """The user's streams, loaded once and kept up to date by the log from then on."""
        found = self._readers.get(user)
        if found is not None:
            return found
        loading = self._loading.get(user)
        if loading is None:
            loading = self._loading[user] = asyncio.ensure_future(self._load(user))
            loading.add_done_callback(lambda _: self._loading.pop(user, None))
        return await asyncio.shield(loading)

    async def _load(self, user: int) -> Reader:
        for _ in range(LOADS_AT_ONCE):
            place: catchup.Place = await self._read(catchup.place, user, self.ring.low)
            if place.head >= self.ring.low:
                break
        else:  # the ring passes by faster than the store can be read: what happened in between is not known
            raise StoreDownError
        reader = Reader(user, place.intervals, place.head)
        self._readers[user] = reader
        for stream in reader.intervals:
            self._followers.setdefault(stream, set()).add(reader)
        for event in self.ring.after(place.head):  # what happened since the snapshot was taken
            if event.stream == user_stream(user):
                self._follow(event)
        return reader

    def forget_idle(self) -> None:
        """Drops readers without an open poll for a while."""
        now = time.monotonic()
        for reader in [r for r in self._readers.values() if not r.waiters and now - r.idle_since > READER_KEPT_S]:
            del self._readers[reader.user]
            for stream in reader.intervals:
                followers = self._followers.get(stream)
                if followers is not None:
                    followers.discard(reader)
                    if not followers:
                        del self._followers[stream]

    # Waiters

    def register(self, reader: Reader, token: int, position: int, types: frozenset[str] | None) -> Waiter:
        """Opens a poll; of too many, the oldest is answered empty."""
        waiter = Waiter(reader, token, position, types)
        if len(reader.waiters) >= self.polls_a_user:
            oldest = next((w for w in reader.waiters if not w.ended), None)
            if oldest is not None:
                oldest.end("superseded")
        if not reader.waiters:
            self._listener.watching(reader.user, True)
        reader.waiters[waiter] = None
        if self.closing:
            waiter.ended = "closing"
        return waiter

    def unregister(self, waiter: Waiter) -> None:
        """Ends a poll."""
        reader = waiter.reader
        reader.waiters.pop(waiter, None)
        if not reader.waiters:
            reader.idle_since = time.monotonic()
            self._listener.watching(reader.user, False)

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
        sees, types = waiter.reader.sees, waiter.types
        events = [e for e in self.ring.after(waiter.position) if (types is None or e.type in types) and sees(e)]
        if len(events) > EVENTS_AN_ANSWER:
            return events[:EVENTS_AN_ANSWER], events[EVENTS_AN_ANSWER - 1].id, True
        return events, self.head, False

    async def _from_store(self, waiter: Waiter) -> tuple[list[Event], int, bool]:
        found: catchup.Slice = await self._read(catchup.read, waiter.reader.user, waiter.position, waiter.types, EVENTS_AN_ANSWER)
        if found.expired:
            raise ExpiredError(found.position)
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
            raise ExpiredError(self.head)
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
