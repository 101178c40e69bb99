"""Places for work of which each caller, and all callers together, may have so much at once."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.http.connections import Caller
from models.store.errors import LimitedError, StoreDownError

AGAIN_MS = 1_000


class Places:
    """Bounds what runs at the same time. A caller who has enough of it waits, and their requests go on in their order.

    `calls` names what it is.
    """

    def __init__(self, calls: str, most: int, most_of_caller: int, most_waiting: int, wait_s: float) -> None:
        self._calls = calls
        self._most, self._most_of_caller, self._most_waiting = most, most_of_caller, most_waiting
        self._wait_s = wait_s
        self._occupied: Counter[Caller] = Counter()
        self._waiting: dict[Caller, deque[asyncio.Future[None]]] = {}

    @property
    def occupied(self) -> int:
        """How many places are occupied."""
        return self._occupied.total()

    @asynccontextmanager
    async def place(self, caller: Caller) -> AsyncIterator[None]:
        """Occupy a place for a while. Raises as `occupy` does."""
        await self.occupy(caller)
        try:
            yield
        finally:
            self.leave(caller)

    async def occupy(self, caller: Caller) -> None:
        """Occupy a place until `leave`. Raises LimitedError if too many requests of the caller wait, or one for too long, and
        StoreDownError if no place is free for anybody."""
        if self._occupied[caller] < self._most_of_caller:
            if self.occupied >= self._most:
                raise StoreDownError
            self._occupied[caller] += 1
        else:
            await self._wait(caller)

    async def _wait(self, caller: Caller) -> None:
        """Wait for a place that another request of the caller leaves."""
        waiting = self._waiting.setdefault(caller, deque())
        if len(waiting) >= self._most_waiting:
            raise LimitedError(f"too many {self._calls} at the same time", AGAIN_MS)
        place = asyncio.get_running_loop().create_future()
        waiting.append(place)
        try:
            async with asyncio.timeout(self._wait_s):
                await place
        except TimeoutError:
            if place in waiting:
                waiting.remove(place)
            if not place.cancelled():  # a place was left just now
                self.leave(caller)
            raise LimitedError(f"too many {self._calls} at the same time", AGAIN_MS) from None

    def leave(self, caller: Caller) -> None:
        """Leave a place to the caller's next request, or to anybody."""
        waiting = self._waiting.get(caller)
        while waiting:
            place = waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._waiting.pop(caller, None)
        self._occupied[caller] -= 1
        if not self._occupied[caller]:
            del self._occupied[caller]
