"""Clients of Redis or Valkey as the settings name it: one server, TLS, a socket file, or the master that Sentinel names.

Each client gives up within a set time and does not retry: its callers can do without Redis. An answer READONLY, of a primary that
became a replica, closes the client's connections: the next call connects anew, to the server that is behind the address then.
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
REPLICA = "the server has become a replica"
REDIS_SCHEMES = {"valkey": "redis", "valkeys": "rediss"}


class SentinelUrl(NamedTuple):
    """The parts of `redis+sentinel://user:password@one:26379,two/service/0`: the sentinels, the service that they watch, and the
    options of a connection to it."""

    sentinels: list[tuple[str, int]]
    service: str
    options: dict[str, Any]


def _parse_sentinel_url(url: str) -> SentinelUrl:
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    user, _, hosts = authority.rpartition("@")
    name, _, password = user.partition(":")
    service, _, number = path.partition("?")[0].partition("/")
    parts = [urlsplit(f"//{host}") for host in hosts.split(",")]
    options: dict[str, Any] = {"db": int(number or 0), "ssl": scheme.startswith("rediss")}
    options |= {key: unquote(value) for key, value in (("username", name), ("password", password)) if value}
    return SentinelUrl([(part.hostname or "", part.port or SENTINEL_PORT) for part in parts], service or "mymaster", options)


def _is_sentinel(url: str) -> bool:
    return "+sentinel" in url.partition("://")[0]


def _redis_url(url: str) -> str:
    """Return the URL with a scheme that the library knows."""
    scheme, separator, rest = url.partition("://")
    return f"{REDIS_SCHEMES.get(scheme, scheme)}{separator}{rest}"


def _options(timeout_s: float) -> dict[str, Any]:
    return {"socket_timeout": timeout_s, "socket_connect_timeout": CONNECT_TIMEOUT_S, "protocol": 2, "client_name": "bellwire"}


def _leave_replicas(pool: Any) -> None:
    """Make the pool's connections end with READONLY, as redis-py's do only with Sentinel."""

    class PrimaryConnection(pool.connection_class):  # type: ignore[misc]
        def read_response(self, *args: Any, **options: Any) -> Any:
            try:
                return super().read_response(*args, **options)
            except redis.exceptions.ReadOnlyError as error:
                self.disconnect()
                pool.disconnect(inuse_connections=False)
                raise redis.ConnectionError(REPLICA) from error

    PrimaryConnection.__name__ = f"Primary{pool.connection_class.__name__}"
    pool.connection_class = PrimaryConnection


def _leave_replicas_async(pool: Any) -> None:
    class AsyncPrimaryConnection(pool.connection_class):  # type: ignore[misc]
        async def read_response(self, *args: Any, **options: Any) -> Any:
            try:
                return await super().read_response(*args, **options)
            except redis.exceptions.ReadOnlyError as error:
                await self.disconnect(nowait=True)
                await pool.disconnect(inuse_connections=False)
                raise redis.ConnectionError(REPLICA) from error

    AsyncPrimaryConnection.__name__ = f"Primary{pool.connection_class.__name__}"
    pool.connection_class = AsyncPrimaryConnection


def create_client(url: str, timeout_s: float) -> redis.Redis:
    """Return a client for threads. It connects with its first call; each call raises redis.RedisError within `timeout_s`, or
    twice that when it has to connect."""
    options = {**_options(timeout_s), "retry": Retry(NoBackoff(), 0)}
    if not _is_sentinel(url):
        client = redis.Redis.from_url(_redis_url(url), **options)
        _leave_replicas(client.connection_pool)
        return client
    parts = _parse_sentinel_url(url)
    sentinel = Sentinel(parts.sentinels, sentinel_kwargs={"socket_timeout": CONNECT_TIMEOUT_S}, **options)  # type: ignore[no-untyped-call]
    return sentinel.master_for(parts.service, **parts.options)  # type: ignore[no-untyped-call, no-any-return]


def require_primary(client: redis.Redis, key: str) -> None:
    """Raise redis.RedisError when the server does not answer or is a replica, which would accept PUBLISH. Deletes an unused key."""
    client.delete(key)


def create_async_client(url: str, timeout_s: float) -> redis.asyncio.Redis:
    """Return the same for the event loop."""
    options = {**_options(timeout_s), "retry": AsyncRetry(NoBackoff(), 0)}
    if not _is_sentinel(url):
        client = redis.asyncio.Redis.from_url(_redis_url(url), **options)
        _leave_replicas_async(client.connection_pool)
        return client
    parts = _parse_sentinel_url(url)
    sentinel = AsyncSentinel(parts.sentinels, sentinel_kwargs={"socket_timeout": CONNECT_TIMEOUT_S}, **options)  # type: ignore[no-untyped-call]
    return sentinel.master_for(parts.service, **parts.options)  # type: ignore[no-any-return]
