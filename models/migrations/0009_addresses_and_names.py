"""An address's key is exact: only the case of ASCII letters is disregarded, and the domain is written in ASCII.

A few accounts a transaction, so that gateways of the version before write meanwhile. Interrupted anywhere, it begins again.
"""

from peewee import Database
from playhouse.migrate import SchemaMigrator

from models.accounts import derived_keys
from models.log import event

atomic = False


def up(migrator: SchemaMigrator, db: Database) -> None:
    after = -1
    while after:
        with event.transaction(appends=False) as tx:
            after = derived_keys.correct(tx, max(after, 0))
