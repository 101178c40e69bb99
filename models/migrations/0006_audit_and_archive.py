"""What admins did, records in the order of time, how many there were each hour, and what of them is in files."""

from peewee import BigIntegerField, CharField, CompositeKey, Database, ForeignKeyField, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator

from models.store.database import NeverReusedIdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class User(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "users"

    class Audit(Model):
        id = NeverReusedIdField()
        user = ForeignKeyField(User, null=True, index=False)
        action = CharField(max_length=120)
        description = TextField()
        metadata = TextField()
        triggered_by = BigIntegerField(null=True)
        site = CharField(max_length=64, null=True)
        at_ms = BigIntegerField()
        outcome = CharField(max_length=8)
        address = CharField(max_length=45)
        request_id = CharField(max_length=64)

        class Meta:
            database = db
            table_name = "audits"
            indexes = ((("at_ms", "id"), False), (("user", "at_ms", "id"), False), (("action", "at_ms", "id"), False))

    class ActivityHour(Model):
        hour_ms = BigIntegerField()
        action = CharField(max_length=64)
        site = CharField(max_length=64)
        count = IntegerField()

        class Meta:
            database = db
            table_name = "activity_hourly"
            primary_key = CompositeKey("hour_ms", "action", "site")

    class ArchiveFile(Model):
        place = CharField(max_length=16)
        name = CharField(max_length=40)
        size_bytes = BigIntegerField()

        class Meta:
            database = db
            table_name = "archive_files"
            primary_key = CompositeKey("place", "name")

    def run(statement: str) -> None:
        db.execute_sql(statement)

    db.create_tables([Audit, ActivityHour, ArchiveFile])
    run("CREATE INDEX audit_site ON audits (site, at_ms, id) WHERE site IS NOT NULL")
    run("DROP INDEX activity_user_id_id")
    run("DROP INDEX activity_action_id")
    run("CREATE INDEX activity_at_ms_id ON activities (at_ms, id)")
    run("CREATE INDEX activity_user_id_at_ms_id ON activities (user_id, at_ms, id)")
    run("CREATE INDEX activity_action_at_ms_id ON activities (action, at_ms, id)")
    run("CREATE INDEX activity_site ON activities (site, at_ms, id) WHERE site IS NOT NULL")
    run("CREATE INDEX messagecopy_event ON message_copies (event)")
    run("CREATE INDEX postcopy_event ON post_copies (event)")
    run("CREATE INDEX notification_read ON notifications (read_ms) WHERE read_ms IS NOT NULL")
