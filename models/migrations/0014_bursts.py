"""Messages to large groups wait here, to be notified together, several at a time."""

from peewee import BigIntegerField, Database, Model
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Burst(Model):
        conversation = BigIntegerField(primary_key=True)
        upto = BigIntegerField()
        position = BigIntegerField()
        due_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "bursts"

    class BurstEvent(Model):
        event = BigIntegerField(primary_key=True)
        conversation = BigIntegerField()

        class Meta:
            database = db
            table_name = "burst_events"
            indexes = ((("conversation", "event"), False),)

    db.create_tables([Burst, BurstEvent])
