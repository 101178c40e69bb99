"""The queue in PostgreSQL, when no Redis is set: Huey's tables beside Bellwire's, and NOTIFY to wake a worker at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
from huey.storage import PostgresStorage

from jobs.queue.errors import QueueDownError
from models.store.database import engine
from models.store.postgres import PostgreSQL
from models.store.postgres_connection import ServerConnection

DEQUEUE_TIMEOUT_S = 0.5  # how long a worker waits for the next task
TABLES_LOCK = 0x42454C4E  # advisory lock


class PostgresQueue(PostgresStorage):  # type: ignore[misc]
    """Huey's queue on connections of the models' engine, opened by the first call. Its calls raise QueueDownError."""

    def __init__(self, name: str) -> None:
        super().__init__(name, connection=self._open, read_timeout=DEQUEUE_TIMEOUT_S, create_tables=False)
        self._tables_exist = False

    def _open(self) -> ServerConnection:
        """Open a connection that does not wait for the disk: after a crash of the server, the next check of the log fills the queue
        again."""
        store = engine()
        assert isinstance(store, PostgreSQL)
        connection = store.open("queue")
        connection.execute("SET synchronous_commit = off; SET idle_in_transaction_session_timeout = '10s'")
        if not self._tables_exist:
            ddl = "; ".join(self.ddl)
            connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock({TABLES_LOCK}); {ddl}; COMMIT")
            self._tables_exist = True
        return connection

    def _listen_conn(self) -> ServerConnection:
        connection: ServerConnection = super()._listen_conn()
        connection.check()
        return connection

    @contextlib.contextmanager
    def db(self, commit: bool = False, close: bool = False) -> Iterator[Any]:
        try:
            with super().db(commit, close) as cursor:
                yield cursor
        except psycopg.Error as error:
            self.close()  # the next call connects anew, perhaps to another server
            raise QueueDownError(f"{type(error).__name__}: {error}") from error

    def dequeue(self) -> bytes | None:
        try:
            payload: bytes | None = super().dequeue()
        except psycopg.Error as error:
            raise QueueDownError(f"{type(error).__name__}: {error}") from error
        return payload

    def oldest(self) -> bytes | None:
        """Return the payload that has waited longest, or None."""
        rows = self.sql(f"select data from {self.table_task} where queue = %s order by id limit 1", (self.name,), results=True)  # noqa: S608
        return bytes(rows[0][0]) if rows else None
