"""Counters of fixed windows, in this process or on Redis. All limits of a request are checked and counted by one call.

The `limits` package has a strategy for one limit at a time: its memory storage walks all keys at each hit, and its Redis storage
needs a round trip for each limit.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from redis.asyncio import Redis

MAX_KEYS = 50_000  # about 17 MB; an attacker with many addresses drops the counts of others like them, not those of users
SWEPT_PER_NEW_KEY = 2  # more than one, so that windows that are over leave faster than new ones arrive

# KEYS: the windows. ARGV: for each of them its limit, length in ms, cost and spent amount. It returns which window refuses, from 1
# on (0: none), and for how many ms. A script is atomic, and one round trip.
SCRIPT = """
local refused = 0
for i, key in ipairs(KEYS) do
  local limit, cost, spent = tonumber(ARGV[4*i-3]), tonumber(ARGV[4*i-1]), tonumber(ARGV[4*i])
  if refused == 0 and tonumber(redis.call('GET', key) or 0) + spent + cost > limit then refused = i end
end
for i, key in ipairs(KEYS) do
  local amount = tonumber(ARGV[4*i])
  if refused == 0 then amount = amount + tonumber(ARGV[4*i-1]) end
  if amount > 0 then
    redis.call('INCRBY', key, amount)
    if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, ARGV[4*i-2]) end
  end
end
return {refused, refused > 0 and redis.call('PTTL', KEYS[refused]) or 0}
"""


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A request in one window: `cost` counts if no window refuses the request, `spent` in any case, for it was used before."""

    key: str
    limit: int
    window_s: int
    cost: int = 1
    spent: int = 0


class Refusal(NamedTuple):
    """The hit, by its position, whose window is full for `wait_s` more seconds."""

    position: int
    wait_s: float


class _Window:
    __slots__ = ("count", "ends")

    def __init__(self) -> None:
        self.count = 0
        self.ends = 0.0  # time.monotonic()


class MemoryCounters:
    """Windows in memory, at most `max_keys`: the oldest are dropped first. Each new window removes some that are over."""

    def __init__(self, max_keys: int = MAX_KEYS, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._max_keys = max_keys

    def __len__(self) -> int:
        return len(self._windows)

    def hit(self, hits: Sequence[Hit]) -> Refusal | None:
        """Count a request in all windows, or return which of them refuses it."""
        now, refusal = self._clock(), None
        counted: list[tuple[_Window, Hit]] = []
        for hit in hits:
            window = self._windows.get(hit.key)
            if window is None or window.ends <= now:
                window = self._begin(hit, now)
            if refusal is None and window.count + hit.spent + hit.cost > hit.limit:
                refusal = Refusal(len(counted), window.ends - now)
            counted.append((window, hit))
        for window, hit in counted:
            window.count += hit.spent + hit.cost if refusal is None else hit.spent
        return refusal

    def _begin(self, hit: Hit, now: float) -> _Window:
        """Make the hit's window begin."""
        window = self._windows.get(hit.key)
        if window is None:
            self._sweep(now)
            window = self._windows[hit.key] = _Window()
        window.count, window.ends = 0, now + hit.window_s
        return window

    def _sweep(self, now: float) -> None:
        """Remove the next windows that are over, so that a new one never costs more than a constant time."""
        for _ in range(min(SWEPT_PER_NEW_KEY, len(self._windows))):
            key, window = self._windows.popitem(last=False)
            if window.ends > now:
                self._windows[key] = window
        if len(self._windows) >= self._max_keys:
            self._windows.popitem(last=False)


class RedisCounters:
    """Windows that all gateways share. Every method raises redis.RedisError or OSError."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._script = client.register_script(SCRIPT)

    async def hit(self, hits: Sequence[Hit]) -> Refusal | None:
        """Count a request in all windows, or return which of them refuses it. One round trip."""
        values = [value for hit in hits for value in (hit.limit, hit.window_s * 1000, hit.cost, hit.spent)]
        refused, wait_ms = await self._script(keys=[hit.key for hit in hits], args=values)
        return Refusal(refused - 1, wait_ms / 1000) if refused else None

    async def check(self) -> None:
        """Check that the server may be written to, over a new connection: behind a fixed address there may be another by now."""
        await self.close()
        await self.hit([Hit("bellwire:limits-check", limit=2**31, window_s=60)])

    async def close(self) -> None:
        """Close the connections; the next hit opens another."""
        await self._client.connection_pool.disconnect()
