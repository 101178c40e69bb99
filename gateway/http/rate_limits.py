"""Rate limits, in the `limits` package's notation: per user for a request with a valid token, else per address.

Counts are shared over Redis if it is configured. While it does not answer, each gateway counts its own requests, and no request
waits for Redis. Without Redis, the gateways of one `serve` share them over its local channel. `events` and `bytes` are quotas: they
count what a user has written to the log, which is known after the write, and refuse the next one.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Awaitable, Sequence
from typing import NamedTuple, NoReturn

from limits import RateLimitItem, parse_many

from conf import Settings
from gateway.delivery.listeners import ChannelListener
from gateway.http.errors import ProblemError
from gateway.http.limit_counters import Hit, MemoryCounters, RedisCounters, Refusal
from gateway.http.limit_sharing import LimitSharing
from gateway.http.refusal_delay import RefusalDelay
from jobs.infra.outage import Outage
from metrics import declared as metrics

NAMES = (
    "send",
    "signup",
    "login",
    "otp",
    "report",
    "typing",
    "hooks",
    "rehearsal",
    "client_errors",
    "files",
    "uploads",
    "api",
    "acting",
    "events",
    "bytes",
)
QUOTAS = ("events", "bytes")
metrics.begin_at_0(metrics.RATE_LIMITED_TOTAL, NAMES)
REDIS_TIMEOUT_S = 0.05  # an answer usually takes a hundredth of that
RECHECK_S = 1.0
CHECK_TIMEOUT_S = 1.0
MAX_CALLER_CHARS = 100  # a longer one, such as an e-mail address, is counted by its hash: keys have a bounded size
MAX_UNCOUNTED_USERS = 50_000
NOTHING = (0, 0)
CALLER = "\0"  # the place of the caller in a key


class _Limit(NamedTuple):
    """One rate of a name: `key_start + caller + key_end` is its window. `quota` is the name's place in QUOTAS, -1 for others."""

    name: str
    quota: int
    text: str
    key_start: str
    key_end: str
    amount: int
    window_s: int


