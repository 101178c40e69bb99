"""Workers tell that they are there, and what they do."""

from peewee import BigIntegerField, CharField, Database, Model, TextField
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Worker(Model):
        name = CharField(primary_key=True, max_length=80)
        started_ms = BigIntegerField()
        seen_ms = BigIntegerField()
        busy = TextField()

        class Meta:
            database = db
            table_name = "workers"

    db.create_tables([Worker])
