"""The rows that imports have made, by source and key, read marks that are still to be moved, and the search index's checkpoint."""

from peewee import BigIntegerField, CharField, CompositeKey, Database, ForeignKeyField, Model
from playhouse.migrate import SchemaMigrator

from models.store.database import NeverReusedIdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Conversation(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "conversations"

    class ImportKey(Model):
        source = CharField(max_length=64)
        kind = CharField(max_length=12)
        key = CharField(max_length=200)
        number = BigIntegerField()

        class Meta:
            database = db
            table_name = "import_keys"
            primary_key = CompositeKey("source", "kind", "key")
            indexes = ((("kind", "number"), False),)

    class ImportMark(Model):
        conversation = ForeignKeyField(Conversation, primary_key=True)
        read_message = BigIntegerField()
        first_message = BigIntegerField()
        newest_message = BigIntegerField()
        done = BigIntegerField()

        class Meta:
            database = db
            table_name = "import_marks"

    db.create_tables([ImportKey, ImportMark])
    db.execute_sql(  # no event before this is for it, and it need not read them
        "INSERT INTO checkpoints (consumer, part, position, moved_ms) "
        "SELECT 'imported_search', 0, (SELECT max(id) FROM events), 0 WHERE EXISTS (SELECT 1 FROM events)"
    )
