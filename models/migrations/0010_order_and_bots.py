"""Conversations are listed in the order of the log, not of a clock, and accounts may be those of bots.

A conversation of before that has no message is listed last. Gateways of the version before go on writing rows without the columns.
"""

from peewee import BigIntegerField, BooleanField, Database
from playhouse.migrate import SchemaMigrator, migrate


def up(migrator: SchemaMigrator, db: Database) -> None:
    migrate(
        migrator.add_column("conversations", "after_message", BigIntegerField(null=True)),
        migrator.add_column("users", "bot", BooleanField(null=True)),
    )
