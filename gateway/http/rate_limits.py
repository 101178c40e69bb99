"""Rate limits, in the `limits` package's notation: per user where there is one, else per address.

Counts are shared over Redis where there is one. While it does not answer, each gateway counts for itself, and no request waits for
it.
"""

from __future__ import annotations

import asyncio
import math
import time

from limits import RateLimitItem, parse_many
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from conf import Settings
from gateway.http.errors import ProblemError
from jobs.infra.outage import Outage
from metrics import declared as metrics

KINDS = ("send", "signup", "login", "otp", "typing", "api")
PATIENCE_S = 0.05  # for an answer of Redis; it usually takes a hundredth of that
ASK_AGAIN_S = 1.0


class Limits:
    """What each kind of call may be asked for. `alone`: the shared counts can't be had, so this process counts for itself."""

    def __init__(self, settings: Settings) -> None:
        self.on = settings.rate_limits
        self.alone = False
        self._items: dict[str, list[RateLimitItem]] = {}
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._shared: FixedWindowRateLimiter | None = None
        self._faults: tuple[type[Exception], ...] = (OSError,)
        self._outage = Outage("the shared rate limits", "this gateway counts for itself")
        if settings.rate_limits:
            self._items = {what: parse_many(getattr(settings, f"limit_{what}")) for what in KINDS}
            if settings.redis_url is not None:
                self._share(settings.redis_url)

    def _share(self, url: str) -> None:
        import redis
        from limits.aio.storage import RedisStorage

        from jobs.infra.redis_client import create_async_client

        pool = create_async_client(url, PATIENCE_S).connection_pool
        storage = RedisStorage("redis://", implementation="redispy", key_prefix="bellwire", connection_pool=pool)  # type: ignore[arg-type]
        self._shared = FixedWindowRateLimiter(storage)
        self._faults = (redis.RedisError, OSError)

    async def hit(self, what: str, who: str) -> None:
        """Counts one call. Raises ProblemError 429 with Retry-After, in seconds, when there were too many."""
        for item in self._items.get(what, ()):
            wait_s = await self._hit(item, what, who)
            if wait_s:
                metrics.RATE_LIMITED_TOTAL.labels(what).inc()
                raise ProblemError("rate-limited", f"at most {item}: wait {wait_s} s", {"Retry-After": str(wait_s)})

    async def _hit(self, item: RateLimitItem, what: str, who: str) -> int:
        """Seconds to wait, 0 when the call may be made."""
        if self._shared is not None and not self.alone:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await _hit(self._shared, item, what, who)
            except self._faults as error:
                self._go_alone(error)
        return await _hit(self._own, item, what, who)

    def _go_alone(self, error: Exception) -> None:
        if not self.alone:
            self.alone = True
            self._outage.record_failure(error)
            self._asking = asyncio.ensure_future(self._until_it_answers())

    async def _until_it_answers(self) -> None:
        """Asks beside the requests, none of which waits for it."""
        assert self._shared is not None
        while self.alone:
            await asyncio.sleep(ASK_AGAIN_S)
            try:
                async with asyncio.timeout(1):
                    self.alone = not await self._shared.storage.check()
            except self._faults as error:
                self._outage.record_failure(error)
        self._outage.record_success()


async def _hit(limiter: FixedWindowRateLimiter, item: RateLimitItem, what: str, who: str) -> int:
    if await limiter.hit(item, what, who):
        return 0
    window = await limiter.get_window_stats(item, what, who)
    return max(1, math.ceil(window.reset_time - time.time()))
