"""The host's notification types, its notifications and their topics. Types of notifications may be longer, and notifications link.

Gateways of the version before go on writing rows without the column. A wider text is no new table: PostgreSQL changes its catalogue
only, and SQLite bounds no text.
"""

from peewee import (
    SQL,
    BigAutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    Database,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)
from playhouse.migrate import SchemaMigrator, migrate

from models.store.database import NeverReusedIdField, engine


def up(migrator: SchemaMigrator, db: Database) -> None:
    class User(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "users"

    class HostType(Model):
        name = CharField(max_length=60, primary_key=True)
        words = TextField()
        group_by = TextField(null=True)
        in_app = BooleanField()
        email = CharField(max_length=8)
        push = BooleanField(null=True)
        urgent = BooleanField()
        url = TextField(null=True)
        created_ms = BigIntegerField()
        updated_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "notification_types"

    class HostNotice(Model):
        id = NeverReusedIdField()
        event = BigIntegerField(unique=True)
        type = CharField(max_length=60)
        audience = CharField(max_length=12)
        receivers = TextField()
        actor = BigIntegerField(null=True)
        data = TextField()
        url = TextField(null=True)
        due_ms = BigIntegerField(null=True)
        unless_read = BooleanField()
        done = IntegerField()
        position = BigIntegerField()
        created_ms = BigIntegerField()
        ended_ms = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "host_notices"

    class HostNoticeKey(Model):
        key = CharField(max_length=200, primary_key=True)
        event = BigIntegerField()

        class Meta:
            database = db
            table_name = "host_notice_keys"

    class TopicMember(Model):
        id = BigAutoField()
        topic = CharField(max_length=128)
        user = ForeignKeyField(User, index=False, on_delete="CASCADE")
        from_event = BigIntegerField()
        to_event = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "topic_members"
            indexes = ((("topic", "user"), False), (("user", "topic"), False))

    unfinished, ended = SQL("ended_ms IS NULL"), SQL("ended_ms IS NOT NULL")
    waiting = SQL("due_ms IS NOT NULL AND ended_ms IS NULL")
    HostNotice.add_index(HostNotice.index(HostNotice.event, where=unfinished, name="host_notice_unfinished"))
    HostNotice.add_index(HostNotice.index(HostNotice.due_ms, where=waiting, name="host_notice_due"))
    HostNotice.add_index(HostNotice.index(HostNotice.ended_ms, where=ended, name="host_notice_ended"))
    is_open, is_closed = SQL("to_event IS NULL"), SQL("to_event IS NOT NULL")
    TopicMember.add_index(
        TopicMember.index(TopicMember.topic, TopicMember.user, unique=True, where=is_open, name="topic_member_open")
    )
    TopicMember.add_index(TopicMember.index(TopicMember.to_event, where=is_closed, name="topic_member_closed"))
    migrate(migrator.add_column("notifications", "url", TextField(null=True)))
    if engine().name == "postgresql":
        for table in ("notifications", "preferences"):
            db.execute_sql(f"ALTER TABLE {table} ALTER COLUMN type TYPE varchar(60)")
    db.create_tables([HostType, HostNotice, HostNoticeKey, TopicMember])
