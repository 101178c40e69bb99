"""What is carried over, and how a row of SQLite and the same row of PostgreSQL differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import peewee

from models.chat.message import Message
from models.chat.presence import GatewayLease, Online
from models.log.checkpoint import Checkpoint
from models.ops.lease import Lease
from models.ops.worker import Worker
from models.schema import TABLES
from models.store.database import Base, decode_text, encode_text
from models.store.facts import Fact

Row = tuple[Any, ...]
OF_PROCESSES = (GatewayLease, Online, Lease, Worker)  # what running gateways and workers hold; none of them comes along
WRITTEN_LAST = (Fact, Checkpoint)  # by the transaction that makes a copy a store


class CopyError(Exception):
    """The copy can't be made, or can't go on. Its text says what to do; the SQLite database is as it was."""


class Difference(NamedTuple):
    """A column's value on its way to PostgreSQL, and back."""

    there: Callable[[Any], Any]
    back: Callable[[Any], Any]


class Table(NamedTuple):
    """One table: its columns, its key, in whose order rows are carried, and which columns differ, by place."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    texts: frozenset[str]  # columns of the key that are text
    differences: dict[int, Difference]
    numbered: bool  # whether the database gives the ids

    def there(self, row: Row) -> Row:
        """A row of SQLite's, for PostgreSQL."""
        return self._each(row, lambda difference: difference.there)

    def back(self, row: Row) -> Row:
        """A row of PostgreSQL's, as SQLite has it."""
        return self._each(row, lambda difference: difference.back)

    def _each(self, row: Row, way: Callable[[Difference], Callable[[Any], Any]]) -> Row:
        if not self.differences:
            return row
        values = list(row)
        for place, difference in self.differences.items():
            values[place] = way(difference)(values[place])
        return tuple(values)

    def key_of(self, row: Row) -> Row:
        """The row's key."""
        return tuple(row[self.columns.index(column)] for column in self.key)

    def named(self, row: Row) -> str:
        """The row for a person to find: `message_id 7, user_id 3`."""
        return ", ".join(f"{column} {value!r}" for column, value in zip(self.key, self.key_of(row), strict=True))


def table(model: type[Base]) -> Table:
    """A model's table."""
    fields = model._meta.sorted_fields
    key = model._meta.get_primary_keys()
    return Table(
        model._meta.table_name,
        tuple(field.column_name for field in fields),
        tuple(field.column_name for field in key),
        frozenset(field.column_name for field in key if isinstance(field, (peewee.CharField, peewee.TextField))),
        {place: difference for place, field in enumerate(fields) if (difference := _difference(field)) is not None},
        isinstance(key[0], peewee.BigAutoField),
    )


def _difference(field: Any) -> Difference | None:
    """SQLite's booleans are 0 and 1, and only its text columns hold a NUL."""
    if isinstance(field, peewee.BooleanField):
        return Difference(lambda value: None if value is None else bool(value), lambda value: None if value is None else int(value))
    return Difference(encode_text, decode_text) if field is Message.body else None


# In this order a row comes after those that it refers to.
CARRIED = [table(model) for model in TABLES if model not in OF_PROCESSES + WRITTEN_LAST]
CHECKPOINTS = table(Checkpoint)
