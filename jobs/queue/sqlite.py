"""The queue of the embedded mode: an SQLite file of its own, opened when it is first needed."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from huey.storage import SqliteStorage

BUSY_TIMEOUT_S = 2  # a transaction on the queue takes some 20 µs: one that lasts longer belongs to a suspended process


class SqliteQueue(SqliteStorage):  # type: ignore[misc]
    """Huey's SQLite queue, for a path that may be unusable, now or later.

    It opens the file with its first call. A call raises sqlite3.Error or OSError while the path cannot be used, and works again
    as soon as it can. An open connection would go on writing into a file that was moved or deleted, which no other process reads,
    so each call first checks (1 µs) that the path is still the file that was opened.
    """

    def __init__(self, name: str, path: Path) -> None:
        self._path = path
        self._opened: tuple[int, int] | None = None
        # Without fsync: a queue that a power cut has lost is filled again by the next check of the log.
        super().__init__(name, filename=str(path), cache_mb=0, fsync=False, timeout=BUSY_TIMEOUT_S, create_tables=False)

    _conn: sqlite3.Connection | None

    @property
    def conn(self) -> sqlite3.Connection:
        if self._conn is not None and self._identity() != self._opened:
            self._conn.close()
            self._conn = None
        if self._conn is None:
            self._conn = self._open()
        return self._conn

    def _identity(self) -> tuple[int, int] | None:
        try:
            stat = os.stat(self._path)
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection: sqlite3.Connection = self._create_connection()
        try:
            for statement in self.ddl:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        self._opened = self._identity()
        return connection

    def oldest(self) -> bytes | None:
        """Return the payload that has waited longest, or None."""
        rows: list[tuple[Any, ...]] = self.sql(
            "select data from task where queue=? order by id limit 1", (self.name,), results=True
        )
        return bytes(rows[0][0]) if rows else None
