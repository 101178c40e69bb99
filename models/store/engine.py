"""What the store must be able to do besides SQL: taking turns at the log, and telling of its own state. One class for each
database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple

import peewee


class TransactionStart(NamedTuple):
    """What a transaction that appends needs at its start: the newest event, and the newest ids ever given to some tables' rows."""

    head: int
    newest: dict[str, int]


class Engine(ABC):
    """One database, reached by a connection a thread. Statements have `?` for parameters; errors are peewee's."""

    name: ClassVar[str]
    tail_interval_s: ClassVar[float]  # how often a gateway's tail asks for events without being told
    parts_per_consumer: ClassVar[int]  # of each consumer: how many drains of it may write at once
    db: peewee.Database

    @abstractmethod
    def execute(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Runs one statement and returns its cursor."""

    @abstractmethod
    def begin(self, *, appends: bool, durable: bool) -> TransactionStart:
        """Begins a transaction that writes. One that `appends` holds the log's one lock from here through its end.

        Unless `durable`, a crash of the machine may take it back as a whole. Raises peewee.OperationalError when the lock can't
        be had.
        """

    @abstractmethod
    def newest_id(self, table: str) -> int:
        """The newest id ever given to a row of the table, under the log's lock."""

    @abstractmethod
    def commit(self, assigned_ids: Mapping[str, int], newest_event: int | None) -> bool:
        """Commits. `taken` has the newest ids that were given by hand, `newest` the newest event appended, if any.

        False when there was nothing to commit any more: the store had left the transaction.
        """

    @abstractmethod
    def rollback(self) -> None:
        """Ends the transaction without a trace, if there still is one."""

    @abstractmethod
    def in_transaction(self) -> bool:
        """Whether this thread's connection is inside a transaction: the store may leave one by itself."""

    @abstractmethod
    def begin_snapshot(self) -> None:
        """Begins a transaction that reads, all as of one moment."""

    def begin_multi_index_read(self) -> None:
        """Begins one that reads rows which several indexes lead to, or an index of words."""
        self.begin_snapshot()

    @abstractmethod
    def head(self) -> int:
        """The newest event that is committed, also when it is no longer kept."""

    def part_sql(self, count: int) -> str:
        """SQL for which of so many parts, a power of two, an event of the log is in: by its stream. Where there is one, that."""
        return "0"

    @abstractmethod
    def version(self) -> int | None:
        """A number that changes when another connection commits; None when only reading tells."""

    @abstractmethod
    def is_store_error(self, error: BaseException) -> bool:
        """Whether the store failed (down, full, locked), rather than the statement that it was given."""

    @abstractmethod
    def configure_committer_connection(self) -> None:
        """Sets this thread's connection up for one whose commits others wait for."""

    @abstractmethod
    def run_maintenance(self) -> None:
        """What is due now and then while there are commits."""

    @abstractmethod
    def migration_lock(self) -> AbstractContextManager[None]:
        """Keeps every other process from migrating."""

    def stored(self, text: str) -> str:
        """People's text, as a column can hold it."""
        return text

    def shown(self, text: str) -> str:
        """Text that was `stored`, as it was."""
        return text

    @abstractmethod
    def size_bytes(self) -> int:
        """Bytes of the database."""
