"""Links to Redis or Valkey as the settings name it: one server, TLS, a socket file, or whichever server Sentinel calls the master.

Every link gives up within a set time and retries nothing by itself: whoever uses it knows what to do without it.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

CONNECT_TIMEOUT_S = 0.5
SENTINEL_PORT = 26379
SCHEMES = {"valkey": "redis", "valkeys": "rediss"}


class _Watched(NamedTuple):
    """`redis+sentinel://user:password@one:26379,two/service/0`: the sentinels, the service that they watch, and how to log in
    there."""

    sentinels: list[tuple[str, int]]
    service: str
    login: dict[str, Any]


def _watched(url: str) -> _Watched:
    scheme, _, rest = url.partition("://")
    place, _, path = rest.partition("/")
    user, _, hosts = place.rpartition("@")
    name, _, password = user.partition(":")
    service, _, number = path.partition("?")[0].partition("/")
    parts = [urlsplit(f"//{host}") for host in hosts.split(",")]
    login: dict[str, Any] = {"db": int(number or 0), "ssl": scheme.startswith("rediss")}
    login |= {k: unquote(v) for k, v in (("username", name), ("password", password)) if v}
    return _Watched([(p.hostname or "", p.port or SENTINEL_PORT) for p in parts], service or "mymaster", login)


def _options(timeout_s: float) -> dict[str, Any]:
    return {"socket_timeout": timeout_s, "socket_connect_timeout": CONNECT_TIMEOUT_S, "protocol": 2, "client_name": "bellwire"}


def _plain(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    return f"{SCHEMES.get(scheme, scheme)}{mark}{rest}"


def create_client(url: str, timeout_s: float) -> redis.Redis:
    """A client for threads. Opens nothing yet; each call raises redis.RedisError within `timeout_s`, or twice that to connect."""
    options = {**_options(timeout_s), "retry": Retry(NoBackoff(), 0)}
    if "+sentinel" in url.partition("://")[0]:
        sentinels, service, login = _watched(url)
        watch = Sentinel(sentinels, sentinel_kwargs={"socket_timeout": CONNECT_TIMEOUT_S}, **options)  # type: ignore[no-untyped-call]
        return watch.master_for(service, **login)  # type: ignore[no-untyped-call, no-any-return]
    return redis.Redis.from_url(_plain(url), **options)


def create_async_client(url: str, timeout_s: float) -> redis.asyncio.Redis:
    """The same for the event loop."""
    options = {**_options(timeout_s), "retry": AsyncRetry(NoBackoff(), 0)}
    if "+sentinel" in url.partition("://")[0]:
        sentinels, service, login = _watched(url)
        watch = AsyncSentinel(sentinels, sentinel_kwargs={"socket_timeout": CONNECT_TIMEOUT_S}, **options)  # type: ignore[no-untyped-call]
        return watch.master_for(service, **login)  # type: ignore[no-any-return]
    return redis.asyncio.Redis.from_url(_plain(url), **options)
