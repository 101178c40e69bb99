"""The SQLite database that is copied, read in one snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from models.records import partition_months
from models.schema import DIRECTORY
from models.store.facts import EPOCH
from models.transfer.copying.tables import CHECKPOINTS, CopyError, Row, Table

MIGRATIONS_SQL = "SELECT name FROM schema_migration"


class Source:
    """One connection in one read transaction. Raises sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise CopyError(f"there is no database at {path}: set BELLWIRE_DATA_DIR to the folder that has it")
        self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        self._connection.execute("BEGIN")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def require_current_schema(self) -> None:
        """Raise CopyError unless exactly this version's migrations are applied."""
        made = self._connection.execute("SELECT 1 FROM sqlite_schema WHERE name='schema_migration'").fetchone()
        applied = {name for (name,) in self._connection.execute(MIGRATIONS_SQL)} if made else set()
        require_known(applied, "the SQLite database")
        if pending := known() - applied:
            raise CopyError(f"the schema is not up to date ({', '.join(sorted(pending))} pending): run `run.py migrate` first")

    def facts(self) -> dict[str, str]:
        """Return the store's facts by name."""
        return dict(self._connection.execute("SELECT name, value FROM facts"))

    def epoch(self) -> str:
        """Return the store's epoch."""
        return self.facts()[EPOCH]

    def count(self, table: str) -> int:
        """Return the number of rows of a table."""
        return int(self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def newest_id(self, table: str) -> int:
        """Return the greatest id that was ever used for a row of a table."""
        sql = f"SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name=?), 0), coalesce((SELECT max(id) FROM {table}), 0))"
        return int(self._connection.execute(sql, (table,)).fetchone()[0])

    def rows(self, table: Table, after: Row | None = None) -> Iterator[Row]:
        """Yield a table's rows in the order of their keys: all, or those after a key."""
        key = ", ".join(table.key)
        where = f" WHERE ({key}) > ({', '.join('?' * len(table.key))})" if after is not None else ""
        sql = f"SELECT {', '.join(table.columns)} FROM {table.name}{where} ORDER BY {key}"
        return iter(self._connection.execute(sql, after or ()))

    def months(self, table: str) -> Iterator[int]:
        """Yield the beginnings, in ms, of the months from which a table has records."""
        since_ms, oldest = 0, f"SELECT min(at_ms) FROM {table} WHERE at_ms>=?"
        while (at_ms := self._connection.execute(oldest, (since_ms,)).fetchone()[0]) is not None:
            yield partition_months.start_of(at_ms)
            since_ms = partition_months.end_of(partition_months.start_of(at_ms))

    def checkpoints(self, parts: dict[str, int]) -> list[Row]:
        """Return the checkpoints with consumers divided into `parts`: each part has the position of the undivided consumer."""
        found = self.rows(CHECKPOINTS)
        return [(name, part, *rest) for name, _, *rest in found for part in range(parts.get(name, 1))]


def known() -> set[str]:
    """Return the names of this version's migrations."""
    return {path.stem for path in DIRECTORY.glob("[0-9]*.py")}


def require_known(applied: set[str], where: str) -> None:
    """Raise CopyError when a newer version has migrated the database."""
    if newer := applied - known():
        raise CopyError(f"{where} was made by a newer version ({', '.join(sorted(newer))}): install that one first")
