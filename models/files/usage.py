"""How much each account has uploaded on a day, which the setting `files_per_day_mb` bounds."""

from __future__ import annotations

import peewee

from models.identity.user import User
from models.log.event import Transaction
from models.store.database import Base, affected_rows

DAY_MS = 24 * 3600 * 1000


class FileUsage(Base):
    """The bytes that a user has uploaded on a day, those that are being uploaded included. `day` is that of Unix time, in UTC."""

    user = peewee.ForeignKeyField(User, index=False)
    day = peewee.IntegerField()
    bytes = peewee.BigIntegerField()

    class Meta:
        table_name = "file_usage"
        primary_key = peewee.CompositeKey("user", "day")


def trim(tx: Transaction, limit: int) -> int:
    """Delete at most `limit` rows of days before yesterday, whose uploads are all done; returns how many."""
    oldest = "SELECT user_id, day FROM file_usage WHERE day<? LIMIT ?"
    return affected_rows(f"DELETE FROM file_usage WHERE (user_id, day) IN ({oldest})", (tx.now_ms // DAY_MS - 1, limit))
