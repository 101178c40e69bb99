"""Requests go on a few at a time, so that no send waits for all that one caller, or a crowd, asks for at once.

In a tick of the loop a few requests of each caller are parsed. Of those that wait for events a few begin, of all callers together:
thousands of clients return at once. The bodies of files go on slowly beside sends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable

LIMITS_OF_CROWD = (20, 2)  # beside sends 2, which wait for some six ticks each; a poll takes 0.2 ms, and as much when it goes on
LIMITS_OF_CALLER = (20, 1)


class RatePace:
    """Lets something go on at a bounded rate while `is_sending()`: blocks of bodies, one after the other, or uploads that begin."""

    def __init__(self, is_sending: Callable[[], bool], per_s: float) -> None:
        self._is_sending = is_sending
        self._per_s = per_s
        self._free_at = 0.0

    async def wait(self, amount: int = 1) -> None:
        """Wait until so much may go on."""
        if self._is_sending():
            now = asyncio.get_running_loop().time()
            begin = max(now, self._free_at)
            self._free_at = begin + amount / self._per_s
            if begin > now:
                await asyncio.sleep(begin - now)


class Pace:
    """Lets a few requests of each group go on in a tick of the loop, in their order: fewer while `is_sending()`.

    Of each connection one waits at most.
    """

    def __init__(self, is_sending: Callable[[], bool], limits: tuple[int, int]) -> None:
        self._is_sending = is_sending
        self._limit, self._limit_beside_sends = limits
        self._waiting: dict[Hashable, deque[Callable[[], None]]] = {}
        self._begun: dict[Hashable, int] = {}  # in this tick
        self._ticking = False

    @property
    def limit(self) -> int:
        """How many requests of a group may go on, or connections be accepted, in a tick."""
        return self._limit_beside_sends if self._is_sending() else self._limit

    def begin(self, begin: Callable[[], None], group: Hashable = None) -> None:
        """Call `begin` now, or in a later tick if this one has begun enough of the group."""
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_soon(self._tick)
        begun = self._begun.get(group, 0)
        if begun < self.limit and group not in self._waiting:
            self._begun[group] = begun + 1
            begin()
        else:
            self._waiting.setdefault(group, deque()).append(begin)

    def _tick(self) -> None:
        loop, limit = asyncio.get_running_loop(), self.limit
        self._begun.clear()
        for group, waiting in list(self._waiting.items()):
            self._begun[group] = min(limit, len(waiting))
            for _ in range(self._begun[group]):
                loop.call_soon(waiting.popleft())  # not called from here: an error of one concerns no other
            if not waiting:
                del self._waiting[group]
        self._ticking = bool(self._begun)
        if self._ticking:
            loop.call_soon(self._tick)
