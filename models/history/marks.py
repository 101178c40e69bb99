"""Read marks of imported messages, which are never unread (`models.notices.audience.UNREAD_SQL`).

A member who has read a message, as the import says, gets the mark that others see. The others get one of their own, and nobody is
shown that they have read it. In a small conversation this is a part of the import's transaction; of a large one a row is written,
and transactions of a few members each follow. If they don't, the next import does them.

A mark stays before what is unread: messages that were written here, or that the member has marked so.
"""

from __future__ import annotations

import msgspec
import peewee

from models.chat.conversation import Conversation, Membership
from models.log.event import Transaction
from models.notices.audience import UNREAD_SQL
from models.store.database import Base, chunks, execute, fetch_column, fetch_rows, values_cte

MAX_MEMBERS_AT_ONCE = 200
MAX_ROWS_PER_STATEMENT = 200
HAS_READ = (  # what is before a message
    f"NOT EXISTS (SELECT 1 FROM messages y WHERE y.conversation_id=m.conversation_id AND y.id<? AND {UNREAD_SQL})"
)


class ImportMark(Base):
    """A conversation whose members' marks are to be moved, after the membership `done`: what others see to `read_message`, and
    their own to `newest_message`, if they have read what is before `first_message`."""

    conversation = peewee.ForeignKeyField(Conversation, primary_key=True)
    read_message = peewee.BigIntegerField()
    first_message = peewee.BigIntegerField()
    newest_message = peewee.BigIntegerField()
    done = peewee.BigIntegerField()

    class Meta:
        table_name = "import_marks"


class Marks(msgspec.Struct):
    """The marks of a conversation: of all members (`read`, 0 for none), of single ones by id, and the newest and first message."""

    read: int = 0
    newest: int = 0
    users: dict[int, int] = {}
    first: int = 0


def move(conversation: int, marks: Marks) -> None:
    """Move the marks of all members of a small conversation, inside a transaction."""
    _move_users(conversation, marks)
    _move(conversation, marks, "", ())


def move_later(conversation: int, marks: Marks) -> None:
    """Move the marks of single members of a large conversation, and note those of all, inside a transaction. Noted ones are not
    moved past messages that were written here since."""
    _move_users(conversation, marks)
    # Raw: the greater value of two has another name on each store.
    execute(
        "INSERT INTO import_marks (conversation_id, read_message, first_message, newest_message, done) VALUES (?,?,?,?,0) "
        "ON CONFLICT (conversation_id) DO UPDATE SET newest_message=excluded.newest_message, done=0, read_message="
        "CASE WHEN excluded.read_message>0 THEN excluded.read_message ELSE import_marks.read_message END "
        "WHERE NOT EXISTS (SELECT 1 FROM messages y WHERE y.conversation_id=import_marks.conversation_id AND y.event<>0 "
        "AND y.id>import_marks.newest_message AND y.id<excluded.first_message)",
        (conversation, marks.read, marks.first, marks.newest),
    )


def move_next(tx: Transaction) -> bool:
    """Move the marks of some members of the large conversations that are noted; returns whether others are left."""
    marks = (ImportMark.read_message, ImportMark.first_message, ImportMark.newest_message)
    columns = (ImportMark.conversation, *marks, ImportMark.done)
    for conversation, read, first, newest, done in fetch_rows(
        ImportMark.select(*columns).order_by(ImportMark.conversation).limit(1)
    ):
        is_next = (Membership.conversation == conversation) & (Membership.id > done)
        ids = fetch_column(Membership.select(Membership.id).where(is_next).order_by(Membership.id).limit(MAX_MEMBERS_AT_ONCE))
        row = ImportMark.conversation == conversation
        if ids:
            _move(conversation, Marks(read, newest, first=first), " AND id>? AND id<=?", (done, ids[-1]))
            ImportMark.update(done=ids[-1]).where(row).execute()
        else:
            ImportMark.delete().where(row).execute()
        return True
    return False


def _move_users(conversation: int, marks: Marks) -> None:
    """Move the marks that others see. Marks never go back."""
    for part in chunks(marks.users.items(), MAX_ROWS_PER_STATEMENT):
        # Raw: a join with values.
        execute(
            values_cte("member, message", len(part)) + "UPDATE memberships AS m SET read_message=input.message FROM input "
            "WHERE conversation_id=? AND user_id=input.member AND to_event IS NULL AND coalesce(read_message, 0)<input.message "
            f"AND {HAS_READ}",
            [*(value for user, message in part for value in (user, message)), conversation, marks.first],
        )


def _move(conversation: int, marks: Marks, within: str, within_ids: tuple[int, ...]) -> None:
    """Move the marks of some members: what others see to `read`, and their own to `newest`."""
    read, newest = marks.read, marks.newest
    bounds = (*within_ids, marks.first)
    # Raw: written for both stores; the present marks are compared in each statement.
    where = f"WHERE conversation_id=? AND to_event IS NULL{within} AND {HAS_READ}"
    if read:
        sql = f"UPDATE memberships AS m SET read_message=? {where} AND coalesce(read_message, 0)<?"
        execute(sql, (read, conversation, *bounds, read))
    sql = f"UPDATE memberships AS m SET unread_after=CASE WHEN coalesce(read_message, 0)<? THEN ? END {where}"
    execute(f"{sql} AND (unread_after<? OR coalesce(read_message, 0)<?)", (newest, newest, conversation, *bounds, newest, newest))
