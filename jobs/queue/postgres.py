"""The queue in PostgreSQL, where there is no Redis: tables of Huey's own beside ours, and NOTIFY to wake a worker at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
from huey.storage import PostgresStorage

from jobs.queue.errors import QueueDownError
from models.store.database import engine
from models.store.postgres import PostgreSQL

TAKE_TIMEOUT_S = 0.5  # how long taking the next task waits for one
TABLES_LOCK = 0x42454C4E


class PostgresQueue(PostgresStorage):  # type: ignore[misc]
    """Huey's, on connections as the models make them. Making one opens none. Raises QueueDownError."""

    def __init__(self, name: str) -> None:
        super().__init__(name, connection=self._open, read_timeout=TAKE_TIMEOUT_S, create_tables=False)
        self._made = False

    def _open(self) -> Any:
        """A queue that is lost in a crash of the server is filled again by the next look at the log: it waits for no disk."""
        store = engine()
        assert isinstance(store, PostgreSQL)
        connection = store.open("queue")
        connection.execute("SET synchronous_commit = off; SET idle_in_transaction_session_timeout = '10s'")
        if not self._made:
            make = "; ".join(self.ddl)
            connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock({TABLES_LOCK}); {make}; COMMIT")
            self._made = True
        return connection

    @contextlib.contextmanager
    def db(self, commit: bool = False, close: bool = False) -> Iterator[Any]:
        try:
            with super().db(commit, close) as cursor:
                yield cursor
        except psycopg.Error as error:
            raise QueueDownError(f"{type(error).__name__}: {error}") from error

    def dequeue(self) -> bytes | None:
        try:
            found: bytes | None = super().dequeue()
        except psycopg.Error as error:
            raise QueueDownError(f"{type(error).__name__}: {error}") from error
        return found

    def oldest(self) -> bytes | None:
        """The payload that has waited longest, or None."""
        found = self.sql(f"select data from {self.table_task} where queue = %s order by id limit 1", (self.name,), results=True)  # noqa: S608
        return bytes(found[0][0]) if found else None
