"""The queue on Redis or Valkey: tasks by priority, taken by whichever worker asks first."""

from __future__ import annotations

from typing import Any

import redis
from huey.storage import PriorityRedisStorage

from jobs.infra.redis_client import create_client
from jobs.queue.errors import QueueDownError

TIMEOUT_S = 1.0  # of any call; a server that accepts and says nothing is down
TAKE_TIMEOUT_S = 0.5  # how long taking the next task waits for one, within the server
LOOKED_AT = 20


class _Client(redis.Redis):
    """A client whose errors are the queue's."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except redis.exceptions.NoScriptError:  # it was restarted or flushed: the library loads its script again
            raise
        except redis.RedisError as error:
            raise QueueDownError(f"{type(error).__name__}: {error}") from error


class RedisQueue(PriorityRedisStorage):  # type: ignore[misc]
    """Huey's, in the names of one installation. Making one opens no connection. Raises QueueDownError."""

    redis_client = _Client

    def __init__(self, name: str, url: str) -> None:
        super().__init__(name, read_timeout=TAKE_TIMEOUT_S, connection_pool=create_client(url, TIMEOUT_S).connection_pool)

    def close(self) -> None:
        """Closes its connections."""
        self.pool.disconnect()

    def oldest(self) -> bytes | None:
        """The payload that has waited longest, of those next in turn, or None."""
        found: list[bytes] = self.conn.zrange(self.queue_key, 0, LOOKED_AT - 1)
        return min(found)[8:] if found else None  # each begins with the time at which it was put there
