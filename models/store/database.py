"""Access to the store that the settings name: one Peewee database for the process, one connection for each thread.

All writes run in a transaction of `models.log.event`. Raw SQL is written once for SQLite and PostgreSQL, with `?` for parameters;
the differences between the two are in `models.store.sqlite` and `models.store.postgres`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import msgspec
import peewee

from conf import Settings
from models.store.engine import Engine

db = peewee.DatabaseProxy()

MAX_ROWS_PER_STATEMENT = 200
ID_MAX = 2**53  # ids are below this: JavaScript keeps numbers as doubles

_engine: Engine


class Base(peewee.Model):
    """The base class of all tables, bound to the process's database."""

    class Meta:
        database = db
        legacy_table_names = False


def connect(settings: Settings, name: str = "command") -> None:
    """Bind the models to the store that the settings name.

    A connection opens when a thread first needs one. PostgreSQL lists connections under `name`, the kind of process.
    """
    global _engine
    if settings.database_url is None:
        from models.store.sqlite import SQLite

        _engine = SQLite(settings)
    else:
        from models.store.postgres import PostgreSQL

        _engine = PostgreSQL(settings, name)
    db.initialize(_engine.db)


def engine() -> Engine:
    """Return the engine: the operations that SQLite and PostgreSQL do differently."""
    return _engine


def disconnect() -> None:
    """Close this thread's connection. One that can't be closed is dropped: Peewee has forgotten it before it raises."""
    if db.obj is not None and not db.is_closed():
        with suppress(Exception):
            db.close()


def execute(sql: str, params: Sequence[Any] = ()) -> Any:
    """Run one statement with `?` parameters and return its cursor."""
    return _engine.execute(sql, params)


def rows(sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return all rows of one query."""
    return list(_engine.execute(sql, params).fetchall())


def number_rows(columns: str, sql: str, params: Sequence[Any] = ()) -> list[Any]:
    """Return all rows of a query of integers in its order, as sequences of these `columns`; of a single column, its numbers.

    SQLite returns them packed in one row: for each row Python releases the GIL, and gets it back when another thread lets it go.
    Three readers of many rows beside a busy loop take three times as long without this.
    """
    if _engine.name != "sqlite":
        found = rows(sql, params)
        return found if "," in columns else [number for (number,) in found]
    packed = f"json_array({columns})" if "," in columns else columns
    return list(msgspec.json.decode(rows(f"SELECT json_group_array({packed}) FROM ({sql})", params)[0][0]))


def fetch_rows(query: Any) -> list[tuple[Any, ...]]:
    """All rows of a Peewee query, as tuples."""
    return list(query.tuples())


def fetch_column(query: Any) -> list[Any]:
    """The one column that a Peewee query selects."""
    return [value for (value,) in query.tuples()]


def affected_rows(sql: str, params: Sequence[Any] = ()) -> int:
    """Run one statement and return the number of rows that it wrote."""
    return int(_engine.execute(sql, params).rowcount)


def placeholders(count: int, group: int = 0) -> str:
    """Return `?,?,?` for a list of `count` parameters; with a `group` size, `(?,?),(?,?)` for a list of rows.

    An empty list is `NULL`, since PostgreSQL refuses `IN ()`: no value is in it. Nor is any NOT IN it: do not use it there.
    """
    if count == 0 and not group:
        return "NULL"
    item = "(" + ",".join("?" * group) + ")" if group else "?"
    return ",".join([item] * count)


def listed(values: Collection[Any]) -> peewee.SQL:
    """Return the values as one node of a Peewee query, for `field.in_(listed(values))`.

    Of a list Peewee makes a node for each value and converts it, which takes 1 ms for 200 ids. These values are not converted.
    """
    return peewee.SQL(f"({placeholders(len(values))})", list(values))


def values_cte(names: str, count: int) -> str:
    """Return `WITH input(a, b) AS (VALUES (?,?),…) ` for a query about `count` tuples with the columns `names`.

    Join it as `input CROSS JOIN table WHERE …`: that seeks the table's index once for each tuple, while SQLite scans the whole
    table for `(a, b) IN (VALUES …)`.
    """
    return f"WITH input({names}) AS (VALUES {placeholders(count, names.count(',') + 1)}) "


@lru_cache(maxsize=512)
def _insert_sql(table: str, columns: tuple[str, ...], count: int, suffix: str) -> str:
    names = ",".join(f'"{c}"' for c in columns)
    return f'INSERT INTO "{table}" ({names}) VALUES {placeholders(count, len(columns))}{suffix}'


def insert_rows(model: type[Base], columns: tuple[str, ...], values: Sequence[Sequence[Any]], suffix: str = "") -> None:
    """Insert many rows with few statements: each statement is one release of the GIL on SQLite, one round trip on PostgreSQL."""
    table = model._meta.table_name
    for start in range(0, len(values), MAX_ROWS_PER_STATEMENT):
        part = values[start : start + MAX_ROWS_PER_STATEMENT]
        execute(_insert_sql(table, columns, len(part), suffix), [v for row in part for v in row])


@contextmanager
def snapshot() -> Iterator[None]:
    """Read one consistent state in several queries. Keep it short: while it is open the store can't reclaim old row versions."""
    _engine.begin_snapshot()
    try:
        yield
    finally:
        _engine.rollback()


@contextmanager
def multi_index_read() -> Iterator[None]:
    """Read with a query that needs several indexes (conditions joined by OR) or a full-text index."""
    _engine.begin_multi_index_read()
    try:
        yield
    finally:
        _engine.rollback()


def is_store_error(error: BaseException) -> bool:
    """Return whether the store failed (down, full, locked, I/O error), rather than the statement."""
    return _engine.is_store_error(error)


def in_transaction() -> bool:
    """Return whether this thread's connection is in a transaction. The store may have ended it because of an error."""
    return _engine.in_transaction()


def encode_text(text: str) -> str:
    """Encode a user's text for a column; PostgreSQL can't store NUL characters. `decode_text` reverses it."""
    return _engine.encode_text(text)


def decode_text(text: str) -> str:
    """Decode a text that `encode_text` encoded."""
    return _engine.decode_text(text)


def size_bytes() -> int:
    """Return the size of the database in bytes."""
    return _engine.size_bytes()


def chunks(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield the values in lists of at most `size`."""
    chunk: list[Any] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


class BytewiseCharField(peewee.CharField):
    """A text that both stores compare by its bytes, not by the rules of a language: an index serves a range of it."""

    def ddl(self, ctx: Any) -> Any:
        node = super().ddl(ctx)
        return node if isinstance(db.obj, peewee.SqliteDatabase) else peewee.NodeList((node, peewee.SQL('COLLATE "C"')))


class WidenedCharField(peewee.CharField):
    """A text of up to `max_length` characters whose column was made for `made_with`. SQLite, which bounds no text, keeps the old
    declaration: changing it would write the table anew."""

    def __init__(self, max_length: int, made_with: int, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)
        self._made_with = made_with

    def get_modifiers(self) -> list[int]:
        return [self._made_with if isinstance(db.obj, peewee.SqliteDatabase) else self.max_length]


class NeverReusedIdField(peewee.BigAutoField):
    """A 64-bit id that is never used twice, not even after the newest rows are deleted."""

    def ddl(self, ctx: Any) -> Any:
        node = super().ddl(ctx)
        if isinstance(db.obj, peewee.SqliteDatabase):
            return peewee.NodeList((node, peewee.SQL("AUTOINCREMENT")))
        return node
