"""Large groups: which members are notified of all messages, and a consumer that takes notifications of deleted messages back."""

from peewee import Database
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    db.execute_sql("CREATE INDEX membership_all ON memberships (conversation_id, user_id) WHERE level='all' AND to_event IS NULL")
    db.execute_sql(  # no notification that it might take back is older, and it need not read those events
        "INSERT INTO checkpoints (consumer, part, position, moved_ms) "
        "SELECT 'withdrawals', 0, (SELECT max(id) FROM events), 0 WHERE EXISTS (SELECT 1 FROM events)"
    )
