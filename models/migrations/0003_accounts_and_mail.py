"""Signing up by mail: attempts, codes, the outbox, what mail a person wants; and one list of all work that was given up on."""

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
    Database,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)
from playhouse.migrate import SchemaMigrator

from models.store.database import NeverReusedIdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class EventRow(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "events"

    class User(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "users"

    class Code(Model):
        account = BigIntegerField()
        purpose = CharField(max_length=8)
        mac = CharField(max_length=64)
        tries = IntegerField()
        expires_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "codes"
            primary_key = CompositeKey("account", "purpose")

    class Email(Model):
        id = NeverReusedIdField()
        kind = CharField(max_length=16)
        receiver = BigIntegerField(null=True)
        address = CharField(max_length=255)
        name = CharField(max_length=80)
        data = TextField()
        message_id = CharField(max_length=255)
        priority = IntegerField()
        state = CharField(max_length=8)
        attempts = IntegerField()
        next_ms = BigIntegerField()
        holder = CharField(max_length=32, null=True)
        expires_ms = BigIntegerField(null=True)
        created_ms = BigIntegerField()
        tried_from_ms = BigIntegerField()
        ended_ms = BigIntegerField(null=True)
        error = TextField(null=True)

        class Meta:
            database = db
            table_name = "emails"

    class Preference(Model):
        user = ForeignKeyField(User, index=False, on_delete="CASCADE")
        type = CharField(max_length=16)
        in_app = BooleanField()
        email = CharField(max_length=8)

        class Meta:
            database = db
            table_name = "preferences"
            primary_key = CompositeKey("user", "type")

    class DeadWork(Model):
        id = NeverReusedIdField()
        consumer = CharField(max_length=32)
        event = ForeignKeyField(EventRow, index=False, null=True)
        email = ForeignKeyField(Email, index=False, null=True)
        error = TextField()
        parked_ms = BigIntegerField()
        retry = BooleanField(default=False)

        class Meta:
            database = db
            table_name = "dead_work"
            indexes = ((("consumer", "event"), True), (("email",), True))

    def run(statement: str) -> None:
        db.execute_sql(statement)

    db.create_tables([Code, Email, Preference, DeadWork])
    run(
        "INSERT INTO dead_work (consumer, event_id, error, parked_ms, retry) "
        "SELECT consumer, event_id, error, parked_ms, retry FROM dead_events ORDER BY id"
    )
    run("DROP TABLE dead_events")
    run("DROP INDEX user_email_key")
    run("CREATE UNIQUE INDEX user_email_owned ON users (email_key) WHERE status<>'pending'")
    run("CREATE INDEX user_email_pending ON users (email_key) WHERE status='pending'")
    run("CREATE INDEX user_pending ON users (created_ms) WHERE status='pending'")
    run("CREATE INDEX email_due ON emails (priority, next_ms) WHERE state='queued'")
    run("CREATE INDEX email_ended ON emails (ended_ms) WHERE state<>'queued'")
