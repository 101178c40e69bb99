"""Who follows what: a gateway's readers of one kind, each loaded from the store once and kept up to date by the log from then on.

Joining and leaving take effect in id order, by the events that tell of them on the user's own stream. So a stale cache can neither
skip nor leak.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from gateway.delivery.recent_events import Ring
from gateway.delivery.subscriptions import Reader, Waiter
from models.log.event import Event, conversation_stream, group_stream, user_stream
from models.store.errors import StoreDownError
from models.sync.catchup import Intervals

READER_KEPT_S = 120  # how long a user without an open poll stays known
LOADS_AT_ONCE = 5

Followers = dict[str, set[Reader]]


class Changes(NamedTuple):
    """Events that tell a user of joining and leaving, and the stream that one is about, from its data."""

    joining: str
    leaving: str
    stream: Callable[[bytes], str]


class _Numbered(msgspec.Struct):
    id: int


class _InConversation(msgspec.Struct):
    """The one field of `conversation.created` and `member.left` that is needed."""

    id: int = 0
    conversation: int = 0


class _InGroup(msgspec.Struct):
    group: _Numbered


def _conversation(data: bytes) -> str:
    named = msgspec.json.decode(data, type=_InConversation)
    return conversation_stream(named.id or named.conversation)


def _group(data: bytes) -> str:
    return group_stream(msgspec.json.decode(data, type=_InGroup).group.id)


CONVERSATIONS = Changes("conversation.created", "member.left", _conversation)
GROUPS = Changes("group.joined", "group.left", _group)


class Following:
    """The readers of one kind, by user. `followers` has those of all kinds, by stream; `load` asks the store for a user's place."""

    def __init__(
        self, changes: Changes, ring: Ring, followers: Followers, load: Callable[[int, int], Awaitable[Intervals]]
    ) -> None:
        self.readers: dict[int, Reader] = {}
        self.kinds = (changes.joining, changes.leaving)
        self._changes = changes
        self._ring = ring
        self._followers = followers
        self._load = load
        self._loading: dict[int, asyncio.Future[Reader]] = {}

    async def reader(self, user: int) -> Reader:
        """The user's reader, who is kept for a while from now on."""
        found = self.readers.get(user)
        if found is not None:
            found.idle_since = time.monotonic()
            return found
        loading = self._loading.get(user)
        if loading is None:
            loading = self._loading[user] = asyncio.ensure_future(self._loaded(user))
            loading.add_done_callback(lambda _: self._loading.pop(user, None))
        return await asyncio.shield(loading)

    async def _loaded(self, user: int) -> Reader:
        for _ in range(LOADS_AT_ONCE):
            place = await self._load(user, self._ring.low)
            if place.head >= self._ring.low:
                break
        else:  # the ring passes by faster than the store can be read: what happened in between is not known
            raise StoreDownError
        reader = Reader(user, place.intervals, place.head)
        self.readers[user] = reader
        for stream in reader.intervals:
            self._followers.setdefault(stream, set()).add(reader)
        for event in self._ring.after(place.head):  # what happened since the snapshot was taken
            if event.stream == user_stream(user) and event.type in self.kinds:
                self.heed(event)
        return reader

    def heed(self, event: Event) -> None:
        """Joining and leaving, told on a user's own stream."""
        reader = self.readers.get(int(event.stream[5:]))
        if reader is None or event.id <= reader.applied:
            return
        stream = self._changes.stream(event.data)
        if event.type == self._changes.joining:
            reader.join(stream, event.id)
            self._followers.setdefault(stream, set()).add(reader)
        else:
            reader.leave(stream, event.id)

    def forget_all(self) -> list[Waiter]:
        """Drops all readers, to be loaded again; returns who waits."""
        waiting = [waiter for reader in self.readers.values() for waiter in reader.waiters]
        self.readers.clear()
        self._followers.clear()
        return waiting

    def forget_idle(self) -> None:
        """Drops readers without an open poll for a while."""
        now = time.monotonic()
        for reader in [r for r in self.readers.values() if not r.waiters and now - r.idle_since > READER_KEPT_S]:
            del self.readers[reader.user]
            for stream in reader.intervals:
                followers = self._followers.get(stream)
                if followers is not None:
                    followers.discard(reader)
                    if not followers:
                        del self._followers[stream]
