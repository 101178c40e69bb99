"""The parts of a deletion's step: pages of rows that are found outside any transaction, and their change in one.

A row that was changed before is found no more or stays as it is, so a step may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import peewee

from models.accounts.deletion import DeletionProgress
from models.log.event import Transaction
from models.store.database import Base, fetch_column

ROWS_PER_TRANSACTION = 200
MAX_FOUND = 5_000  # messages at once, which no index sorts


class Page(NamedTuple):
    """The items to change in one transaction, and the position after them."""

    items: Sequence[Any]
    position: str


Find = Callable[[DeletionProgress, str], Iterator[Page]]
Change = Callable[[Transaction, DeletionProgress, Sequence[Any]], int]


class Step(NamedTuple):
    """One table's part of a deletion: `find` yields the pages after a position, `change` returns the number of rows."""

    table: str
    find: Find
    change: Change
    of_texts: bool = False  # only when the user's texts are erased
    of: str = ""  # which of the table's rows, if several steps change it

    @property
    def name(self) -> str:
        """How the job's row names it."""
        return f"{self.table} {self.of}".strip()


def pages(model: type[Base], key: Any, condition: Callable[[int], Any], size: int = ROWS_PER_TRANSACTION) -> Find:
    """Pages of the values of a column, a number or a text, among rows that fulfil a condition."""

    def find(progress: DeletionProgress, position: str) -> Iterator[Page]:
        is_text = isinstance(key, (peewee.CharField, peewee.TextField))
        while True:
            after = position if is_text else int(position or 0)
            query = model.select(key).where(condition(progress.user), key > after).distinct().order_by(key).limit(MAX_FOUND)
            found = fetch_column(query)
            for start in range(0, len(found), size):
                items = found[start : start + size]
                position = str(items[-1])
                yield Page(items, position)
            if len(found) < MAX_FOUND:
                return

    return find


def deleted(model: type[Base], owner: Any, key: Any, *, of_texts: bool = False, of: str = "") -> Step:
    """The user's rows are deleted."""

    def change(tx: Transaction, progress: DeletionProgress, keys: Sequence[Any]) -> int:
        return int(model.delete().where(owner == progress.user, key.in_(list(keys))).execute())

    return Step(model._meta.table_name, pages(model, key, lambda user: owner == user), change, of_texts, of)


def reset(model: type[Base], **values: Any) -> Step:
    """The user's one row gets the values of a new account."""

    def find(progress: DeletionProgress, position: str) -> Iterator[Page]:
        if not position:
            yield Page([progress.user], "1")

    def change(tx: Transaction, progress: DeletionProgress, users: Sequence[Any]) -> int:
        return int(model.update(**values).where(model.user == progress.user).execute())  # type: ignore[attr-defined]

    return Step(model._meta.table_name, find, change)
