"""The store that the settings name, and how it is spoken to: one peewee database a process, one connection a thread.

Threads that write hold `transaction()`s through `models.log.event`; all others only read. SQL is written once, for SQLite and
PostgreSQL alike, with `?` for parameters; what differs is in `models.store.sqlite` and `models.store.postgres`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import peewee

from conf import Settings
from models.store.engine import Engine

db = peewee.DatabaseProxy()

ROWS_A_STATEMENT = 200
ID_MAX = 2**53  # ids are below: clients may hold them in a double

_engine: Engine


class Base(peewee.Model):
    """Every table: bound to the one database, columns named as in the code."""

    class Meta:
        database = db
        legacy_table_names = False


def connect(settings: Settings, name: str = "command") -> None:
    """Binds the models to the store that the settings name. Connections open when a thread first needs one; PostgreSQL lists them
    by the `name` of the process."""
    global _engine
    if settings.database_url is None:
        from models.store.sqlite import SQLite

        _engine = SQLite(settings)
    else:
        from models.store.postgres import PostgreSQL

        _engine = PostgreSQL(settings, name)
    db.initialize(_engine.db)


def engine() -> Engine:
    """The store's own ways."""
    return _engine


def disconnect() -> None:
    """Closes this thread's connection."""
    if db.obj is not None and not db.is_closed():
        db.close()


def execute(sql: str, params: Sequence[Any] = ()) -> Any:
    """Runs one statement with `?` parameters and returns its cursor."""
    return _engine.execute(sql, params)


def rows(sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of one query."""
    return list(_engine.execute(sql, params).fetchall())


def affected_rows(sql: str, params: Sequence[Any] = ()) -> int:
    """Runs one statement and returns how many rows it wrote."""
    return int(_engine.execute(sql, params).rowcount)


def placeholders(count: int, group: int = 0) -> str:
    """Parameter marks: `?,?,?`, or with a group size `(?,?),(?,?)`."""
    one = "(" + ",".join("?" * group) + ")" if group else "?"
    return ",".join([one] * count)


def values_cte(names: str, count: int) -> str:
    """`WITH input(a, b) AS (VALUES (?,?),…) `: tuples to look up, joined by `input CROSS JOIN table WHERE …`, which seeks the index
    for each (SQLite scans the whole table for `(a, b) IN (VALUES …)`)."""
    return f"WITH input({names}) AS (VALUES {placeholders(count, names.count(',') + 1)}) "


@lru_cache(maxsize=512)
def _insert_sql(table: str, columns: tuple[str, ...], count: int, suffix: str) -> str:
    names = ",".join(f'"{c}"' for c in columns)
    return f'INSERT INTO "{table}" ({names}) VALUES {placeholders(count, len(columns))}{suffix}'


def insert_rows(model: type[Base], columns: tuple[str, ...], values: Sequence[Sequence[Any]], suffix: str = "") -> None:
    """Bulk insert, many rows a statement: one step of SQLite is one release of the GIL, and one round trip elsewhere."""
    table = model._meta.table_name
    for start in range(0, len(values), ROWS_A_STATEMENT):
        part = values[start : start + ROWS_A_STATEMENT]
        execute(_insert_sql(table, columns, len(part), suffix), [v for row in part for v in row])


@contextmanager
def snapshot() -> Iterator[None]:
    """One consistent view for several reads. Short: an open one keeps old rows from being cleared away."""
    _engine.begin_snapshot()
    try:
        yield
    finally:
        _engine.rollback()


@contextmanager
def multi_index_read() -> Iterator[None]:
    """For a query that one index in its order can't lead: alternatives joined by OR, words of a text."""
    _engine.begin_multi_index_read()
    try:
        yield
    finally:
        _engine.rollback()


def is_store_error(error: BaseException) -> bool:
    """Whether the store failed (down, full, locked, I/O), rather than the statement that it was given."""
    return _engine.is_store_error(error)


def in_transaction() -> bool:
    """Whether this thread's connection is inside a transaction: the store may have left it by itself."""
    return _engine.in_transaction()


def encode_text(text: str) -> str:
    """People's text, as a column can hold it; `shown` brings it back."""
    return _engine.stored(text)


def decode_text(text: str) -> str:
    """Text that was `stored`, as it was."""
    return _engine.shown(text)


def size_bytes() -> int:
    """Bytes of the database."""
    return _engine.size_bytes()


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
