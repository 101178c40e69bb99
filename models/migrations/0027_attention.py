"""Mentions, levels of conversations, quiet hours, blocks, push as a channel, and from which message on a notification counts.

Gateways of the version before go on writing rows without the columns: messages without mentions, and what has the defaults.
"""

from peewee import (
    SQL,
    BigAutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
    Database,
    ForeignKeyField,
    Model,
    TextField,
)
from playhouse.migrate import SchemaMigrator, migrate

from models.store.database import NeverReusedIdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class User(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "users"

    class Mention(Model):
        conversation = BigIntegerField()
        user = BigIntegerField(column_name="user_id")
        message = BigIntegerField()

        class Meta:
            database = db
            table_name = "mentions"
            primary_key = CompositeKey("conversation", "user", "message")

    class Block(Model):
        id = BigAutoField()
        user = ForeignKeyField(User, index=False, on_delete="CASCADE")
        blocked = ForeignKeyField(User, index=False, on_delete="CASCADE")
        from_event = BigIntegerField()
        to_event = BigIntegerField(null=True)
        since_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "blocks"
            indexes = ((("user", "blocked"), False), (("blocked", "user"), False))

    Mention.add_index(Mention.index(Mention.message, name="mention_message"))
    Block.add_index(Block.index(Block.user, Block.blocked, unique=True, where=SQL("to_event IS NULL"), name="block_open"))
    Block.add_index(Block.index(Block.to_event, where=SQL("to_event IS NOT NULL"), name="block_closed"))
    db.create_tables([Mention, Block])
    migrate(
        migrator.add_column("messages", "mentions", TextField(null=True)),
        migrator.add_column("messages", "mentions_all", BooleanField(null=True)),
        migrator.add_column("memberships", "level", CharField(max_length=8, null=True)),
        migrator.add_column("memberships", "level_until_ms", BigIntegerField(null=True)),
        migrator.add_column("profiles", "quiet", TextField(null=True)),
        migrator.add_column("preferences", "push", BooleanField(null=True)),
        migrator.add_column("notifications", "from_message", BigIntegerField(null=True)),
        migrator.add_column("notifications", "upto_message", BigIntegerField(null=True)),
        migrator.add_column("notifications", "mentions_only", BooleanField(null=True)),
    )
    migrate(
        migrator.sql(
            "CREATE INDEX notification_upto ON notifications (user_id, grouping, upto_message) "
            "WHERE read_ms IS NOT NULL AND upto_message IS NOT NULL"
        )
    )
