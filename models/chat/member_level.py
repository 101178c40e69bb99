"""A member's level of a conversation, which is of the membership: a member who comes back has the default again."""

from __future__ import annotations

import msgspec

from models.log.event import Transaction, user_stream
from models.notices import withdrawals
from models.notices.levels import Level, effective_level
from models.store.clock import rfc3339_or_none
from models.store.database import execute, rows
from models.store.errors import InvalidError, NotFoundError

END_OF_TIMES_MS = 253_370_764_800_000  # the year 9999: in another zone, times of that year cannot be written


class MemberLevel(msgspec.Struct):
    """The level that a member has now, and the time when it ends, if it does: then they have the default."""

    level: Level
    until: str | None


def set_level(tx: Transaction, user: int, conversation: int, level: str | None, until_ms: int | None) -> MemberLevel:
    """Set the level of the user's membership, for good or until a time; None is the default of the conversation's size.

    Their devices receive `level.updated`, unless nothing changes. An unread notification counts by the level from now on. Raises
    NotFoundError for a user who is not a member, and InvalidError.
    """
    if until_ms is not None and level is None:
        raise InvalidError(("until", "must not be given without a level"))
    if until_ms is not None and not tx.now_ms < until_ms < END_OF_TIMES_MS:
        raise InvalidError(("until", "must be in the future, and before the year 9999"))
    # Raw: the log's lock is acquired.
    found = rows(
        "SELECT m.level, m.level_until_ms, c.members_count FROM memberships m JOIN conversations c ON c.id=m.conversation_id "
        "WHERE m.conversation_id=? AND m.user_id=? AND m.to_event IS NULL",
        (conversation, user),
    )
    if not found:
        raise NotFoundError
    *before, members_count = found[0]
    now = MemberLevel(effective_level(level, None, tx.now_ms, members_count), rfc3339_or_none(until_ms))
    if before != [level, until_ms]:
        execute(
            "UPDATE memberships SET level=?, level_until_ms=? WHERE conversation_id=? AND user_id=? AND to_event IS NULL",
            (level, until_ms, conversation, user),
        )
        data = {"conversation": conversation, "level": now.level, "until": now.until}
        tx.append(user_stream(user), "level.updated", msgspec.json.encode(data))
        withdrawals.apply_level(tx, user, conversation, now.level)
    return now
