"""The Huey instance. It names no store by itself: `bind` says which, so importing it asks for no settings and opens nothing."""

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
FIRST_DELAY_S = 0.02  # between two looks into the queue when it has just been emptied
MAX_DELAY_S = 0.1  # and when it stays empty; Huey's own 10 s would be a notification's delay
MAX_FILE_DELAY_S = 0.04  # the same for a file, where a look costs some 20 µs
SHUTDOWN_S = 8.0  # for tasks to end after SIGTERM; a drain ends after its slice
QUEUE_ERRORS = (sqlite3.Error, OSError)  # what the queue raises while it can't be used; jobs.queue.errors's is among them

logger = structlog.get_logger("jobs")


class UnboundError(RuntimeError):
    """`bind` has not been called in this process."""


class _Unbound(BlackHoleStorage):  # type: ignore[misc]
    """Where tasks would silently disappear to, if it didn't refuse."""

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        raise UnboundError

    def put_if_empty(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        raise UnboundError


class Broker(Huey):  # type: ignore[misc]
    """Huey with a queue that may be down: what it can't read it reports now and then, and goes on."""

    settings: Settings | None = None
    consumer_class: type[Any]  # set by jobs.app; a gateway has none

    def __init__(self) -> None:
        super().__init__(NAME, results=False, serializer=JsonSerializer(), storage_class=_Unbound)
        self.scheduler = Scheduler()
        self._outage = Outage("queue", "the worker checks the log for work by itself")

    def deserialize_task(self, data: bytes) -> Any:
        """A task that knows `queued_ms`, when it was put into the queue."""
        message = self.serializer.deserialize(data)
        task = self._registry.create_task(message)
        task.queued_ms = message.queued_ms
        return task

    def dequeue(self) -> Any:
        """The next task, or None; also when the queue can't be read, as the consumer would log that 20 times a second."""
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
        except Exception as error:  # of another version, or written by hand; it is gone from the queue already
            logger.warning("a task that can't be read is dropped", error=f"{type(error).__name__}: {error}")
            return None

    def read_schedule(self, timestamp: Any = None) -> list[Any]:
        """The tasks that are due; none when the queue can't be read."""
        try:
            due: list[Any] = super().read_schedule(timestamp)
        except QUEUE_ERRORS as error:
            self._outage.record_failure(error)
            return []
        return due

    def read_periodic(self, timestamp: Any) -> list[Any]:
        """The periodic tasks that are due, for the one worker that sees to them."""
        due: list[Any] = super().read_periodic(timestamp) if self.scheduler.has_lease else []
        return due

    def create_consumer(self, **options: Any) -> Any:
        """A consumer as a bare `huey_consumer jobs.app.huey` should be; options of the command line win where they can.

        Raises huey's ConfigurationError for workers that are no threads: they would share connections across a fork.
        """
        if self.settings is None:
            raise UnboundError
        if options.get("worker_type", "thread") != "thread":
            raise ConfigurationError("Bellwire's workers are threads: leave worker_type as it is")
        if options.get("workers", 1) == 1 and not _on_command_line("-w", "--workers"):  # 1 is the command line's default, too
            options["workers"] = self.settings.workers
        if not _on_command_line("-g", "--graceful-signal"):
            options["graceful_signal"] = "TERM"
        if options.get("shutdown_timeout") is None:
            options["shutdown_timeout"] = SHUTDOWN_S
        options["initial_delay"] = min(options.get("initial_delay", FIRST_DELAY_S), FIRST_DELAY_S)
        most_s = MAX_FILE_DELAY_S if queue_type(self.settings) == "sqlite" else MAX_DELAY_S
        options["max_delay"] = min(options.get("max_delay", most_s), most_s)
        return self.consumer_class(self, self.settings, **options)


def _on_command_line(*names: str) -> bool:
    return any(argument.startswith(names) for argument in sys.argv[1:])


huey = Broker()


def bind(settings: Settings) -> None:
    """Says where the queue is. Touches no disk and no server: a queue that can't be used shows when something is put into it."""
    if not isinstance(huey.storage, _Unbound):
        huey.storage.close()
    huey.settings = settings
    huey.storage = _storage(settings)


def queue_type(settings: Settings) -> str:
    """Which queue it is: `redis`, `postgresql` or `sqlite`."""
    if settings.redis_url is not None:
        return "redis"
    return "sqlite" if settings.database_url is None else "postgresql"


def _storage(settings: Settings) -> Any:
    """Each is loaded only where it is used."""
    if settings.redis_url is not None:
        from jobs.queue.redis import RedisQueue

        return RedisQueue(NAME, settings.redis_url)
    if settings.database_url is not None:
        from jobs.queue.postgres import PostgresQueue

        return PostgresQueue(NAME)
    return SqliteQueue(NAME, settings.queue_path)
