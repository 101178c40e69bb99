"""Webhooks, by which the log is pushed to a host's backend, and incoming hooks, by which it writes into a conversation."""

from peewee import BigIntegerField, CharField, Database, ForeignKeyField, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator

from models.store.database import NeverReusedIdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class User(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "users"

    class Conversation(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "conversations"

    class Webhook(Model):
        id = NeverReusedIdField()
        url = TextField()
        types = TextField()
        description = TextField()
        state = CharField(max_length=8)
        salt = CharField(max_length=64)
        old_salt = CharField(max_length=64, null=True)
        rotated_ms = BigIntegerField(null=True)
        position = BigIntegerField()
        rewinds = IntegerField()
        failures = IntegerField()
        failing_since_ms = BigIntegerField(null=True)
        next_attempt_ms = BigIntegerField(null=True)
        last_status = IntegerField(null=True)
        last_error = TextField(null=True)
        test_ms = BigIntegerField(null=True)
        created_by = BigIntegerField()
        created_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "webhooks"

    class IncomingHook(Model):
        id = NeverReusedIdField()
        secret_hash = CharField(max_length=64, unique=True)
        conversation = ForeignKeyField(Conversation, on_delete="CASCADE")
        bot = ForeignKeyField(User, on_delete="CASCADE")
        label = TextField()
        created_by = BigIntegerField()
        created_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "incoming_hooks"

    db.create_tables([Webhook, IncomingHook])
