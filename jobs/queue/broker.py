"""The Huey instance. Importing this module reads no settings and opens nothing: `bind` sets the store of the queue."""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

import structlog
from huey import Huey
from huey.exceptions import ConfigurationError
from huey.storage import BlackHoleStorage

from conf import Settings
from jobs.infra.outage import Outage
from jobs.queue.payload import JsonSerializer
from jobs.queue.scheduler import Scheduler
from jobs.queue.sqlite import SqliteQueue

NAME = "bellwire"
FIRST_DELAY_S = 0.02  # between two reads of the queue when it has just become empty
MAX_DELAY_S = 0.1  # while it stays empty; Huey's default of 10 s would delay notifications
MAX_FILE_DELAY_S = 0.04  # the same for a file, where a read costs some 20 µs
SHUTDOWN_TIMEOUT_S = 8.0  # for tasks to end after SIGTERM; a drain ends after its slice
QUEUE_ERRORS = (sqlite3.Error, OSError)  # raised while the queue cannot be used; QueueDownError is an OSError

logger = structlog.get_logger("jobs")


class UnboundError(RuntimeError):
    """`bind` has not been called in this process."""


class _Unbound(BlackHoleStorage):  # type: ignore[misc]
    """The queue before `bind`: it refuses tasks, which would otherwise disappear silently."""

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        raise UnboundError

    def put_if_empty(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        raise UnboundError


class Broker(Huey):  # type: ignore[misc]
    """Huey with a queue that may be down: it logs the outage and goes on."""

    settings: Settings | None = None
    consumer_class: type[Any]  # set by jobs.app; a gateway has none

    def __init__(self) -> None:
        super().__init__(NAME, results=False, serializer=JsonSerializer(), storage_class=_Unbound)
        self.scheduler = Scheduler()
        self._outage = Outage("queue", "the worker checks the log for work by itself")

    def deserialize_task(self, data: bytes) -> Any:
        """Return a task, with the time at which it was queued as `queued_ms`."""
        message = self.serializer.deserialize(data)
        task = self._registry.create_task(message)
        task.queued_ms = message.queued_ms
        return task

    def dequeue(self) -> Any:
        """Return the next task, or None; also None when the queue cannot be read: Huey would log the error 20 times a second."""
        try:
            data = self.storage.dequeue()
        except QUEUE_ERRORS as error:
            self._outage.record_failure(error)
            return None
        self._outage.record_success()
        if data is None:
            return None
        try:
            return self.deserialize_task(data)
        except Exception as error:  # of another version, or written by hand; it has already left the queue
            logger.warning("unreadable_task_dropped", error=f"{type(error).__name__}: {error}")
            return None

    def read_schedule(self, timestamp: Any = None) -> list[Any]:
        """Return the tasks that are due; none when the queue cannot be read."""
        try:
            due: list[Any] = super().read_schedule(timestamp)
        except QUEUE_ERRORS as error:
            self._outage.record_failure(error)
            return []
        return due

    def read_periodic(self, timestamp: Any) -> list[Any]:
        """Return the periodic tasks that are due, for the worker that has the lease on them."""
        due: list[Any] = super().read_periodic(timestamp) if self.scheduler.has_lease else []
        return due

    def create_consumer(self, **options: Any) -> Any:
        """Return a consumer with Bellwire's defaults; options of the command line take precedence.

        Raises Huey's ConfigurationError for workers that are not threads: they would share connections across a fork.
        """
        if self.settings is None:
            raise UnboundError
        if options.get("worker_type", "thread") != "thread":
            raise ConfigurationError("worker_type must be thread")
        if options.get("workers", 1) == 1 and not _on_command_line("-w", "--workers"):  # 1 is the command line's default, too
            options["workers"] = self.settings.workers
        if not _on_command_line("-g", "--graceful-signal"):
            options["graceful_signal"] = "TERM"
        if options.get("shutdown_timeout") is None:
            options["shutdown_timeout"] = SHUTDOWN_TIMEOUT_S
        options["initial_delay"] = min(options.get("initial_delay", FIRST_DELAY_S), FIRST_DELAY_S)
        max_delay_s = MAX_FILE_DELAY_S if queue_type(self.settings) == "sqlite" else MAX_DELAY_S
        options["max_delay"] = min(options.get("max_delay", max_delay_s), max_delay_s)
        return self.consumer_class(self, self.settings, **options)


def _on_command_line(*names: str) -> bool:
    return any(argument.startswith(names) for argument in sys.argv[1:])


huey = Broker()


def bind(settings: Settings) -> None:
    """Set the store of the queue. Opens nothing: whether the queue can be used shows with the first task."""
    if not isinstance(huey.storage, _Unbound):
        huey.storage.close()
    huey.settings = settings
    huey.storage = _storage(settings)


def queue_type(settings: Settings) -> str:
    """Return the type of the queue: `redis`, `postgresql` or `sqlite`."""
    if settings.redis_url is not None:
        return "redis"
    return "sqlite" if settings.database_url is None else "postgresql"


def _storage(settings: Settings) -> Any:
    """Return the storage; its module, and so its driver, is imported only where it is used."""
    if settings.redis_url is not None:
        from jobs.queue.redis import RedisQueue

        return RedisQueue(NAME, settings.redis_url)
    if settings.database_url is not None:
        from jobs.queue.postgres import PostgresQueue

        return PostgresQueue(NAME)
    return SqliteQueue(NAME, settings.queue_path)
