"""Rate limits, in the `limits` package's notation: per user where there is one, else per address."""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, parse_many
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from conf import Settings
from gateway.errors import ProblemError
from metrics import declared as metrics


class Limits:
    """What each kind of call may be asked for. Counts are kept in this process."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._items: dict[str, list[RateLimitItem]] = {}
        if settings.rate_limits:
            for what in ("send", "login", "typing", "api"):
                self._items[what] = parse_many(getattr(settings, f"limit_{what}"))
        self.on = settings.rate_limits

    async def hit(self, what: str, who: str) -> None:
        """Counts one call. Raises ProblemError 429 with Retry-After, in seconds, when there were too many."""
        for item in self._items.get(what, ()):
            if not await self._limiter.hit(item, what, who):
                metrics.RATE_LIMITED_TOTAL.labels(what).inc()
                window = await self._limiter.get_window_stats(item, what, who)
                wait_s = max(1, math.ceil(window.reset_time - time.time()))
                raise ProblemError("rate-limited", f"at most {item}: wait {wait_s} s", {"Retry-After": str(wait_s)})
