"""Requests that wait for events begin a few at a time: thousands of clients return at once, and no send waits for all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

MAX_PER_TICK = 20  # each takes 0.2 ms, and as much when it goes on; with fewer, their tokens are read in more parts
MAX_PER_TICK_BESIDE_SENDS = 4  # a send waits for some six ticks


class Pace:
    """Begins a few requests in a tick of the loop, in their order: fewer while `is_sending()`, which is when an operation waits."""

    def __init__(self, is_sending: Callable[[], bool]) -> None:
        self._is_sending = is_sending
        self._waiting: deque[Callable[[], None]] = deque()
        self._begun = 0  # in this tick
        self._ticking = False

    @property
    def limit(self) -> int:
        """How many requests may begin, or connections be accepted, in a tick."""
        return MAX_PER_TICK_BESIDE_SENDS if self._is_sending() else MAX_PER_TICK

    def begin(self, begin: Callable[[], None]) -> None:
        """Call `begin` now, or in a later tick if this one has begun enough."""
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_soon(self._tick)
        if self._begun < self.limit and not self._waiting:
            self._begun += 1
            begin()
        else:
            self._waiting.append(begin)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._begun = min(self.limit, len(self._waiting))
        for _ in range(self._begun):
            loop.call_soon(self._waiting.popleft())  # not called from here: an error of one concerns no other
        self._ticking = self._begun > 0
        if self._ticking:
            loop.call_soon(self._tick)
