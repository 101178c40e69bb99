"""The tables that are copied, and the columns whose values differ between SQLite and PostgreSQL."""

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
OF_PROCESSES = (GatewayLease, Online, Lease, Worker)  # the state of running gateways and workers, which is not copied
WRITTEN_LAST = (Fact, Checkpoint)  # by the transaction that turns the copy into a store


class CopyError(Exception):
    """The copy can't begin or continue. The text says what to do; the SQLite database is unchanged."""


class Difference(NamedTuple):
    """The conversions of a column's value to PostgreSQL and back."""

    there: Callable[[Any], Any]
    back: Callable[[Any], Any]


class Table(NamedTuple):
    """One table: its columns, the key in whose order rows are copied, and the columns that differ, by index."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    texts: frozenset[str]  # text columns of the key
    differences: dict[int, Difference]
    numbered: bool  # whether the database assigns the ids

    def there(self, row: Row) -> Row:
        """Convert a row of SQLite for PostgreSQL."""
        return self._each(row, lambda difference: difference.there)

    def back(self, row: Row) -> Row:
        """Convert a row of PostgreSQL to SQLite's form."""
        return self._each(row, lambda difference: difference.back)

    def _each(self, row: Row, way: Callable[[Difference], Callable[[Any], Any]]) -> Row:
        if not self.differences:
            return row
        values = list(row)
        for index, difference in self.differences.items():
            values[index] = way(difference)(values[index])
        return tuple(values)

    def key_of(self, row: Row) -> Row:
        """Return the row's key."""
        return tuple(row[self.columns.index(column)] for column in self.key)

    def named(self, row: Row) -> str:
        """Describe the row by its key: `message_id 7, user_id 3`."""
        return ", ".join(f"{column} {value!r}" for column, value in zip(self.key, self.key_of(row), strict=True))


def table(model: type[Base]) -> Table:
    """Return a model's table."""
    fields = model._meta.sorted_fields
    key = model._meta.get_primary_keys()
    return Table(
        model._meta.table_name,
        tuple(field.column_name for field in fields),
        tuple(field.column_name for field in key),
        frozenset(field.column_name for field in key if isinstance(field, (peewee.CharField, peewee.TextField))),
        {index: difference for index, field in enumerate(fields) if (difference := _difference(field)) is not None},
        isinstance(key[0], peewee.BigAutoField),
    )


def _difference(field: Any) -> Difference | None:
    """Return how a field differs: SQLite's booleans are 0 and 1, and only its text columns can store NUL."""
    if isinstance(field, peewee.BooleanField):
        return Difference(lambda value: None if value is None else bool(value), lambda value: None if value is None else int(value))
    return Difference(encode_text, decode_text) if field is Message.body else None


# In an order in which a row comes after the rows that it references.
CARRIED = [table(model) for model in TABLES if model not in OF_PROCESSES + WRITTEN_LAST]
CHECKPOINTS = table(Checkpoint)
