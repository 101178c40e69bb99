"""External ids, by which a host calls its users, what else it keeps about them, and tokens that expire.

Gateways of the version before go on writing rows without these columns.
"""

from peewee import BigIntegerField, CharField, Database, TextField
from playhouse.migrate import SchemaMigrator, migrate


def up(migrator: SchemaMigrator, db: Database) -> None:
    migrate(
        migrator.add_column("users", "external_id", CharField(max_length=128, null=True, unique=True)),
        migrator.add_column("users", "metadata", TextField(null=True)),
        migrator.add_column("tokens", "expires_ms", BigIntegerField(null=True, index=True)),
    )
