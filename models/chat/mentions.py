"""Mentions: who is named in a message by `@username`, or by `@all`."""

from __future__ import annotations

import peewee

from models.store.database import Base

ALL = 0  # the user of a mention of all members


class Mention(Base):
    """A user, or ALL, who is mentioned in a message. One of a message that was deleted stays and counts no more."""

    conversation = peewee.BigIntegerField()
    user = peewee.BigIntegerField(column_name="user_id")
    message = peewee.BigIntegerField()
    event = peewee.BigIntegerField(null=True)  # of the edit that added it; NULL for one that the message was sent with

    class Meta:
        table_name = "mentions"
        primary_key = peewee.CompositeKey("conversation", "user", "message")


Mention.add_index(Mention.index(Mention.message, name="mention_message"))
