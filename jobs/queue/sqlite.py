"""The queue of the embedded mode: an SQLite file of its own, opened when it is first needed."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from huey.storage import SqliteStorage

BUSY_TIMEOUT_S = 2  # each transaction on the queue takes some 20 µs; longer than this is a hung process


class SqliteQueue(SqliteStorage):  # type: ignore[misc]
    """Huey's SQLite storage, for a path that may not be usable, now or later.

    Making one touches no disk. Every operation raises sqlite3.Error or OSError while the path can't be used, and works again
    as soon as it can. An open connection would go on writing into a file that was moved away or deleted, where no other process
    looks, so each operation first makes sure (1 µs) that the path still is the file that was opened.
    """

    def __init__(self, name: str, path: Path) -> None:
        self._path = path
        self._opened: tuple[int, int] | None = None
        # Without fsync: the log is what must not be lost; a queue lost in a power cut is filled again by the next look at the log.
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
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

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
        """The payload that has waited longest, or None."""
        found: list[tuple[Any, ...]] = self.sql(
            "select data from task where queue=? order by id limit 1", (self.name,), results=True
        )
        return bytes(found[0][0]) if found else None
