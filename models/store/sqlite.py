"""The store as one SQLite file in WAL mode: one writer at a time; readers and the writer do not block each other."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import peewee

from conf import Settings
from models.store import clock
from models.store.engine import Engine, TransactionStart, driver_error

READ_BUSY_TIMEOUT_S = 5  # a reader is locked out only while the WAL is recovered after a crash
WRITE_RETRY_S = 0.0003  # SQLite's own busy handler sleeps up to 100 ms, too long for a send
WRITE_WAIT_S = 10.0  # our transactions keep the lock for 100 ms at most
MAX_WAL_PAGES = 4_000  # of 4 KiB; a drain's commit then checkpoints the WAL, which delays the sends beside it by milliseconds
MAX_COMMITTER_WAL_PAGES = 16_000  # the same for the committer's own commits
MAX_USED_WAL_PAGES = 8_000  # with more the WAL is used anew, for which sends wait until those that read have ended
READERS_WAIT_S = 0.03  # for so long at most; after twice as many pages twice as long
MAX_READERS_WAITS = 3
ERASE_WAIT_S = 0.1  # the same, when the WAL is emptied
KEPT_WAL_BYTES = MAX_COMMITTER_WAL_PAGES * 4096  # a longer file is cut
MAX_BYTES_CUT = 32 * 2**20  # at once, since sends wait for about a millisecond a MiB
CACHE_KIB = 8 * 1024
MAX_CACHED_STATEMENTS = 1_000  # for each connection; bulk statements differ by row count, and preparing one takes as long as a send
NEWEST_SQL = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name="
NEWEST_IDS_SQL = f"SELECT ({NEWEST_SQL}'events'), ({NEWEST_SQL}'messages')"  # one row, for most transactions need both

PRIMARY_CODE = 0xFF  # the mask that turns an extended result code into a primary one


class _ConnectionState(threading.local):
    """How this thread's connection is configured at the moment."""

    writer: sqlite3.Connection | None = None  # the connection whose busy handler is off
    relaxed: sqlite3.Connection | None = None  # the connection whose commits do not wait for the disk


_state = _ConnectionState()


class SharedFile(peewee.SqliteDatabase):
    """A database which several processes may open at once also before it is in WAL mode."""

    def _set_pragmas(self, conn: sqlite3.Connection) -> None:
        """Peewee's method. One of those that switch to WAL mode at once does, and the others are refused without waiting."""
        deadline = time.monotonic() + WRITE_WAIT_S
        while True:
            try:
                super()._set_pragmas(conn)  # type: ignore[misc]  # the stubs lack it
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & PRIMARY_CODE != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(WRITE_RETRY_S)

    def execute_sql(self, sql: str, params: Sequence[Any] | None = None) -> sqlite3.Cursor:
        """Peewee's method, without its hooks: they take some 3 µs, as long as a small statement."""
        try:
            cursor: sqlite3.Cursor = self.connection().execute(sql, params or ())  # type: ignore[no-untyped-call]
        except sqlite3.Error:
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
                raise
        return cursor


