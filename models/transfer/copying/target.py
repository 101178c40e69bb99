"""The PostgreSQL database to which a store is copied."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import psycopg

from models.log.checkpoint import Checkpoint
from models.schema import TABLES
from models.store.facts import COPYING, EPOCH
from models.store.postgres import LOG_LOCK, PostgreSQL
from models.transfer.copying.source import require_known
from models.transfer.copying.tables import CHECKPOINTS, OF_PROCESSES, CopyError, Row, Table

ANEW = "drop the database, create an empty one, and run the same command again"
TABLES_SQL = "SELECT tablename FROM pg_tables WHERE schemaname = ANY (current_schemas(false))"
LINE = re.compile(r", line (\d+)")  # in PostgreSQL's message about a row that it rejects
PATIENT_SQL = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0"
ROWS_PER_FETCH = 2_000


class Target:
    """One connection, which has the log's lock until it is closed. Raises psycopg.Error."""

    def __init__(self, engine: PostgreSQL, epoch: str) -> None:
        self._connection = engine.open("copy")
        self._connection.watchdog = None  # a statement may take long
        self._epoch = epoch
        self._run(PATIENT_SQL)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _run(self, sql: str, params: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        return self._connection.execute(sql, params or None)

    def _value(self, sql: str, params: Sequence[Any] = ()) -> Any:
        found = self._run(sql, params).fetchone()
        return found[0] if found else None

    def admit(self) -> None:
        """Check, without changes, that the target is empty or an unfinished copy of this store. Raises CopyError otherwise."""
        if (encoding := self._value("SHOW server_encoding")) != "UTF8":
            raise CopyError(f"the target's encoding is {encoding}: create it with ENCODING 'UTF8' TEMPLATE template0")
        names = {name for (name,) in self._run(TABLES_SQL)}
        if not names:
            return
        if "schema_migration" not in names:
            raise CopyError("the target has tables of something else: name an empty database")
        require_known({name for (name,) in self._run("SELECT name FROM schema_migration")}, "the target")
        facts = dict(self._run("SELECT name, value FROM facts")) if "facts" in names else {}
        filled = [
            m._meta.table_name for m in TABLES if m._meta.table_name in names - {"facts"} and self._has_rows(m._meta.table_name)
        ]
        self._admit(facts, filled)

    def _has_rows(self, table: str) -> bool:
        return bool(self._value(f"SELECT EXISTS (SELECT 1 FROM {table})"))

    def _admit(self, facts: Mapping[str, str], filled: Sequence[str]) -> None:
        if facts.get(COPYING) == self._epoch:
            if used := [m._meta.table_name for m in (*OF_PROCESSES, Checkpoint) if m._meta.table_name in filled]:
                raise CopyError(f"a gateway or worker has run on the half-made copy ({', '.join(used)}): stop it, {ANEW}")
        elif COPYING in facts:
            raise CopyError(f"the target holds a half-made copy of another store: name an empty database, or {ANEW}")
        elif filled and facts.get(EPOCH) == self._epoch:
            raise CopyError("the target is a finished copy of this store already: set BELLWIRE_DATABASE_URL to use it")
        elif filled:
            raise CopyError(f"the target holds other data ({', '.join(filled)}): name an empty database")

    def claim(self) -> None:
        """Acquire the log's lock and mark the target, which has our tables now, as a copy of this store. Raises CopyError."""
        if not self._value("SELECT pg_try_advisory_lock(%s)", (LOG_LOCK,)):
            raise CopyError("somebody is writing to the target: stop what runs on it, or the other copy")
        self.admit()
        self._run("INSERT INTO facts (name, value) VALUES (%s, %s) ON CONFLICT DO NOTHING", (COPYING, self._epoch))

    def count(self, table: str, where: str = "true") -> int:
        """Return the number of rows of a table."""
        return int(self._value(f"SELECT count(*) FROM {table} WHERE {where}"))

    def last_key(self, table: Table) -> Row | None:
        """Return the key of the last row that was copied."""
        found = self._run(f"SELECT {', '.join(table.key)} FROM {table.name} ORDER BY {_order(table, ' DESC')} LIMIT 1")
        return found.fetchone()

    def rows(self, table: Table) -> Generator[Row]:
        """Yield all rows in SQLite's order and form."""
        sql = f"SELECT {', '.join(table.columns)} FROM {table.name} ORDER BY {_order(table)}"
        with self._connection.transaction(), self._connection.cursor(name="carried") as cursor:
            cursor.itersize = ROWS_PER_FETCH
            for row in cursor.execute(sql):
                yield table.back(row)

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert rows of SQLite by one statement, all or none. Raises CopyError when PostgreSQL can't store one."""
        sql = f"COPY {table.name} ({', '.join(table.columns)}) FROM STDIN"
        at = 0
        try:
            with self._connection.cursor().copy(sql) as copy:
                for at, row in enumerate(rows):  # noqa: B007 - the index of a rejected row
                    copy.write_row(table.there(row))
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise CopyError(_refusal(table, rows, at, error)) from error

    def settle(self, newest: Mapping[str, int]) -> None:
        """Set the sequences after all ids ever used, and update the planner's statistics."""
        for table, last in newest.items():
            if last:
                self._run("SELECT setval(%s, %s)", (f"{table}_id_seq", last))
        self._run("ANALYZE")

    def finish(self, facts: Mapping[str, str], checkpoints: Sequence[Row]) -> None:
        """Write checkpoints and facts, with which the copy becomes a store: cursors are valid and drains continue."""
        with self._connection.transaction():
            self.insert(CHECKPOINTS, checkpoints)
            self._run("DELETE FROM facts")
            with self._connection.cursor() as cursor:
                cursor.executemany("INSERT INTO facts (name, value) VALUES (%s, %s)", list(facts.items()))


def _order(table: Table, direction: str = "") -> str:
    """Return the ORDER BY list. SQLite compares text by bytes, as the collation "C" does."""
    return ", ".join(f'{column} COLLATE "C"{direction}' if column in table.texts else column + direction for column in table.key)


def _refusal(table: Table, rows: Sequence[Row], at: int, error: psycopg.Error) -> str:
    """Describe a rejected row by its key, with the reason but without its content."""
    line = LINE.search(error.diag.context or "")
    if error.sqlstate is None or line:
        row = rows[int(line[1]) - 1 if line else at]
        which = f"row with {table.named(row)}"
    else:
        which = f"one of the rows from {table.named(rows[0])} to {table.named(rows[-1])}"
    why = error.diag.message_primary or str(error)
    advice = "correct it in the SQLite database, and run the same command again"
    return f"PostgreSQL does not accept the {which} of {table.name} ({why}): {advice}"
