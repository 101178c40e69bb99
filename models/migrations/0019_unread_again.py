"""A member may mark messages as unread again, which others are not shown.

Gateways of the version before go on writing rows without the column.
"""

from peewee import BigIntegerField, Database
from playhouse.migrate import SchemaMigrator, migrate


def up(migrator: SchemaMigrator, db: Database) -> None:
    migrate(migrator.add_column("memberships", "unread_after", BigIntegerField(null=True)))
