"""Reports of messages and posts, with the evidence."""

from peewee import SQL, BigAutoField, BigIntegerField, CharField, Database, ForeignKeyField, Model, TextField
from playhouse.migrate import SchemaMigrator

from models.store.database import NeverReusedIdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class User(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "users"

    class Report(Model):
        id = BigAutoField()
        reporter = ForeignKeyField(User, index=False)
        kind = CharField(max_length=7)
        subject = BigIntegerField()
        author = ForeignKeyField(User)
        reason = TextField()
        evidence = TextField()
        created_ms = BigIntegerField()
        closed_ms = BigIntegerField(null=True, index=True)
        closed_by = BigIntegerField(null=True)
        action = CharField(max_length=7, null=True)
        note = TextField(null=True)

        class Meta:
            database = db
            table_name = "reports"
            indexes = ((("reporter", "kind", "subject"), True), (("kind", "subject"), False))

    Report.add_index(Report.index(Report.id, where=SQL("closed_ms IS NULL"), name="report_open"))
    db.create_tables([Report])