class RateLimits:
    """The limits of the settings, by name. `local_only`: the shared counts can't be reached, so this process counts by itself."""

    def __init__(self, settings: Settings, recheck_s: float = RECHECK_S) -> None:
        self._recheck_s = recheck_s
        self.enabled = settings.rate_limits
        self.local_only = False
        self._limits: dict[str, list[_Limit]] = {}
        self._by_names: dict[tuple[str, ...], list[_Limit]] = {}  # for each combination of names that routes have
        self._users, self._strangers = MemoryCounters(), MemoryCounters()
        self._written: dict[str, tuple[int, int]] = {}  # caller -> events and bytes that no window counts yet
        self._shared: RedisCounters | None = None
        self._redis_errors: tuple[type[Exception], ...] = (OSError,)
        self._sharing: LimitSharing | None = None
        self._refusal_delay = RefusalDelay()
        self._outage = Outage("shared_rate_limits", "this gateway counts on its own")
        if settings.rate_limits:
            for name in NAMES:
                self._limits[name] = [_limit(name, item) for item in parse_many(getattr(settings, f"limit_{name}"))]
            if settings.redis_url is not None:
                self._share(settings.redis_url)

    def _share(self, url: str) -> None:
        import redis

        from jobs.infra.redis_client import create_async_client

        self._shared = RedisCounters(create_async_client(url, REDIS_TIMEOUT_S))
        self._redis_errors = (redis.RedisError, OSError)

    def share(self, listener: ChannelListener) -> None:
        """Share the counts in memory with the other gateways of this `serve`."""
        if self.enabled and self._shared is None:
            self._sharing = LimitSharing(self._users, self._strangers, listener)

    def counts_alone(self) -> bool:
        """Whether counts that should be shared are not at the moment."""
        return self.local_only or (self._sharing is not None and self._sharing.down)

    def stop(self) -> None:
        """Announce what the other gateways do not know yet."""
        if self._sharing is not None:
            quotas = [limit for name in QUOTAS for limit in self._limits[name]]
            for caller, written in self._written.items():
                self._users.hit([_hit_of(limit, caller, written) for limit in quotas])
            self._written.clear()
            self._sharing.announce_all()

    async def hit(self, name: str, caller: str) -> None:
        """Count one request of a caller under one limit. Raises the same as `hit_all`."""
        waiting = self.hit_all((name,), caller)
        if waiting is not None:
            await waiting

    def hit_all(self, names: tuple[str, ...], caller: str) -> Awaitable[None] | None:
        """Count one request of a caller under several limits. If one of them refuses it, it counts under none.

        None if it was counted at once. Else the result must be awaited, which raises ProblemError 429 with Retry-After, in seconds,
        if the request is refused.
        """
        if not self.enabled:
            return None
        if len(caller) > MAX_CALLER_CHARS:
            caller = hashlib.sha256(caller.encode("utf-8", "surrogatepass")).hexdigest()
        limits = self._by_names.get(names)
        if limits is None:
            limits = self._by_names[names] = [limit for name in names for limit in self._limits.get(name, ())]
        written = self._written.pop(caller, NOTHING) if "events" in names else NOTHING
        hits = [_hit_of(limit, caller, written) for limit in limits]
        if self._shared is not None and not self.local_only:
            return self._count_shared(limits, hits, caller)
        refusal = self._count_here(hits, caller)
        return None if refusal is None else self._refuse(limits, refusal, caller)

    async def _count_shared(self, limits: list[_Limit], hits: Sequence[Hit], caller: str) -> None:
        counted, refusal = await self._hit_shared(hits)
        if not counted:
            refusal = self._count_here(hits, caller)
        if refusal is not None:
            await self._refuse(limits, refusal, caller)

    def _count_here(self, hits: Sequence[Hit], caller: str) -> Refusal | None:
        return (self._users if caller.startswith("user:") else self._strangers).hit(hits)

    async def _refuse(self, limits: list[_Limit], refusal: Refusal, caller: str) -> NoReturn:
        await self._refusal_delay.wait(caller)
        raise _problem(limits[refusal.position], refusal.wait_s)

    def count_written(self, user: int, events: int, size: int) -> None:
        """Count events and bytes that a request of the user has written. The user's next write carries them to the counters."""
        caller = f"user:{user}"
        if len(self._written) >= MAX_UNCOUNTED_USERS:
            self._written.popitem()
        before = self._written.get(caller, NOTHING)
        self._written[caller] = (before[0] + events, before[1] + size)

    async def _hit_shared(self, hits: Sequence[Hit]) -> tuple[bool, Refusal | None]:
        """Count on Redis. Return whether it did, and its refusal."""
        assert self._shared is not None
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                return True, await self._shared.hit(hits)
        except self._redis_errors as error:
            self._count_locally(error)
            return False, None

    def _count_locally(self, error: Exception) -> None:
        if not self.local_only:
            self.local_only = True
            self._outage.record_failure(error)
            self._checking = asyncio.ensure_future(self._check_until_it_answers())

    async def _check_until_it_answers(self) -> None:
        """Check Redis in the background, so that no request waits for it."""
        assert self._shared is not None
        while self.local_only:
            await asyncio.sleep(self._recheck_s)
            try:
                async with asyncio.timeout(CHECK_TIMEOUT_S):
                    await self._shared.check()
            except Exception as error:  # of any kind: the task must live, and the next check may succeed
                self._outage.record_failure(error)
            else:
                self.local_only = False
        self._outage.record_success()


def _limit(name: str, item: RateLimitItem) -> _Limit:
    start, _, end = item.key_for(name, CALLER).partition(CALLER)
    quota = QUOTAS.index(name) if name in QUOTAS else -1
    return _Limit(name, quota, str(item), f"bellwire:{start}", end, item.amount, item.get_expiry())


def _hit_of(limit: _Limit, caller: str, written: tuple[int, int]) -> Hit:
    _, quota, _, start, end, amount, window_s = limit
    if quota < 0:
        return Hit(f"{start}{caller}{end}", amount, window_s)
    return Hit(f"{start}{caller}{end}", amount, window_s, 0, written[quota])


def _problem(limit: _Limit, wait_s: float) -> ProblemError:
    seconds = max(1, math.ceil(wait_s))
    metrics.RATE_LIMITED_TOTAL.labels(limit.name).inc()
    slug, unit = ("quota-exceeded", f" {limit.name}") if limit.quota >= 0 else ("rate-limited", "")
    return ProblemError(slug, f"at most {limit.text}{unit}: wait {seconds} s", {"Retry-After": str(seconds)})
