"""Which waiting subscriptions go on, and when: those with events first, a slice in each tick of the loop, so that a send does not
wait for thousands of readers."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable

import structlog

from gateway.delivery.subscriptions import Subscription, Waiting

logger = structlog.get_logger()

MAX_WAKEUPS_PER_TICK = 25  # each is an answer of 0.03 ms, or 0.1 on the wire of Tornado; a send waits for some ticks
TIMEOUT_STEP_S = 0.05


class Wakeups:
    """Wakes the waiting subscriptions of one hub."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Subscription] = deque()  # to be woken by events, or because they have ended
        self._expired: deque[Subscription] = deque()  # to be woken because their time is over
        self._timeouts = Timeouts(self._expire)
        self._is_waking = False

    def __bool__(self) -> bool:
        """Whether some are still to be woken."""
        return bool(self._ready or self._expired)

    def wait(self, subscription: Subscription, timeout_s: float, on_wake: Callable[[], None]) -> None:
        """Let a subscription wait for so long at most."""
        subscription.wait(self._timeouts.after(timeout_s), on_wake)

    def add(self, subscriptions: Iterable[Subscription]) -> None:
        """Add subscriptions that go on with the next call of `begin`."""
        self._ready.extend(subscriptions)

    def begin(self) -> None:
        """Wake a slice of them now, and the others in later ticks."""
        if not self._is_waking:
            self._wake_slice()

    def add_later(self, subscription: Subscription) -> None:
        """Add one that goes on in a later tick."""
        self._ready.append(subscription)
        if not self._is_waking:
            self._is_waking = True
            self._loop.call_soon(self._wake_slice)

    def _expire(self, subscriptions: Collection[Subscription]) -> None:
        self._expired.extend(subscriptions)
        self.begin()

    def _wake_slice(self) -> None:
        for _ in range(min(MAX_WAKEUPS_PER_TICK, len(self._ready) + len(self._expired))):
            subscription = (self._ready or self._expired).popleft()
            try:
                subscription.wake()
            except Exception:  # a defect with one reader: the others must receive their events
                logger.exception("reader_not_woken", user=subscription.subscriber.user)
        self._is_waking = bool(self)
        if self._is_waking:
            self._loop.call_soon(self._wake_slice)


class Timeouts:
    """The ends of all waits, in steps of TIMEOUT_STEP_S: a timer for each wait costs more than anything else about it.

    `expire` gets the subscriptions of one step together, never before their time.
    """

    def __init__(self, expire: Callable[[Collection[Subscription]], None]) -> None:
        self._expire = expire
        self._loop = asyncio.get_running_loop()
        self._steps: dict[int, Waiting] = {}

    def after(self, timeout_s: float) -> Waiting:
        """The subscriptions that wait for so long at most, to which another one may be added."""
        step = math.ceil((self._loop.time() + timeout_s) / TIMEOUT_STEP_S)
        waiting = self._steps.get(step)
        if waiting is None:
            waiting = self._steps[step] = {}
            self._loop.call_at(step * TIMEOUT_STEP_S, self._end, step)
        return waiting

    def _end(self, step: int) -> None:
        self._expire(self._steps.pop(step))
