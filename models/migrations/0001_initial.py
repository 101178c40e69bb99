"""The first schema. Frozen: later changes are migrations of their own, never edits of this one."""

from peewee import (
    SQL,
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
from playhouse.migrate import SchemaMigrator

from models.chat.search import INDEX_DDL
from models.store.database import NeverReusedIdField, engine
from models.store.facts import EPOCH, TRIMMED, new_epoch


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Fact(Model):
        name = CharField(primary_key=True, max_length=32)
        value = TextField()

        class Meta:
            database = db
            table_name = "facts"

    class User(Model):
        id = NeverReusedIdField()
        username = CharField(max_length=32)
        username_key = CharField(unique=True, max_length=32)
        email = CharField()
        email_key = CharField(unique=True)
        display_name = CharField(max_length=80)
        display_key = CharField(index=True, max_length=80)
        role = CharField(index=True, max_length=8)
        status = CharField(max_length=10)
        password_hash = TextField(null=True)
        site = CharField(null=True, max_length=64)
        watches = TextField(default="{}")
        created_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "users"

    class Profile(Model):
        user = ForeignKeyField(User, primary_key=True, on_delete="CASCADE")
        timezone = CharField(max_length=64, default="UTC")
        locale = CharField(max_length=35, default="en")

        class Meta:
            database = db
            table_name = "profiles"

    class Wallet(Model):
        user = ForeignKeyField(User, primary_key=True, on_delete="CASCADE")
        currency = CharField(max_length=3, default="USD")
        balance_minor = BigIntegerField(default=0)

        class Meta:
            database = db
            table_name = "wallets"

    class Token(Model):
        id = NeverReusedIdField()
        user = ForeignKeyField(User, on_delete="CASCADE")
        hash = CharField(unique=True, max_length=64)
        label = CharField(max_length=64)
        address = CharField(max_length=45)
        created_ms = BigIntegerField()
        used_ms = BigIntegerField(null=True)
        poll_acked = BigIntegerField()
        poll_written = BigIntegerField()

        class Meta:
            database = db
            table_name = "tokens"

    class Conversation(Model):
        id = NeverReusedIdField()
        kind = CharField(max_length=6)
        title = CharField(null=True, max_length=120)
        pair = CharField(unique=True, null=True, max_length=41)
        members_count = IntegerField()
        created_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "conversations"

    class Membership(Model):
        id = BigAutoField()
        conversation = ForeignKeyField(Conversation, index=False)
        user = ForeignKeyField(User, index=False)
        role = CharField(max_length=6)
        from_event = BigIntegerField()
        to_event = BigIntegerField(null=True)
        read_message = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "memberships"
            indexes = ((("user", "conversation"), False), (("conversation", "id"), False))

    class Message(Model):
        id = NeverReusedIdField()
        conversation = ForeignKeyField(Conversation, index=False)
        sender = ForeignKeyField(User, index=False)
        body = TextField()
        priority = CharField(max_length=9)
        reply_to = BigIntegerField(null=True)
        client_id = CharField(null=True, max_length=64)
        created_ms = BigIntegerField()
        edited_ms = BigIntegerField(null=True)
        deleted_ms = BigIntegerField(null=True)
        event = BigIntegerField()

        class Meta:
            database = db
            table_name = "messages"
            indexes = ((("sender", "client_id"), True), (("conversation", "id", "sender", "deleted_ms"), False))

    class MessageCopy(Model):
        message = ForeignKeyField(Message, index=False)
        event = BigIntegerField()

        class Meta:
            database = db
            table_name = "message_copies"
            primary_key = CompositeKey("message", "event")

    class Reaction(Model):
        message = ForeignKeyField(Message, index=False)
        user = ForeignKeyField(User, index=False)
        emoji = CharField(max_length=32)

        class Meta:
            database = db
            table_name = "reactions"
            primary_key = CompositeKey("message", "emoji", "user")

    class EventRow(Model):
        id = NeverReusedIdField()
        stream = CharField(max_length=40)
        type = CharField(max_length=40)
        at_ms = BigIntegerField()
        data = TextField()

        class Meta:
            database = db
            table_name = "events"
            indexes = ((("stream", "id"), False),)

    class Checkpoint(Model):
        consumer = CharField(primary_key=True, max_length=32)
        position = BigIntegerField()
        moved_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "checkpoints"

    class DeadEvent(Model):
        id = NeverReusedIdField()
        consumer = CharField(max_length=32)
        event = ForeignKeyField(EventRow, index=False)
        error = TextField()
        parked_ms = BigIntegerField()
        retry = BooleanField(default=False)

        class Meta:
            database = db
            table_name = "dead_events"
            indexes = ((("consumer", "event"), True),)

    class Activity(Model):
        id = BigAutoField()
        user = ForeignKeyField(User, null=True, index=False)
        action = CharField(max_length=64)
        description = TextField()
        metadata = TextField()
        triggered_by = BigIntegerField(null=True)
        site = CharField(null=True, max_length=64)
        at_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "activities"
            indexes = ((("user", "id"), False), (("action", "id"), False))

    class Notification(Model):
        id = NeverReusedIdField()
        user = ForeignKeyField(User, index=False)
        type = CharField(max_length=16)
        title = CharField(max_length=200)
        body = TextField()
        data = TextField()
        count = IntegerField()
        grouping = CharField(max_length=64)
        created_ms = BigIntegerField()
        updated_ms = BigIntegerField()
        read_ms = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "notifications"
            indexes = ((("user", "id"), False),)

    class NotificationCause(Model):
        user = ForeignKeyField(User, index=False)
        cause = CharField(max_length=64)
        notification = BigIntegerField()

        class Meta:
            database = db
            table_name = "notification_causes"
            primary_key = CompositeKey("user", "cause")

    class Lease(Model):
        gateway = CharField(primary_key=True, max_length=32)
        until_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "leases"

    class Online(Model):
        user = ForeignKeyField(User, index=False)
        gateway = CharField(max_length=32)

        class Meta:
            database = db
            table_name = "online"
            primary_key = CompositeKey("user", "gateway")

    open_interval = SQL("to_event IS NULL")
    Membership.add_index(
        Membership.index(Membership.conversation, Membership.user, unique=True, where=open_interval, name="membership_open")
    )
    unread = SQL("read_ms IS NULL")
    Notification.add_index(
        Notification.index(Notification.user, Notification.grouping, unique=True, where=unread, name="notification_unread")
    )
    db.create_tables(
        [
            Fact,
            User,
            Profile,
            Wallet,
            Token,
            Conversation,
            Membership,
            Message,
            MessageCopy,
            Reaction,
            EventRow,
            Checkpoint,
            DeadEvent,
            Activity,
            Notification,
            NotificationCause,
            Lease,
            Online,
        ]
    )
    for statement in INDEX_DDL[engine().name]:
        db.execute_sql(statement)
    Fact.create(name=EPOCH, value=new_epoch())
    Fact.create(name=TRIMMED, value="0")
