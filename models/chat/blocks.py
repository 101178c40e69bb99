"""Blocks: whom a user keeps away. A block is an interval of the log, as a membership is."""

from __future__ import annotations

import peewee

from models.identity.user import User
from models.store.database import Base


class Block(Base):
    """An interval: `user` blocks `blocked`, for events with from_event <= id < to_event."""

    id = peewee.BigAutoField()
    user = peewee.ForeignKeyField(User, index=False, on_delete="CASCADE")
    blocked = peewee.ForeignKeyField(User, index=False, on_delete="CASCADE")
    from_event = peewee.BigIntegerField()
    to_event = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "blocks"
        indexes = ((("user", "blocked"), False), (("blocked", "user"), False))


Block.add_index(  # at most one open interval for each pair
    Block.index(Block.user, Block.blocked, unique=True, where=peewee.SQL("to_event IS NULL"), name="block_open")
)