class SQLite(Engine):
    """The engine for SQLite. Ids are AUTOINCREMENT's: those of a transaction that is rolled back are used again.

    It has no statistics (ANALYZE, `PRAGMA optimize`), which make plans worse: tables that had few rows are scanned ever after. With
    10,000 users and 100,000 messages one statement went from 0.01 to 145 ms, and none became faster.
    """

    name: ClassVar[str] = "sqlite"
    tail_interval_s: ClassVar[float] = 0.025  # `version` costs 2 µs
    parts_per_consumer: ClassVar[int] = 1  # there is one writer at a time: more drains would only wait for each other

    def __init__(self, settings: Settings) -> None:
        Path(settings.data_dir).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor: int | None = None
        self._default_synchronous = "FULL" if settings.durability == "full" else "NORMAL"
        self.db = SharedFile(
            str(settings.sqlite_path),
            pragmas={
                "journal_mode": "wal",
                "synchronous": self._default_synchronous,
                "foreign_keys": 1,
                "cache_size": -CACHE_KIB,
                "temp_store": "memory",
                "wal_autocheckpoint": MAX_WAL_PAGES,
                "secure_delete": 1,  # overwrites deleted texts, also in pages that become free
            },
            timeout=READ_BUSY_TIMEOUT_S,
            cached_statements=MAX_CACHED_STATEMENTS,
        )

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Any:
        return self.db.execute_sql(sql, params)

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = self.db.connection()
        return connection

    def begin(self, *, appends: bool, durable: bool) -> TransactionStart:
        self._set_synchronous(durable=durable)
        self._begin_immediate()
        if not appends:
            return TransactionStart(self.now_ms(), 0, {})
        events, messages = self.execute(NEWEST_IDS_SQL).fetchone()
        return TransactionStart(self.now_ms(), events, {"events": events, "messages": messages})

    def _set_synchronous(self, *, durable: bool) -> None:
        """Let this thread's next commits wait for the disk or not, if they do otherwise so far.

        When they do not, a power cut undoes the newest commits as a whole, effects and checkpoint together, and the drain repeats
        them.
        """
        connection = self._connection()
        if durable == (_state.relaxed is connection):
            self.execute(f"PRAGMA synchronous={self._default_synchronous if durable else 'NORMAL'}")
            _state.relaxed = None if durable else connection

    def _begin_immediate(self) -> None:
        """Begin with the write lock, retrying every WRITE_RETRY_S instead of using SQLite's busy handler."""
        deadline = time.monotonic() + WRITE_WAIT_S
        if _state.writer is not self._connection():
            self.execute("PRAGMA busy_timeout=0")
            _state.writer = self._connection()
        while True:
            try:
                self.execute("BEGIN IMMEDIATE")
                return
            except peewee.OperationalError as error:
                if not is_locked(error) or time.monotonic() > deadline:
                    raise
                time.sleep(WRITE_RETRY_S)

    def newest_id(self, table: str) -> int:
        return int(self.execute(f"{NEWEST_SQL}?", (table,)).fetchone()[0])

    def commit(self, assigned_ids: Mapping[str, int], newest_event: int | None) -> bool:
        if not self.in_transaction():
            return False
        self.execute("COMMIT")
        return True

    def rollback(self) -> None:
        if self.in_transaction():
            self.execute("ROLLBACK")

    def in_transaction(self) -> bool:
        return self._connection().in_transaction  # SQLite ends it on a full disk or an I/O error

    def begin_snapshot(self) -> None:
        self.execute("BEGIN")

    def head(self) -> int:
        row = self.execute("SELECT seq FROM sqlite_sequence WHERE name='events'").fetchone()
        return int(row[0]) if row else 0

    def now_ms(self) -> int:
        return clock.now_ms()  # every process that uses the file runs on this host

    def version(self) -> int | None:
        return int(self.execute("PRAGMA data_version").fetchone()[0])

    def is_store_error(self, error: BaseException) -> bool:
        code = getattr(driver_error(error), "sqlite_errorcode", None)
        return isinstance(error, peewee.OperationalError) and code != sqlite3.SQLITE_ERROR

    def configure_committer_connection(self) -> None:
        """Let the committer checkpoint the WAL only when it has become very long. Usually the processes that drain have done it
        after their commits, or `run_maintenance` has, which needs no write lock."""
        self.execute(f"PRAGMA wal_autocheckpoint={MAX_COMMITTER_WAL_PAGES}")

    def run_maintenance(self) -> None:
        """Copy the WAL back into the database, as far as no reader needs it, and use it anew when it has become long."""
        _, used_pages, _ = self.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if used_pages > MAX_USED_WAL_PAGES or self.wal_bytes() > KEPT_WAL_BYTES:
            self._sync_database()
            self._restart_wal(READERS_WAIT_S * min(max(used_pages // MAX_USED_WAL_PAGES, 1), MAX_READERS_WAITS))

    def _sync_database(self) -> None:
        """Write the copied pages to the disk, which the restart would else do with the write lock.

        The file is never closed: that would release the locks that this process's connections have on it (POSIX).
        """
        if self._descriptor is None:
            self._descriptor = os.open(self.db.database, os.O_RDONLY)
        os.fdatasync(self._descriptor)

    def _restart_wal(self, wait_s: float) -> None:
        """Wait with the write lock for those that read, so that the next commit writes to the WAL's beginning.

        Commits do so by themselves only when nothing reads. Under readers in turns, of which one is always open, the WAL would grow
        without end. When a reader takes longer, this is in vain, until the next call.
        """
        with closing(sqlite3.connect(self.db.database, timeout=wait_s, isolation_level=None)) as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            if not busy and (size := self.wal_bytes()) > KEPT_WAL_BYTES:
                connection.execute(f"PRAGMA journal_size_limit={max(size - MAX_BYTES_CUT, KEPT_WAL_BYTES)}")
                with suppress(sqlite3.OperationalError):  # locked: another commit was first, and cut nothing
                    connection.execute("PRAGMA user_version=0")  # as it was: any write will do, since a commit cuts the file

    def erase_past(self) -> bool:
        """Copy the WAL back and empty its file, which else keeps earlier pages until they are written over. Commits wait for those
        that read, for ERASE_WAIT_S at most."""
        with closing(sqlite3.connect(self.db.database, timeout=ERASE_WAIT_S, isolation_level=None)) as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    @contextmanager
    def migration_lock(self) -> Iterator[None]:
        with Path(self.db.database).with_name("migrate.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def size_bytes(self) -> int:
        """Return the size of the database and its write-ahead log in bytes."""
        return Path(self.db.database).stat().st_size + self.wal_bytes()

    def wal_bytes(self) -> int:
        try:
            return Path(f"{self.db.database}-wal").stat().st_size
        except FileNotFoundError:  # no connection is open
            return 0


def is_locked(error: BaseException) -> bool:
    """Return whether another writer has the lock: the only error for which waiting helps."""
    code = getattr(driver_error(error), "sqlite_errorcode", 0)
    return isinstance(error, peewee.OperationalError) and code & PRIMARY_CODE in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
