"""The store as one SQLite file: readers never wait for the writer nor the writer for them (WAL), and there is one writer at a
time."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import peewee

from conf import Settings
from models.store.engine import Engine, TransactionStart

READ_BUSY_TIMEOUT_S = 5  # readers meet a lock only while the WAL is recovered after a crash
WRITE_RETRY_S = 0.0003  # SQLite's own busy handler sleeps up to 100 ms; a send can't
WRITE_WAIT_S = 10.0  # no transaction of ours holds the lock for longer than some 100 ms
WAL_PAGES = 4_000  # of 4 KiB, before a drain's commit copies them back: each time costs the sends beside it some milliseconds
WAL_PAGES_MOST = 16_000  # before a committer stops for it
CACHE_KIB = 8 * 1024
STATEMENTS_KEPT = 1_000  # a connection; bulk statements differ by their number of rows, and preparing one costs as much as a send
NEWEST_SQL = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name="
NEWEST_IDS_SQL = f"SELECT ({NEWEST_SQL}'events'), ({NEWEST_SQL}'messages')"  # what most transactions need, as one row


class _Thread(threading.local):
    """What this thread's connection was set up for."""

    writer: sqlite3.Connection | None = None
    relaxed = False


_thread = _Thread()


class SQLite(Engine):
    """Ids are AUTOINCREMENT's, which come back with a transaction that is undone."""

    name: ClassVar[str] = "sqlite"
    tail_interval_s: ClassVar[float] = 0.025  # `version` costs 2 µs
    parts_per_consumer: ClassVar[int] = 1  # with one writer at a time, more would only wait for each other

    def __init__(self, settings: Settings) -> None:
        Path(settings.data_dir).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._usual_sync = "FULL" if settings.durability == "full" else "NORMAL"
        self.db = peewee.SqliteDatabase(
            str(settings.sqlite_path),
            pragmas={
                "journal_mode": "wal",
                "synchronous": self._usual_sync,
                "foreign_keys": 1,
                "cache_size": -CACHE_KIB,
                "temp_store": "memory",
                "wal_autocheckpoint": WAL_PAGES,
                "secure_delete": "fast",  # what is deleted is overwritten where that costs no extra I/O
            },
            timeout=READ_BUSY_TIMEOUT_S,
            cached_statements=STATEMENTS_KEPT,
        )

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Any:
        return self.db.execute_sql(sql, params)

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = self.db.connection()
        return connection

    def begin(self, *, appends: bool, durable: bool) -> TransactionStart:
        if not durable:
            # A power cut takes the newest commits back as a whole, effects and checkpoint together, and the drain does them anew.
            self.execute("PRAGMA synchronous=NORMAL")
            _thread.relaxed = True
        try:
            self._take_lock()
        except BaseException:
            self._ended()
            raise
        events, messages = self.execute(NEWEST_IDS_SQL).fetchone()
        return TransactionStart(events, {"events": events, "messages": messages})

    def _take_lock(self) -> None:
        """Retries tightly."""
        deadline = time.monotonic() + WRITE_WAIT_S
        if _thread.writer is not self._connection():
            self.execute("PRAGMA busy_timeout=0")
            _thread.writer = self._connection()
        while True:
            try:
                self.execute("BEGIN IMMEDIATE")
                return
            except peewee.OperationalError as error:
                if not is_locked(error) or time.monotonic() > deadline:
                    raise
                time.sleep(WRITE_RETRY_S)

    def _ended(self) -> None:
        if _thread.relaxed:
            _thread.relaxed = False
            self.execute(f"PRAGMA synchronous={self._usual_sync}")

    def newest_id(self, table: str) -> int:
        return int(self.execute(f"{NEWEST_SQL}?", (table,)).fetchone()[0])

    def commit(self, assigned_ids: Mapping[str, int], newest_event: int | None) -> bool:
        if not self.in_transaction():
            return False
        self.execute("COMMIT")
        self._ended()
        return True

    def rollback(self) -> None:
        if self.in_transaction():
            self.execute("ROLLBACK")
        self._ended()

    def in_transaction(self) -> bool:
        return self._connection().in_transaction  # SQLite leaves it by itself on a full disk or I/O error

    def begin_snapshot(self) -> None:
        self.execute("BEGIN")

    def head(self) -> int:
        found = self.execute("SELECT seq FROM sqlite_sequence WHERE name='events'").fetchone()
        return int(found[0]) if found else 0

    def version(self) -> int | None:
        return int(self.execute("PRAGMA data_version").fetchone()[0])

    def is_store_error(self, error: BaseException) -> bool:
        driver = error.__context__  # peewee raises its own error while it handles the driver's
        return isinstance(error, peewee.OperationalError) and getattr(driver, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR

    def configure_committer_connection(self) -> None:
        """It copies the WAL back into the database only when nobody else has for long: every process that drains does it after
        its own commits, and so does `run_maintenance`, beside the writer and without its lock."""
        self.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES_MOST}")

    def run_maintenance(self) -> None:
        """Copies back what the WAL holds, as far as no reader needs it there."""
        self.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def migration_lock(self) -> Iterator[None]:
        with Path(self.db.database).with_name("migrate.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def size_bytes(self) -> int:
        """Its write-ahead log included."""
        path = Path(self.db.database)
        return sum(p.stat().st_size for p in (path, path.with_name(path.name + "-wal")) if p.exists())


def is_locked(error: BaseException) -> bool:
    """Whether another writer holds the lock: the one error that waiting mends."""
    cause = error.__cause__ or error
    return isinstance(error, peewee.OperationalError) and "locked" in str(cause)
