"""On PostgreSQL, records are divided by month. `activities_rest` has what has no partition of its own, and in it what was there at
the division is apart from all that comes later, so that a month can be made without reading it.

No row is written anew. The primary key's index is built while others write; then the rows are read once, a million in about a tenth
of a second, under locks that are asked for together and never waited for. Interrupted anywhere, it goes on where it was.
"""

import time
from datetime import UTC, datetime

from peewee import Database, OperationalError
from playhouse.migrate import SchemaMigrator

from models.store.database import engine

atomic = False
TABLES = ("activities", "audits")
TRIES, TRY_AGAIN_S = 1_000, 0.02
IS_DIVIDED_SQL = "SELECT relkind='p' FROM pg_class WHERE oid=%s::text::regclass"
IS_BROKEN_SQL = "SELECT 1 FROM pg_index WHERE indexrelid=to_regclass(%s::text) AND NOT indisvalid"
INDEXES_SQL = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname=current_schema() AND tablename=%s ORDER BY indexname"
LOCK_NOT_AVAILABLE = "55P03"


def up(migrator: SchemaMigrator, db: Database) -> None:
    for table in TABLES if engine().name == "postgresql" else ():
        if not _rows(db, IS_DIVIDED_SQL, table)[0][0]:
            _index(db, table)
            _divide(db, table)


def _rows(db: Database, sql: str, *params: str) -> list[tuple[str | bool, ...]]:
    return list(db.execute_sql(sql, params).fetchall())


def _index(db: Database, table: str) -> None:
    """The new primary key's, which holds up nobody."""
    if _rows(db, IS_BROKEN_SQL, f"{table}_before_pkey"):
        db.execute_sql(f"DROP INDEX {table}_before_pkey")
    sql = f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {table}_before_pkey ON {table} (id, at_ms)"
    db.execute_sql(sql)


def _divide(db: Database, table: str) -> None:
    for left in reversed(range(TRIES)):
        try:
            with db.atomic():
                db.execute_sql(f"LOCK TABLE {table}, users IN ACCESS EXCLUSIVE MODE NOWAIT")
                for statement in _statements(table, _end_ms(db, table), _rows(db, INDEXES_SQL, table)):
                    db.execute_sql(statement)
            return
        except OperationalError as error:
            if not left or getattr(error.__context__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
        time.sleep(TRY_AGAIN_S)


def _end_ms(db: Database, table: str) -> int:
    """The end of this month, or of the last one that there are records of, if a clock was ahead."""
    ((newest_ms,),) = _rows(db, f"SELECT coalesce(max(at_ms), 0) FROM {table}")
    at = datetime.fromtimestamp(max(time.time(), int(newest_ms) / 1000), UTC)
    return int(datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC).timestamp() * 1000)


def _statements(table: str, end_ms: int, indexes: list[tuple[str | bool, ...]]) -> list[str]:
    before, rest = f"{table}_before", f"{table}_rest"
    plain = [(name, str(definition)) for name, definition in indexes if " UNIQUE " not in str(definition)]
    return [
        f"ALTER TABLE {table} RENAME TO {before}",
        f"ALTER TABLE {before} DROP CONSTRAINT {table}_pkey, ADD CONSTRAINT {before}_pkey PRIMARY KEY USING INDEX {before}_pkey",
        f"ALTER TABLE {before} ADD CONSTRAINT {before}_end CHECK (at_ms < {end_ms})",
        f"CREATE TABLE {table} (LIKE {before} INCLUDING DEFAULTS, PRIMARY KEY (id, at_ms), "
        "FOREIGN KEY (user_id) REFERENCES users (id)) PARTITION BY RANGE (at_ms)",
        *(f"ALTER INDEX {name} RENAME TO {name}_before" for name, _ in plain),
        *(definition for _, definition in plain),
        f"ALTER SEQUENCE {table}_id_seq OWNED BY {table}.id",
        f"CREATE TABLE {rest} PARTITION OF {table} DEFAULT PARTITION BY RANGE (at_ms)",
        f"CREATE TABLE {table}_other PARTITION OF {rest} DEFAULT",
        f"ALTER TABLE {rest} ATTACH PARTITION {before} FOR VALUES FROM (MINVALUE) TO ({end_ms})",
    ]
