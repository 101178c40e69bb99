"""Each consumer may be divided into parts with a checkpoint each, and work that one process does for all has a holder."""

from peewee import BigIntegerField, CharField, CompositeKey, Database, IntegerField, Model
from playhouse.migrate import SchemaMigrator

from models.store.database import engine


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Checkpoint(Model):
        consumer = CharField(max_length=32)
        part = IntegerField()
        position = BigIntegerField()
        moved_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "checkpoints"
            primary_key = CompositeKey("consumer", "part")

    class Duty(Model):
        name = CharField(primary_key=True, max_length=32)
        holder = CharField(max_length=32)
        until_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "duties"

    found = db.execute_sql("SELECT consumer, position, moved_ms FROM checkpoints").fetchall()
    db.execute_sql("DROP TABLE checkpoints")
    db.create_tables([Checkpoint, Duty])
    for consumer, position, moved_ms in found:
        Checkpoint.create(consumer=consumer, part=0, position=position, moved_ms=moved_ms)
    if engine().name == "postgresql":  # people are looked for by how their names begin, which its usual indexes do not know
        for column in ("username_key", "display_key"):
            db.execute_sql(f"CREATE INDEX users_{column}_prefix ON users ({column} text_pattern_ops)")
