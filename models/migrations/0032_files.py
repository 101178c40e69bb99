"""Files: what was uploaded, the objects that contain their bytes, and how much each account has uploaded on a day.

Gateways of the version before go on writing messages and posts without files, and never answer with those of others.
"""

from peewee import (
    SQL,
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
    Database,
    ForeignKeyField,
    IntegerField,
    Model,
    SmallIntegerField,
)
from playhouse.migrate import SchemaMigrator, migrate

from models.store.database import NeverReusedIdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class User(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "users"

    class Blob(Model):
        id = NeverReusedIdField()
        key = CharField(max_length=32, unique=True)
        bytes = BigIntegerField()
        sha256 = CharField(max_length=64, null=True)
        state = CharField(max_length=8)
        owner = BigIntegerField(null=True)
        since_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "blobs"

    class File(Model):
        id = NeverReusedIdField()
        owner = ForeignKeyField(User, index=False, column_name="owner_id")
        name = CharField(max_length=255)
        type = CharField(max_length=100)
        bytes = BigIntegerField()
        width = IntegerField(null=True)
        height = IntegerField(null=True)
        state = CharField(max_length=8)
        content = ForeignKeyField(Blob, unique=True, column_name="content_id")
        thumbnail = ForeignKeyField(Blob, null=True, unique=True, column_name="thumbnail_id")
        private = BooleanField()
        message = BigIntegerField(null=True)
        post = BigIntegerField(null=True)
        position = SmallIntegerField()
        attempts = SmallIntegerField()
        next_ms = BigIntegerField(null=True)
        holder = CharField(max_length=32, null=True)
        created_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "files"
            indexes = ((("owner", "id"), False),)

    class FileUsage(Model):
        user = ForeignKeyField(User, index=False, column_name="user_id")
        day = IntegerField()
        bytes = BigIntegerField()

        class Meta:
            database = db
            table_name = "file_usage"
            primary_key = CompositeKey("user", "day")

    Blob.add_index(Blob.index(Blob.since_ms, where=SQL("state<>'stored'"), name="blob_open"))
    Blob.add_index(Blob.index(Blob.bytes, where=SQL("state='stored'"), name="blob_stored"))
    File.add_index(File.index(File.message, where=SQL("message IS NOT NULL"), name="file_message"))
    File.add_index(File.index(File.post, where=SQL("post IS NOT NULL"), name="file_post"))
    File.add_index(File.index(File.created_ms, where=SQL("message IS NULL AND post IS NULL"), name="file_unclaimed"))
    File.add_index(File.index(File.owner, where=SQL("message IS NULL AND post IS NULL"), name="file_unclaimed_of_owner"))
    File.add_index(File.index(File.next_ms, where=SQL("next_ms IS NOT NULL"), name="file_due"))
    File.add_index(File.index(File.owner, File.next_ms, where=SQL("next_ms IS NOT NULL"), name="file_owner_due"))
    db.create_tables([Blob, File, FileUsage])
    migrate(
        migrator.add_column("messages", "files", SmallIntegerField(null=True)),
        migrator.add_column("posts", "files", SmallIntegerField(null=True)),
    )
