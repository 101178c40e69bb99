"""Accounts that are deleted, and how far the work of each deletion is done."""

from peewee import BigIntegerField, CharField, Database, ForeignKeyField, Model, TextField
from playhouse.migrate import SchemaMigrator

from models.store.database import NeverReusedIdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class User(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "users"

    class Deletion(Model):
        id = NeverReusedIdField()
        user = ForeignKeyField(User)
        by_user = BigIntegerField(null=True)
        texts = CharField(max_length=5)
        names = TextField()
        step = CharField(max_length=63)
        position = TextField()
        counts = TextField()
        created_ms = BigIntegerField()
        ended_ms = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "deletions"

    db.create_tables([Deletion])
