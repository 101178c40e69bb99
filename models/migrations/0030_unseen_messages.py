"""Important and urgent messages that members who were online may not have seen: they are notified later."""

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
