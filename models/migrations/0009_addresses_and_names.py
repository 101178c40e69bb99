"""An address's key is exact: only the case of ASCII letters is disregarded, and the domain is written in ASCII. People are found by
each word of their names, without regard to case and accents.

A few accounts a transaction, so that gateways of the version before write meanwhile. Interrupted anywhere, it begins again.
"""

from peewee import CompositeKey, Database, ForeignKeyField, Model
from playhouse.migrate import SchemaMigrator

from models.accounts import derived_keys
from models.log import event
from models.store.database import BytewiseCharField, NeverReusedIdField

atomic = False


def up(migrator: SchemaMigrator, db: Database) -> None:
    class User(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "users"

    class SearchName(Model):
        user = ForeignKeyField(User, index=False, on_delete="CASCADE")
        name = BytewiseCharField(max_length=80)

        class Meta:
            database = db
            table_name = "search_names"
            primary_key = CompositeKey("user", "name")

    db.create_tables([SearchName])
    db.execute_sql("CREATE INDEX IF NOT EXISTS search_name ON search_names (name, user_id)")
    after = -1
    while after:
        with event.transaction(appends=False) as tx:
            after = derived_keys.correct(tx, max(after, 0))
