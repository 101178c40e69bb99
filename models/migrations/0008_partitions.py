"""On PostgreSQL, records are divided by month. What is there becomes the partition of all months that have none of their own.

No row is written anew. The primary key's index is built while others write; all else takes some milliseconds, for which the locks
are asked for together, and never waited for. Interrupted anywhere, it goes on where it was.
"""

import time

from peewee import Database, OperationalError
from playhouse.migrate import SchemaMigrator

from models.database import engine

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
    return list(db.execute_sql(sql, params).fetchall())  # type: ignore[no-untyped-call]


def _index(db: Database, table: str) -> None:
    """The new primary key's, which holds up nobody."""
    if _rows(db, IS_BROKEN_SQL, f"{table}_rest_pkey"):
        db.execute_sql(f"DROP INDEX {table}_rest_pkey")  # type: ignore[no-untyped-call]
    sql = f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {table}_rest_pkey ON {table} (id, at_ms)"
    db.execute_sql(sql)  # type: ignore[no-untyped-call]


def _divide(db: Database, table: str) -> None:
    for left in reversed(range(TRIES)):
        try:
            with db.atomic():
                db.execute_sql(f"LOCK TABLE {table}, users IN ACCESS EXCLUSIVE MODE NOWAIT")  # type: ignore[no-untyped-call]
                for statement in _statements(table, _rows(db, INDEXES_SQL, table)):
                    db.execute_sql(statement)  # type: ignore[no-untyped-call]
            return
        except OperationalError as error:
            if not left or getattr(error.__context__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
        time.sleep(TRY_AGAIN_S)


def _statements(table: str, indexes: list[tuple[str | bool, ...]]) -> list[str]:
    key, plain = (
        f"{table}_rest_pkey",
        [(name, str(definition)) for name, definition in indexes if " UNIQUE " not in str(definition)],
    )
    return [
        f"ALTER TABLE {table} RENAME TO {table}_rest",
        f"ALTER TABLE {table}_rest DROP CONSTRAINT {table}_pkey, ADD CONSTRAINT {key} PRIMARY KEY USING INDEX {key}",
        f"CREATE TABLE {table} (LIKE {table}_rest INCLUDING DEFAULTS, PRIMARY KEY (id, at_ms), "
        "FOREIGN KEY (user_id) REFERENCES users (id)) PARTITION BY RANGE (at_ms)",
        *(f"ALTER INDEX {name} RENAME TO {name}_rest" for name, _ in plain),
        *(definition for _, definition in plain),
        f"ALTER SEQUENCE {table}_id_seq OWNED BY {table}.id",
        f"ALTER TABLE {table} ATTACH PARTITION {table}_rest DEFAULT",
    ]
