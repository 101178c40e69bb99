"""Counters of fixed windows, in this process or on Redis. All limits of a request are checked and counted by one call.

Those in memory may be shared with other processes of this machine, whose time.monotonic() is the same: each announces what it has
counted (gateway/http/limit_sharing.py).

The `limits` package has a strategy for one limit at a time: its memory storage walks all keys at each hit, and its Redis storage
needs a round trip for each limit.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from redis.asyncio import Redis

MAX_KEYS = 50_000  # about 17 MB; an attacker with many addresses drops the counts of others like them, not those of users
URGENT_LIMIT = 100  # in a long window: a guard, such as the limit of log-ins
LONG_WINDOW_S = 60
NO_QUEUE, LATER, SOON = 0, 1, 2
MIN_LEFT_S = 1.0  # of a window that is worth a message to a gateway that starts
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


class Amount(NamedTuple):
    """The count of a window, or a part of it, in a message to other processes."""

    key: str
    ends: float  # time.monotonic()
    amount: int


class _Window:
    __slots__ = ("count", "ends", "key", "limit", "queue", "unshared")

    def __init__(self, key: str) -> None:
        self.key = key
        self.count = 0
        self.ends = 0.0  # time.monotonic()
        self.limit = 0  # of the last hit
        self.unshared = 0  # the part of the count that other processes do not know
        self.queue = NO_QUEUE


class UnsharedWindows:
    """The windows of which other processes are to know more: `soon`, or `later`.

    They need not know of a few hits that are far from the limit. Of a window that is less than half full, each process keeps to
    itself less than a tenth of the limit, and of others nothing: with up to five processes, that lets no hit through. What a long
    window has counted is announced later all the same, for processes that will start. `schedule` is called when a window is
    queued, with True if it is urgent.
    """

    def __init__(self, max_windows: int, schedule: Callable[[bool], None]) -> None:
        self.soon: deque[_Window] = deque()
        self.later: deque[_Window] = deque()  # one may also be among the others by now
        self._max_windows = max_windows
        self._schedule = schedule

    def add(self, window: _Window, amount: int, hit: Hit) -> None:
        """Note what was counted in a window."""
        window.unshared += amount
        window.limit = hit.limit
        if window.queue is not SOON and (10 * window.unshared >= hit.limit or 2 * window.count >= hit.limit):
            self._announce(self.soon, window, SOON, is_urgent=hit.limit <= URGENT_LIMIT and hit.window_s >= LONG_WINDOW_S)
        elif window.queue is NO_QUEUE and hit.window_s >= LONG_WINDOW_S:
            self._announce(self.later, window, LATER)

    def check(self, window: _Window) -> None:
        """Note that others have counted in a window."""
        if window.unshared and window.queue is not SOON and 2 * window.count >= window.limit:
            self._announce(self.soon, window, SOON)

    def _announce(self, windows: deque[_Window], window: _Window, queue: int, *, is_urgent: bool = False) -> None:
        self._append(windows, window, queue)
        self._schedule(is_urgent)

    def _append(self, windows: deque[_Window], window: _Window, queue: int) -> None:
        if len(windows) >= self._max_windows and (oldest := windows.popleft()).queue is queue:
            oldest.queue = NO_QUEUE
        windows.append(window)
        window.queue = queue

    def promote(self) -> None:
        """Let what is to be known later be known soon."""
        for window in self.later:
            if window.queue is LATER:
                self._append(self.soon, window, SOON)
        self.later.clear()

    def first(self, most: int) -> list[Amount]:
        """Return what others do not know of the first windows. `pop` removes as many."""
        return [Amount(window.key, window.ends, window.unshared) for window in islice(self.soon, most)]

    def pop(self, count: int) -> None:
        """Note that others know it of the first windows."""
        for _ in range(count):
            window = self.soon.popleft()
            window.unshared, window.queue = 0, NO_QUEUE


class MemoryCounters:
    """Windows in memory, at most `max_keys`: the oldest are dropped first. Each new window removes some that are over."""

    def __init__(self, max_keys: int = MAX_KEYS, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._max_keys = max_keys
        self._unshared: UnsharedWindows | None = None

    def __len__(self) -> int:
        return len(self._windows)

    def hit(self, hits: Sequence[Hit]) -> Refusal | None:
        """Count a request in all windows, or return which of them refuses it."""
        now, refusal = self._clock(), None
        counted: list[tuple[_Window, Hit]] = []
        for hit in hits:
            window = self._windows.get(hit.key)
            if window is None or window.ends <= now:
                window = self._begin(hit.key, now + hit.window_s, now)
            if refusal is None and window.count + hit.spent + hit.cost > hit.limit:
                refusal = Refusal(len(counted), window.ends - now)
            counted.append((window, hit))
        for window, hit in counted:
            amount = hit.spent + hit.cost if refusal is None else hit.spent
            window.count += amount
            if amount and self._unshared is not None:
                self._unshared.add(window, amount, hit)
        return refusal

    def share(self, schedule: Callable[[bool], None]) -> UnsharedWindows:
        """Collect from here on what other processes are to know. `schedule` is that of UnsharedWindows."""
        self._unshared = UnsharedWindows(self._max_keys, schedule)
        return self._unshared

    def add(self, counted: Amount) -> None:
        """Count what another process has counted."""
        now = self._clock()
        if counted.ends > now:
            window = self._merged(counted, now)
            window.count += counted.amount
            if self._unshared is not None:
                self._unshared.check(window)

    def add_total(self, total: Amount) -> None:
        """Count at least as much as another process knows of all of them: this one has missed something."""
        now = self._clock()
        if total.ends > now:
            window = self._merged(total, now)
            window.count = max(window.count - window.unshared, total.amount) + window.unshared

    def totals(self) -> Iterator[Amount]:
        """Yield what all processes have counted, as far as this one knows, in the present windows that last for a while."""
        for window in list(self._windows.values()):
            if window.ends > self._clock() + MIN_LEFT_S and window.count > window.unshared:
                yield Amount(window.key, window.ends, window.count - window.unshared)

    def _merged(self, counted: Amount, now: float) -> _Window:
        """Return the window of another process's count. It ends everywhere when it ends for the process where it began first."""
        window = self._windows.get(counted.key)
        if window is None or window.ends <= now:
            return self._begin(counted.key, counted.ends, now)
        window.ends = min(window.ends, counted.ends)
        return window

    def _begin(self, key: str, ends: float, now: float) -> _Window:
        """Make a window begin."""
        window = self._windows.get(key)
        if window is None:
            self._sweep(now)
        if window is None or window.queue is not NO_QUEUE:  # one that ended is still to be announced
            window = self._windows[key] = _Window(key)
        window.count, window.unshared, window.ends = 0, 0, ends
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
