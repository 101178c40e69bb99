"""Important and urgent messages that members who were online may not have seen: they are notified later. And a consumer that marks
notifications as read which lead to what is gone."""

from peewee import BigIntegerField, Database, Model
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class UnseenMessage(Model):
        message = BigIntegerField(primary_key=True)
        event = BigIntegerField()
        conversation = BigIntegerField()
        due_ms = BigIntegerField(index=True)
        position = BigIntegerField()

        class Meta:
            database = db
            table_name = "unseen_messages"

    db.create_tables([UnseenMessage])
    db.execute_sql(  # it need not read what was deleted before
        "INSERT INTO checkpoints (consumer, part, position, moved_ms) "
        "SELECT 'unreachable', 0, (SELECT max(id) FROM events), 0 WHERE EXISTS (SELECT 1 FROM events)"
    )
