"""The long poll over all streams of the log. It reads recent events from memory, and older ones from the store."""

from __future__ import annotations

import time

import msgspec

from gateway.commit.threads import ThreadPool
from gateway.delivery.hub import MAX_SCANNED_EVENTS, Hub
from gateway.delivery.log_polls import LogPoll
from gateway.delivery.subscriptions import MAX_BYTES_PER_ANSWER
from models.log.event import Event
from models.log.type_patterns import TypePatterns
from models.store.errors import ExpiredError
from models.sync import whole_log
from models.sync.catchup import Slice


class WholeLog:
    """Reads the log of one gateway's store over all streams."""

    def __init__(self, hub: Hub, read: ThreadPool) -> None:
        self._hub = hub
        self._read = read

    async def next(self, poll: LogPoll, position: int, patterns: TypePatterns, limit: int, timeout_s: float) -> Slice:
        """Return the chosen events after a position: at once if there are any or older ones are still to be searched, else when one
        arrives or the time is over.

        Raises ExpiredError, StoreDownError.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            found = await self._read_on(poll, position, patterns, limit)
            position = found.position
            left_s = deadline - time.monotonic()
            if found.events or found.more or poll.end_reason or left_s <= 0:
                return found
            if self._hub.head <= position:
                await poll.wait(left_s)

    async def _read_on(self, poll: LogPoll, position: int, patterns: TypePatterns, limit: int) -> Slice:
        if position == self._hub.head:
            return Slice([], position, more=False, expired=False)
        if self._hub.recent.low <= position < self._hub.head:
            return self._from_memory(position, patterns, limit)
        found = await self._read.of_account(poll.user, whole_log.read, position, patterns, limit)
        if found.expired:
            raise ExpiredError
        return found

    def _from_memory(self, position: int, patterns: TypePatterns, limit: int) -> Slice:
        events: list[Event] = []
        size = 0
        for event in self._hub.recent.first_of_all(position, MAX_SCANNED_EVENTS):
            position = event.id
            if patterns.matches(event.type):
                events.append(event)
                size += len(event.data)
            if len(events) == limit or size > MAX_BYTES_PER_ANSWER:
                break
        return Slice(events, position, more=position < self._hub.head, expired=False)

    def encode(self, event: Event) -> bytes:
        """EVENT with its stream, as JSON."""
        return b"".join((self._hub.encode(event)[:-1], b',"stream":', msgspec.json.encode(event.stream), b"}"))
