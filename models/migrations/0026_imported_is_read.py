"""Imported messages are never unread, unless a member marks them as unread: a column of the membership says up to which.

Unread messages are counted in an index, which has to say which of them are imported. On PostgreSQL others write while it is made.
Gateways of the version before go on writing rows without the column, and count in the index of before while there is one.
"""

from peewee import BigIntegerField, Database
from playhouse.migrate import SchemaMigrator, migrate

from models.store.database import engine

atomic = False
OLD, NEW = (f"message_conversation_id_id_sender_id_deleted_ms{end}" for end in ("", "_event"))
COLUMNS = "messages (conversation_id, id, sender_id, deleted_ms, event)"
IS_UNFINISHED_SQL = "SELECT 1 FROM pg_index WHERE indexrelid=to_regclass(%s::text) AND NOT indisvalid"


def up(migrator: SchemaMigrator, db: Database) -> None:
    if "unread_upto" not in {column.name for column in db.get_columns("memberships")}:
        migrate(migrator.add_column("memberships", "unread_upto", BigIntegerField(null=True)))
    concurrently = ""
    if engine().name == "postgresql":
        concurrently = "CONCURRENTLY "
        if db.execute_sql(IS_UNFINISHED_SQL, (NEW,)).fetchall():
            db.execute_sql(f"DROP INDEX CONCURRENTLY {NEW}")
    db.execute_sql(f"CREATE INDEX {concurrently}IF NOT EXISTS {NEW} ON {COLUMNS}")
    db.execute_sql(f"DROP INDEX {concurrently}IF EXISTS {OLD}")
