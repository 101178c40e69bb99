"""On PostgreSQL, records are divided by month. What is there becomes the partition of all months that have none of their own: no
row is written anew, and only the index of the primary key is built, which takes about a second for a million rows."""

from peewee import Database
from playhouse.migrate import SchemaMigrator

from models.database import engine

TABLES = ("activities", "audits")
INDEXES_SQL = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname=current_schema() AND tablename=%s AND indexname<>%s"


def up(migrator: SchemaMigrator, db: Database) -> None:
    if engine().name != "postgresql":
        return

    def run(statement: str) -> None:
        db.execute_sql(statement)  # type: ignore[no-untyped-call]

    run("SET LOCAL lock_timeout = '2s'")  # nobody is to queue for long behind one who waits; the command can be run again
    for table in TABLES:
        indexes = db.execute_sql(INDEXES_SQL, (table, f"{table}_pkey")).fetchall()  # type: ignore[no-untyped-call]
        run(f"ALTER TABLE {table} RENAME TO {table}_rest")
        run(f"ALTER TABLE {table}_rest DROP CONSTRAINT {table}_pkey, ADD CONSTRAINT {table}_rest_pkey PRIMARY KEY (id, at_ms)")
        run(
            f"CREATE TABLE {table} (LIKE {table}_rest INCLUDING DEFAULTS, PRIMARY KEY (id, at_ms), "
            "FOREIGN KEY (user_id) REFERENCES users (id)) PARTITION BY RANGE (at_ms)"
        )
        for name, definition in indexes:
            run(f"ALTER INDEX {name} RENAME TO {name}_rest")
            run(definition)
        run(f"ALTER SEQUENCE {table}_id_seq OWNED BY {table}.id")
        run(f"ALTER TABLE {table} ATTACH PARTITION {table}_rest DEFAULT")
