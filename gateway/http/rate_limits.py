"""Rate limits, in the `limits` package's notation: per user for a request with a valid token, else per address.

Counts are shared over Redis if it is configured. While it does not answer, each gateway counts its own requests, and no request
waits for Redis.
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

NAMES = ("send", "signup", "login", "otp", "typing", "api")
REDIS_TIMEOUT_S = 0.05  # an answer usually takes a hundredth of that
RECHECK_S = 1.0


class RateLimits:
    """The limits of the settings, by name. `local_only`: the shared counts can't be reached, so this process counts by itself."""

    def __init__(self, settings: Settings) -> None:
        self.enabled = settings.rate_limits
        self.local_only = False
        self._items: dict[str, list[RateLimitItem]] = {}
        self._local = FixedWindowRateLimiter(MemoryStorage())
        self._shared: FixedWindowRateLimiter | None = None
        self._redis_errors: tuple[type[Exception], ...] = (OSError,)
        self._outage = Outage("shared_rate_limits", "this gateway counts on its own")
        if settings.rate_limits:
            self._items = {name: parse_many(getattr(settings, f"limit_{name}")) for name in NAMES}
            if settings.redis_url is not None:
                self._share(settings.redis_url)

    def _share(self, url: str) -> None:
        import redis
        from limits.aio.storage import RedisStorage

        from jobs.infra.redis_client import create_async_client

        pool = create_async_client(url, REDIS_TIMEOUT_S).connection_pool
        storage = RedisStorage("redis://", implementation="redispy", key_prefix="bellwire", connection_pool=pool)  # type: ignore[arg-type]
        self._shared = FixedWindowRateLimiter(storage)
        self._redis_errors = (redis.RedisError, OSError)

    async def hit(self, name: str, caller: str) -> None:
        """Count one request of a caller. Raises ProblemError 429 with Retry-After, in seconds, when there were too many."""
        for item in self._items.get(name, ()):
            wait_s = await self._hit(item, name, caller)
            if wait_s:
                metrics.RATE_LIMITED_TOTAL.labels(name).inc()
                raise ProblemError("rate-limited", f"at most {item}: wait {wait_s} s", {"Retry-After": str(wait_s)})

    async def _hit(self, item: RateLimitItem, name: str, caller: str) -> int:
        """Seconds to wait, 0 when the request is within the limit."""
        if self._shared is not None and not self.local_only:
            try:
                async with asyncio.timeout(REDIS_TIMEOUT_S):
                    return await _hit(self._shared, item, name, caller)
            except self._redis_errors as error:
                self._count_locally(error)
        return await _hit(self._local, item, name, caller)

    def _count_locally(self, error: Exception) -> None:
        if not self.local_only:
            self.local_only = True
            self._outage.record_failure(error)
            self._checking = asyncio.ensure_future(self._check_until_it_answers())

    async def _check_until_it_answers(self) -> None:
        """Check Redis in the background, so that no request waits for it."""
        assert self._shared is not None
        while self.local_only:
            await asyncio.sleep(RECHECK_S)
            try:
                async with asyncio.timeout(1):
                    self.local_only = not await self._shared.storage.check()
            except self._redis_errors as error:
                self._outage.record_failure(error)
        self._outage.record_success()


async def _hit(limiter: FixedWindowRateLimiter, item: RateLimitItem, name: str, caller: str) -> int:
    if await limiter.hit(item, name, caller):
        return 0
    window = await limiter.get_window_stats(item, name, caller)
    return max(1, math.ceil(window.reset_time - time.time()))
