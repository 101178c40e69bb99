"""Each foreign key leads an index: without one, deleting the row that it refers to reads the whole table.

On PostgreSQL others write meanwhile. Interrupted anywhere, it continues with the index that is missing or was left unfinished.
"""

from peewee import Database
from playhouse.migrate import SchemaMigrator

from models.store.database import engine

atomic = False
INDEXES = (
    ("reaction_user_id", "reactions (user_id)"),
    ("like_user_id", "likes (user_id)"),
    ("bookmark_post_id", "bookmarks (post_id)"),
    ("post_author_id", "posts (author_id)"),
    ("comment_author_id", "comments (author_id)"),
    ("group_owner_id", "community_groups (owner_id)"),
    ("deadletter_event_id", "dead_work (event_id)"),
)
IS_UNFINISHED_SQL = "SELECT 1 FROM pg_index WHERE indexrelid=to_regclass(%s::text) AND NOT indisvalid"


def up(migrator: SchemaMigrator, db: Database) -> None:
    for name, columns in INDEXES:
        if engine().name == "sqlite":
            db.execute_sql(f"CREATE INDEX IF NOT EXISTS {name} ON {columns}")
            continue
        if db.execute_sql(IS_UNFINISHED_SQL, (name,)).fetchall():
            db.execute_sql(f"DROP INDEX CONCURRENTLY {name}")
        db.execute_sql(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {columns}")
