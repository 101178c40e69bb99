"""Notifications that wait for a mail, digests, and announcements to many people."""

from peewee import (
    BigAutoField,
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
from playhouse.migrate import SchemaMigrator, migrate

from models.store.database import NeverReusedIdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class User(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "users"

    class Notification(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "notifications"

    class WaitingMail(Model):
        notification = ForeignKeyField(Notification, primary_key=True, on_delete="CASCADE")
        user = ForeignKeyField(User)
        since_ms = BigIntegerField()
        due_ms = BigIntegerField(index=True)
        alone = BooleanField()

        class Meta:
            database = db
            table_name = "waiting_mail"

    class Digest(Model):
        user = ForeignKeyField(User, index=False)
        period = CharField(max_length=32)
        at_ms = BigIntegerField(index=True)

        class Meta:
            database = db
            table_name = "digests"
            primary_key = CompositeKey("user", "period")

    class Visit(Model):
        id = BigAutoField()
        user = ForeignKeyField(User, index=False)
        came_ms = BigIntegerField(null=True)
        went_ms = BigIntegerField(index=True)

        class Meta:
            database = db
            table_name = "visits"
            indexes = ((("user", "went_ms"), False),)

    class Fanout(Model):
        id = NeverReusedIdField()
        by_user = BigIntegerField()
        role = CharField(max_length=8, null=True)
        user_ids = TextField(null=True)
        type = CharField(max_length=16)
        title = CharField(max_length=200)
        body = TextField()
        data = TextField()
        total = IntegerField(null=True)
        done = IntegerField()
        position = BigIntegerField()
        created_ms = BigIntegerField()
        ended_ms = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "fanouts"

    migrate(
        migrator.add_column("notifications", "by_user", BigIntegerField(null=True)),
        migrator.add_column("notifications", "mail_only", BooleanField(null=True)),
        migrator.add_column("online", "came_ms", BigIntegerField(null=True)),
    )
    db.execute_sql(
        "CREATE INDEX notification_by_user ON notifications (by_user, user_id, type, created_ms) WHERE by_user IS NOT NULL"
    )
    db.execute_sql("CREATE INDEX email_receiver ON emails (receiver, id) WHERE receiver IS NOT NULL")
    db.execute_sql("DELETE FROM checkpoints WHERE consumer='welcome'")  # notify does its work
    db.create_tables([WaitingMail, Digest, Fanout, Visit])
