"""Push: the subscriptions of browsers, what is to be pushed to them, and the key that identifies this installation (RFC 8292)."""

from peewee import SQL, BigIntegerField, BooleanField, CharField, Database, ForeignKeyField, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator

from models.notices.push_key import make
from models.store.database import NeverReusedIdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class User(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "users"

    class Token(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "tokens"

    class PushSubscription(Model):
        id = NeverReusedIdField()
        user = ForeignKeyField(User, on_delete="CASCADE")
        token = ForeignKeyField(Token, null=True, on_delete="CASCADE")
        host_token = BigIntegerField(null=True, index=True)
        hash = CharField(max_length=64, unique=True)
        endpoint = TextField()
        host = CharField(max_length=264)
        p256dh = CharField(max_length=88)
        auth = CharField(max_length=24)
        label = CharField(max_length=64)
        failures = IntegerField()
        created_ms = BigIntegerField()
        updated_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "push_subscriptions"

    class Push(Model):
        id = NeverReusedIdField()
        subscription = ForeignKeyField(PushSubscription, index=False, on_delete="CASCADE")
        tag = CharField(max_length=32)
        notification = BigIntegerField(index=True)
        urgent = BooleanField()
        recall = BooleanField()
        requests = IntegerField()
        state = CharField(max_length=8)
        attempts = IntegerField()
        next_ms = BigIntegerField()
        holder = CharField(max_length=32, null=True)
        tried_from_ms = BigIntegerField()
        sent_ms = BigIntegerField(null=True)
        message = BigIntegerField(null=True, index=True)
        ended_ms = BigIntegerField(null=True)
        error = TextField(null=True)

        class Meta:
            database = db
            table_name = "pushes"
            indexes = ((("subscription", "tag"), True),)

    Push.add_index(Push.index(Push.next_ms, where=SQL("state='queued'"), name="push_due"))
    Push.add_index(Push.index(Push.ended_ms, where=SQL("state<>'queued'"), name="push_ended"))
    db.create_tables([PushSubscription, Push])
    make()
