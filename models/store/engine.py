"""The operations that SQLite and PostgreSQL do differently, one class for each: the log's lock, ids, and the store's state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple

import peewee


class TransactionStart(NamedTuple):
    """The state that a transaction reads when it begins: the store's clock (Unix ms), the newest event id, and the newest ids ever
    used, by table."""

    now_ms: int
    head: int
    newest: dict[str, int]


class Engine(ABC):
    """One database with one connection for each thread. Statements have `?` for parameters; errors are Peewee's."""

    name: ClassVar[str]
    tail_interval_s: ClassVar[float]  # how often a gateway's tail reads the log when no hint arrives
    parts_per_consumer: ClassVar[int]  # how many drains of one consumer may write at the same time
    db: peewee.Database

    @abstractmethod
    def execute(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Run one statement and return its cursor."""

    @abstractmethod
    def begin(self, *, appends: bool, durable: bool) -> TransactionStart:
        """Begin a write transaction. One that `appends` has the log's lock from here to its end.

        Unless `durable`, a crash of the machine may undo the whole transaction after its commit. Raises peewee.OperationalError
        when the lock can't be acquired.
        """

    @abstractmethod
    def newest_id(self, table: str) -> int:
        """Return the newest id ever used for a row of the table. The caller has the log's lock."""

    @abstractmethod
    def commit(self, assigned_ids: Mapping[str, int], newest_event: int | None) -> bool:
        """Commit. `assigned_ids` are the newest ids that the transaction assigned, by table; `newest_event` is the last event
        that it appended.

        Return False when the store had already ended the transaction because of an error.
        """

    @abstractmethod
    def rollback(self) -> None:
        """Roll back this thread's transaction, if there is one."""

    @abstractmethod
    def in_transaction(self) -> bool:
        """Return whether this thread's connection is in a transaction. The store may end one because of an error."""

    @abstractmethod
    def begin_snapshot(self) -> None:
        """Begin a read transaction whose queries all see the same state."""

    def begin_multi_index_read(self) -> None:
        """Begin a read transaction for a query that combines several indexes, or uses a full-text index."""
        self.begin_snapshot()

    @abstractmethod
    def head(self) -> int:
        """Return the newest committed event id, also when that event has been trimmed."""

    @abstractmethod
    def now_ms(self) -> int:
        """Return the store's clock in milliseconds since 1970-01-01 UTC. A transaction has it as `now_ms`. It decides
        what is due, since the clocks of hosts differ (models/store/due.py)."""

    def part_sql(self, count: int) -> str:
        """Return the SQL expression for an event's part (0 … count-1), derived from its stream. `count` is a power of two."""
        return "0"

    @abstractmethod
    def version(self) -> int | None:
        """Return a number that changes when another connection commits; None when the store has none."""

    @abstractmethod
    def is_store_error(self, error: BaseException) -> bool:
        """Return whether the store failed (down, full, locked), rather than the statement."""

    @abstractmethod
    def configure_committer_connection(self) -> None:
        """Configure this thread's connection for the committer, whose commits clients wait for."""

    @abstractmethod
    def run_maintenance(self) -> None:
        """Do the regular maintenance of a store that is written to. A gateway calls it every few seconds."""

    def erase_past(self) -> bool:
        """Remove earlier states of the store from its files, as far as the store does that by itself only later; returns whether it
        could."""
        return True

    @abstractmethod
    def migration_lock(self) -> AbstractContextManager[None]:
        """Keep every other process from migrating."""

    def encode_text(self, text: str) -> str:
        """Encode a user's text for a column."""
        return text

    def decode_text(self, text: str) -> str:
        """Decode a text that `encode_text` encoded."""
        return text

    @abstractmethod
    def size_bytes(self) -> int:
        """Return the size of the database in bytes."""

    def wal_bytes(self) -> int:
        """Return the size of SQLite's write-ahead log in bytes; 0 on a server, which bounds its own."""
        return 0


def driver_error(error: BaseException) -> BaseException | None:
    """Return the driver's error that Peewee's error wraps; None for another error."""
    return getattr(error, "orig", None)
