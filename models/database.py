"""The connection to the store: one peewee database a process, one connection a thread.

Threads that write hold `transaction()`s through `models.event`; all others only read. SQLite runs in WAL mode, so readers
never wait for the writer nor the writer for them.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import peewee

from conf import Settings

db = peewee.DatabaseProxy()


class _Thread(threading.local):
    """What this thread's connection was set up for."""

    writer: sqlite3.Connection | None = None


_thread = _Thread()

READ_BUSY_TIMEOUT_S = 5  # readers meet a lock only while the WAL is recovered after a crash
WRITE_RETRY_S = 0.0003  # SQLite's own busy handler sleeps up to 100 ms; a send can't
WRITE_WAIT_S = 10.0  # no transaction of ours holds the lock for longer than some 100 ms
ROWS_A_STATEMENT = 200
WAL_PAGES = 4_000  # of 4 KiB, before a drain's commit copies them back: each time costs the sends beside it some milliseconds
WAL_PAGES_MOST = 16_000  # before a committer stops for it
CACHE_KIB = 8 * 1024
STATEMENTS_KEPT = 1_000  # a connection; bulk statements differ by their number of rows, and preparing one costs as much as a send
ID_MAX = 2**53  # ids are below: clients may hold them in a double


class Base(peewee.Model):
    """Every table: bound to the one database, columns named as in the code."""

    class Meta:
        database = db
        legacy_table_names = False


def connect(settings: Settings) -> None:
    """Binds the models to the store that the settings name. Connections open when a thread first needs one."""
    Path(settings.data_dir).mkdir(parents=True, exist_ok=True, mode=0o700)
    db.initialize(
        peewee.SqliteDatabase(
            str(settings.sqlite_path),
            pragmas={
                "journal_mode": "wal",
                "synchronous": "full" if settings.durability == "full" else "normal",
                "foreign_keys": 1,
                "cache_size": -CACHE_KIB,
                "temp_store": "memory",
                "wal_autocheckpoint": WAL_PAGES,
                "secure_delete": "fast",  # what is deleted is overwritten where that costs no extra I/O
            },
            timeout=READ_BUSY_TIMEOUT_S,
            cached_statements=STATEMENTS_KEPT,
        )
    )


def disconnect() -> None:
    """Closes this thread's connection."""
    if db.obj is not None and not db.is_closed():
        db.close()


def execute(sql: str, params: Sequence[Any] = ()) -> Any:
    """Runs one statement with `?` parameters and returns its cursor."""
    return db.execute_sql(sql, params)


def rows(sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of one query."""
    return list(execute(sql, params).fetchall())


def marks(count: int, group: int = 0) -> str:
    """Parameter marks: `?,?,?`, or with a group size `(?,?),(?,?)`."""
    one = "(" + ",".join("?" * group) + ")" if group else "?"
    return ",".join([one] * count)


def given(names: str, count: int) -> str:
    """`WITH given(a, b) AS (VALUES (?,?),…) `: tuples to look up, joined by `given CROSS JOIN table WHERE …`, which seeks the index
    for each (SQLite scans the whole table for `(a, b) IN (VALUES …)`)."""
    return f"WITH given({names}) AS (VALUES {marks(count, names.count(',') + 1)}) "


@lru_cache(maxsize=512)
def _insert_sql(table: str, columns: tuple[str, ...], count: int, suffix: str) -> str:
    names = ",".join(f'"{c}"' for c in columns)
    return f'INSERT INTO "{table}" ({names}) VALUES {marks(count, len(columns))}{suffix}'


def insert_rows(model: type[Base], columns: tuple[str, ...], values: Sequence[Sequence[Any]], suffix: str = "") -> None:
    """Bulk insert, many rows a statement: one step of SQLite is one release of the GIL, and one round trip elsewhere."""
    table = model._meta.table_name
    for start in range(0, len(values), ROWS_A_STATEMENT):
        part = values[start : start + ROWS_A_STATEMENT]
        execute(_insert_sql(table, columns, len(part), suffix), [v for row in part for v in row])


@contextmanager
def snapshot() -> Iterator[None]:
    """One consistent view for several reads. Short: an open one keeps the WAL from being reused."""
    execute("BEGIN")
    try:
        yield
    finally:
        execute("ROLLBACK")


def is_locked(error: BaseException) -> bool:
    """Whether another writer holds the lock: the one error that waiting mends."""
    cause = error.__cause__ or error
    return isinstance(error, peewee.OperationalError) and "locked" in str(cause)


def is_stores_fault(error: BaseException) -> bool:
    """Whether the store failed (full, locked, I/O), rather than the statement that it was given."""
    driver = error.__context__  # peewee raises its own error while it handles the driver's
    return isinstance(error, peewee.OperationalError) and getattr(driver, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR


def begin_write() -> None:
    """Takes the write lock, retrying tightly.

    Raises peewee.OperationalError when it can't be had in WRITE_WAIT_S, or the disk or file fails.
    """
    deadline = time.monotonic() + WRITE_WAIT_S
    if _thread.writer is not db.connection():
        execute("PRAGMA busy_timeout=0")
        _thread.writer = db.connection()
    while True:
        try:
            execute("BEGIN IMMEDIATE")
            return
        except peewee.OperationalError as error:
            if not is_locked(error) or time.monotonic() > deadline:
                raise
            time.sleep(WRITE_RETRY_S)


def leave_checkpoints_to_others() -> None:
    """For the thread whose commits others wait for: it copies the WAL back into the database only when nobody else has for long.

    Every process that drains does it after its own commits, and so does `checkpoint`, beside the writer and without its lock.
    """
    execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES_MOST}")


def checkpoint() -> None:
    """Copies back what the WAL holds, as far as no reader needs it there."""
    execute("PRAGMA wal_checkpoint(PASSIVE)")


def in_transaction() -> bool:
    """Whether this thread's connection is inside a transaction: SQLite leaves it by itself on a full disk or I/O error."""
    connection: sqlite3.Connection = db.connection()
    return connection.in_transaction


def size_bytes() -> int:
    """Bytes of the database, its write-ahead log included."""
    path = Path(db.database)
    return sum(p.stat().st_size for p in (path, path.with_name(path.name + "-wal")) if p.exists())


def chunks(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most `size` values."""
    part: list[Any] = []
    for value in values:
        part.append(value)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


class NeverReusedIdField(peewee.BigAutoField):
    """A 64-bit id that is never given out twice, also after the newest rows are deleted."""

    def ddl(self, ctx: Any) -> Any:
        node = super().ddl(ctx)
        if isinstance(db.obj, peewee.SqliteDatabase):
            return peewee.NodeList((node, peewee.SQL("AUTOINCREMENT")))
        return node
