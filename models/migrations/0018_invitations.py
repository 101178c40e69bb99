"""Invitations, and the accounts that were made by them."""

from peewee import BigIntegerField, CharField, Database, ForeignKeyField, IntegerField, Model
from playhouse.migrate import SchemaMigrator

from models.store.database import NeverReusedIdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class User(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "users"

    class Group(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "community_groups"

    class Invitation(Model):
        id = NeverReusedIdField()
        code_hash = CharField(max_length=64, unique=True)
        uses = IntegerField()
        group = ForeignKeyField(Group, null=True, on_delete="SET NULL")
        role = CharField(max_length=8)
        created_by = ForeignKeyField(User, on_delete="CASCADE")
        created_ms = BigIntegerField()
        expires_ms = BigIntegerField(index=True)

        class Meta:
            database = db
            table_name = "invitations"

    class InvitationUse(Model):
        user = ForeignKeyField(User, primary_key=True, on_delete="CASCADE")
        invitation = ForeignKeyField(Invitation, on_delete="CASCADE")

        class Meta:
            database = db
            table_name = "invitation_uses"

    db.create_tables([Invitation, InvitationUse])
