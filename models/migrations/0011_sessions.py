"""Tokens know whether a log-in created them: only these are bounded by the next log-in."""

from peewee import Database, SqliteDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    # With a default in the store: gateways of the version before insert tokens meanwhile.
    kind = "INTEGER" if isinstance(db, SqliteDatabase) else "BOOLEAN"
    db.execute_sql(f"ALTER TABLE tokens ADD COLUMN is_session {kind} NOT NULL DEFAULT FALSE")
