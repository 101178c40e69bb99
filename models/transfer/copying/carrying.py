"""The steps of a copy, from its beginning or from the point of an interruption."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import zip_longest
from typing import cast

import peewee
import psycopg

from conf import Settings
from models import schema
from models.chat import search
from models.log import event
from models.records import partitions
from models.records.archive import RECORD_TYPES
from models.records.partitions import TablesBusyError
from models.store.data_dir_lock import acquire_exclusive
from models.store.database import chunks, connect, disconnect, engine, execute, rows
from models.store.postgres import PostgreSQL
from models.transfer.copying.source import Source
from models.transfer.copying.tables import CARRIED, CHECKPOINTS, CopyError, Row, Table
from models.transfer.copying.target import ANEW, PATIENT_SQL, Target

ROWS_PER_BATCH = 5_000
INDEXED_PER_BATCH = 200  # a full-text entry costs many times a plain row
COUNTED = "{:<20} {:>14,} rows  {}"
NOT_DELETED_SQL = "deleted_ms IS NULL"

Say = Callable[[str], None]
Show = Callable[[str, int, int], None]  # the step, rows done, rows in total


def carry(settings: Settings, url: str, divided: Collection[str], say: Say, show: Show) -> bool:
    """Copy the SQLite store of `settings` to the PostgreSQL database at `url`. Return whether both are equal in the end.

    `divided` are the consumers that have parts. `say` is called with a line for each table, `show` with the progress. Raises
    CopyError, and models.store.data_dir_lock.RunningError while a process uses the data folder.
    """
    with _copy_errors(), closing(Source(settings.sqlite_path)) as source, acquire_exclusive(settings.data_dir):
        source.require_current_schema()
        connect(settings.model_copy(update={"database_url": url}), "copy")
        try:
            with closing(Target(cast("PostgreSQL", engine()), source.epoch())) as target:
                return _Copy(source, target, say, show).run(divided)
        finally:
            disconnect()


@contextmanager
def _copy_errors() -> Iterator[None]:
    """Turn the errors of both databases into CopyError."""
    try:
        yield
    except sqlite3.Error as error:
        raise CopyError(f"the SQLite database can't be read ({error}): `run.py doctor` says more") from error
    except (psycopg.Error, peewee.PeeweeException) as error:
        why = " ".join(str(error).split())
        raise CopyError(
            f"the target can't be used ({why}): correct that and run the same command again; it continues from here"
        ) from error


class _Copy:
    """One run of the command."""

    def __init__(self, source: Source, target: Target, say: Say, show: Show) -> None:
        self._source = source
        self._target = target
        self._say = say
        self._show = show

    def run(self, divided: Collection[str]) -> bool:
        """Copy everything. Return whether both databases are equal in the end."""
        self._target.admit()
        schema.migrate()
        self._target.claim()
        self._divide()
        for table in CARRIED:
            self._fill(table)
        self._index()
        self._target.settle({table.name: self._source.newest_id(table.name) for table in CARRIED if table.numbered})
        equal = [self._check(table) for table in CARRIED]
        if not all([*equal, self._check_index()]):
            self._say(f"the copy differs from the SQLite database and stays unfinished: {ANEW}")
            return False
        self._finish(dict.fromkeys(divided, engine().parts_per_consumer))
        return True

    def _divide(self) -> None:
        """Create partitions for the months of the records. Records of months without one go to the default partition."""
        for kind in RECORD_TYPES:
            for month in sorted({*self._source.months(kind.table)} - {*partitions.existing_months(kind)}):
                with suppress(TablesBusyError):
                    partitions.create(kind, month)

    def _fill(self, table: Table) -> None:
        """Copy the rows that the target does not have yet."""
        total = self._source.count(table.name)
        last = self._target.last_key(table)
        copied_before = done = self._target.count(table.name) if last else 0
        for batch in chunks(self._source.rows(table, last), ROWS_PER_BATCH):
            self._target.insert(table, batch)
            done += len(batch)
            self._show(f"copying {table.name}", done, total)
        self._say(COUNTED.format(table.name, done, f"copied, {copied_before:,} of them earlier" if copied_before else "copied"))

    def _index(self) -> None:
        """Add the messages after the last indexed one to the full-text index."""
        total = self._target.count("messages", NOT_DELETED_SQL)
        ((at,),) = rows("SELECT coalesce(max(rowid), 0) FROM message_search")
        done = self._target.count("messages", f"{NOT_DELETED_SQL} AND id <= {at}")
        execute(PATIENT_SQL)
        following = f"SELECT id FROM messages WHERE id>? AND {NOT_DELETED_SQL} ORDER BY id LIMIT {INDEXED_PER_BATCH}"
        while ids := [i for (i,) in rows(following, (at,))]:
            for batch in search.batches(ids):
                with event.transaction(appends=False, durable=False):  # a crash undoes only the newest: the next run repeats them
                    done += search.index(batch)
            at = ids[-1]
            self._show("indexing messages", done, total)
        self._say(COUNTED.format("message_search", done, "indexed"))

    def _check(self, table: Table) -> bool:
        """Compare every row on both sides."""
        total, arrived = self._source.count(table.name), self._target.count(table.name)
        difference = self._first_difference(table, total)
        self._show(f"checking {table.name}", total, total)
        found = "ok" if difference is None else f"DIFFERS from SQLite's {total:,}: {difference}"
        self._say(COUNTED.format(table.name, arrived, found))
        return difference is None

    def _first_difference(self, table: Table, total: int) -> str | None:
        with closing(self._target.rows(table)) as arrived:
            for number, (here, there) in enumerate(zip_longest(self._source.rows(table), arrived), 1):
                if here != there:
                    return _difference(table, here, there)
                if number % ROWS_PER_BATCH == 0:
                    self._show(f"checking {table.name}", number, total)
        return None

    def _check_index(self) -> bool:
        expected, indexed = self._target.count("messages", NOT_DELETED_SQL), self._target.count("message_search")
        found = "ok" if indexed == expected else f"DIFFERS from the {expected:,} messages that are not deleted"
        self._say(COUNTED.format("message_search", indexed, found))
        return indexed == expected

    def _finish(self, parts: dict[str, int]) -> None:
        """Run the last transaction, which turns the copy into a store."""
        facts, checkpoints = self._source.facts(), self._source.checkpoints(parts)
        self._target.finish(facts, checkpoints)
        self._say(COUNTED.format(CHECKPOINTS.name, len(checkpoints), "ok"))
        self._say(COUNTED.format("facts", len(facts), "ok"))


def _difference(table: Table, here: Row | None, there: Row | None) -> str:
    if here is None or (there is not None and table.key_of(there) < table.key_of(here)):
        return f"only PostgreSQL has {table.named(cast('Row', there))}"
    if there is None or table.key_of(here) < table.key_of(there):
        return f"PostgreSQL lacks {table.named(here)}"
    columns = [column for column, a, b in zip(table.columns, here, there, strict=True) if a != b]
    return f"{table.named(here)} differs ({', '.join(columns)})"
