"""Messages of earlier versions are to be indexed for search by other words, in the background."""

import time

from peewee import Database
from playhouse.migrate import SchemaMigrator

DAY_MS = 24 * 3600 * 1000


def up(migrator: SchemaMigrator, db: Database) -> None:
    if db.execute_sql("SELECT 1 FROM messages LIMIT 1").fetchall():
        until_ms = time.time_ns() // 1_000_000 + DAY_MS
        db.execute_sql(f"INSERT INTO facts (name, value) VALUES ('search_reindexed', '0:{until_ms}')")
