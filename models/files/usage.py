"""How much each account has uploaded on a day, which the setting `files_per_day_mb` bounds."""

from __future__ import annotations

import peewee

from models.identity.user import User
from models.store.database import Base

DAY_MS = 24 * 3600 * 1000


class FileUsage(Base):
    """The bytes that a user has uploaded on a day, those that are being uploaded included. `day` is that of Unix time, in UTC."""

    user = peewee.ForeignKeyField(User, index=False)
    day = peewee.IntegerField()
    bytes = peewee.BigIntegerField()

    class Meta:
        table_name = "file_usage"
        primary_key = peewee.CompositeKey("user", "day")
