"""Users who are still to become members of a large conversation."""

from peewee import BigIntegerField, Database, ForeignKeyField, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator

from models.store.database import NeverReusedIdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Conversation(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "conversations"

    class MemberAddition(Model):
        id = NeverReusedIdField()
        conversation = ForeignKeyField(Conversation)
        user_ids = TextField()
        done = IntegerField()
        total = IntegerField()
        created_ms = BigIntegerField()
        ended_ms = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "member_additions"

    db.create_tables([MemberAddition])
