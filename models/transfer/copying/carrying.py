"""The copy from its beginning, or from where it was interrupted, to its end."""

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

ROWS_A_BATCH = 5_000
INDEXED_A_BATCH = 200  # full text costs many times a plain row
COUNTED = "{:<20} {:>14,} rows  {}"
STANDING = "deleted_ms IS NULL"

Say = Callable[[str], None]
Show = Callable[[str, int, int], None]  # what is being done, rows done, rows in all


def carry(settings: Settings, url: str, divided: Collection[str], say: Say, show: Show) -> bool:
    """Carries the SQLite store of `settings` to the PostgreSQL database at `url`; tells whether both hold the same in the end.

    `divided` are the consumers whose events are done in parts. `say` is told a line for each table, `show` the progress. Raises
    CopyError, and models.store.data_dir_lock.RunningError while anything runs on the data folder.
    """
    with _told(), closing(Source(settings.sqlite_path)) as source, acquire_exclusive(settings.data_dir):
        source.require_current_schema()
        connect(settings.model_copy(update={"database_url": url}), "copy")
        try:
            with closing(Target(cast("PostgreSQL", engine()), source.epoch())) as target:
                return _Copy(source, target, say, show).run(divided)
        finally:
            disconnect()


@contextmanager
def _told() -> Iterator[None]:
    """Turns what either database raises into a CopyError."""
    try:
        yield
    except sqlite3.Error as error:
        raise CopyError(f"the SQLite database can't be read ({error}): `run.py doctor` tells more") from error
    except (psycopg.Error, peewee.PeeweeException) as error:
        why = " ".join(str(error).split())
        raise CopyError(f"the target can't be used ({why}): when it can, run the same again, which goes on from here") from error


class _Copy:
    """One run."""

    def __init__(self, source: Source, target: Target, say: Say, show: Show) -> None:
        self._source = source
        self._target = target
        self._say = say
        self._show = show

    def run(self, divided: Collection[str]) -> bool:
        """Tells whether nothing differs in the end."""
        self._target.admit()
        schema.migrate()
        self._target.claim()
        self._divide()
        for table in CARRIED:
            self._fill(table)
        self._index()
        self._target.settle({table.name: self._source.newest_id(table.name) for table in CARRIED if table.numbered})
        alike = [self._check(table) for table in CARRIED]
        if not all([*alike, self._check_index()]):
            self._say(f"the copy is not what the SQLite database holds, and stays unfinished: {ANEW}")
            return False
        self._finish(dict.fromkeys(divided, engine().parts_per_consumer))
        return True

    def _divide(self) -> None:
        """Makes partitions for the records that will arrive; what has none arrives, too."""
        for kind in RECORD_TYPES:
            for month in sorted({*self._source.months(kind.table)} - {*partitions.existing_months(kind)}):
                with suppress(TablesBusyError):
                    partitions.create(kind, month)

    def _fill(self, table: Table) -> None:
        """Brings the rows that have not arrived yet."""
        total = self._source.count(table.name)
        last = self._target.last_key(table)
        there = done = self._target.count(table.name) if last else 0
        for batch in chunks(self._source.rows(table, last), ROWS_A_BATCH):
            self._target.insert(table, batch)
            done += len(batch)
            self._show(f"copying {table.name}", done, total)
        self._say(COUNTED.format(table.name, done, f"copied, {there:,} of them earlier" if there else "copied"))

    def _index(self) -> None:
        """Indexes the messages after the last one that is indexed."""
        total = self._target.count("messages", STANDING)
        ((at,),) = rows("SELECT coalesce(max(rowid), 0) FROM message_search")
        done = self._target.count("messages", f"{STANDING} AND id <= {at}")
        execute(PATIENT_SQL)
        following = f"SELECT id FROM messages WHERE id>? AND {STANDING} ORDER BY id LIMIT {INDEXED_A_BATCH}"
        while ids := [i for (i,) in rows(following, (at,))]:
            with event.transaction(appends=False, durable=False):  # what a crash takes back is the newest, and done again
                done += search.index(ids)
            at = ids[-1]
            self._show("indexing messages", done, total)
        self._say(COUNTED.format("message_search", done, "indexed"))

    def _check(self, table: Table) -> bool:
        """Compares every row on both sides."""
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
                if number % ROWS_A_BATCH == 0:
                    self._show(f"checking {table.name}", number, total)
        return None

    def _check_index(self) -> bool:
        standing, indexed = self._target.count("messages", STANDING), self._target.count("message_search")
        found = "ok" if indexed == standing else f"DIFFERS from the {standing:,} messages that are not deleted"
        self._say(COUNTED.format("message_search", indexed, found))
        return indexed == standing

    def _finish(self, parts: dict[str, int]) -> None:
        """The last transaction."""
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
    return f"{table.named(here)} is another ({', '.join(columns)})"
