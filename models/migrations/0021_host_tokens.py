"""The host's tokens: when one was issued, and the moment up to which a user's were revoked; those that ended before their time,
and the moment up to which those of an external id did whose account was deleted.

Gateways of the version before find rows of such tokens as any others, and end them without a row here.
"""

from peewee import BigIntegerField, CharField, Database, Model
from playhouse.migrate import SchemaMigrator, migrate


def up(migrator: SchemaMigrator, db: Database) -> None:
    class EndedHostToken(Model):
        hash = CharField(max_length=64, primary_key=True)
        expires_ms = BigIntegerField(index=True)
        issued_ms = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "ended_host_tokens"

    migrate(
        migrator.add_column("tokens", "issued_ms", BigIntegerField(null=True)),
        migrator.add_column("users", "tokens_after_ms", BigIntegerField(null=True)),
        migrator.add_column("users", "profile_issued_ms", BigIntegerField(null=True)),
    )
    db.create_tables([EndedHostToken])
