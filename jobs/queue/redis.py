"""The queue on Redis or Valkey: tasks by priority."""

from __future__ import annotations

from typing import Any

import redis
from huey.storage import PriorityRedisStorage

from jobs.infra.redis_client import create_client
from jobs.queue.errors import QueueDownError

REDIS_TIMEOUT_S = 1.0  # of any call; a server that accepts connections and does not answer is down
DEQUEUE_TIMEOUT_S = 0.5  # how long the server lets a worker wait for the next task
MAX_COMPARED = 20


class _Client(redis.Redis):
    """A client that raises QueueDownError."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except redis.exceptions.NoScriptError:  # the server was restarted or flushed: the library loads its script again
            raise
        except redis.RedisError as error:
            raise QueueDownError(f"{type(error).__name__}: {error}") from error


class RedisQueue(PriorityRedisStorage):  # type: ignore[misc]
    """Huey's queue. It connects with its first call. Its calls raise QueueDownError."""

    redis_client = _Client

    def __init__(self, name: str, url: str) -> None:
        super().__init__(name, read_timeout=DEQUEUE_TIMEOUT_S, connection_pool=create_client(url, REDIS_TIMEOUT_S).connection_pool)

    def close(self) -> None:
        """Close the connections."""
        self.pool.disconnect()

    def oldest(self) -> bytes | None:
        """Return the payload that has waited longest among the next MAX_COMPARED, or None."""
        payloads: list[bytes] = self.conn.zrange(self.queue_key, 0, MAX_COMPARED - 1)
        return min(payloads)[8:] if payloads else None  # each begins with the time at which it was queued, in 8 bytes
