"""Blocks: whom a user keeps away. A block is an interval of the log, as a membership is: the place in the log alone decides.

A blocked person neither opens a direct conversation with the blocker nor writes in it, causes the blocker no notification, and sees
no presence of theirs. Nothing announces a block to anybody but the blocker's own clients.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
import peewee

from models.identity import user as users
from models.identity.contacts import Bound
from models.identity.user import User, UserView
from models.log import joins
from models.log.event import Transaction, user_stream
from models.log.trimming import LISTED_SQL
from models.store import facts
from models.store.clock import rfc3339
from models.store.database import Base, chunks, execute, fetch_rows, number_rows, placeholders, rows
from models.store.errors import ConflictError, InvalidError

MAX_BLOCKS = 1_000  # open ones of a user
MAX_IDS_PER_QUERY = 500


class Block(Base):
    """An interval: `user` blocks `blocked`, for events with from_event <= id < to_event."""

    id = peewee.BigAutoField()
    user = peewee.ForeignKeyField(User, index=False, on_delete="CASCADE")
    blocked = peewee.ForeignKeyField(User, index=False, on_delete="CASCADE")
    from_event = peewee.BigIntegerField()
    to_event = peewee.BigIntegerField(null=True)
    since_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "blocks"
        indexes = ((("user", "blocked"), False), (("blocked", "user"), False))


Block.add_index(  # at most one open interval for each pair
    Block.index(Block.user, Block.blocked, unique=True, where=peewee.SQL("to_event IS NULL"), name="block_open")
)
Block.add_index(Block.index(Block.to_event, where=peewee.SQL("to_event IS NOT NULL"), name="block_closed"))

Intervals = dict[tuple[int, int], list[tuple[int, int | None]]]  # (blocker, blocked) -> from_event, to_event


class BlockView(msgspec.Struct):
    """A person whom the caller blocks."""

    user: UserView
    since: str


class BlockPosition(NamedTuple):
    """A position in the list of blocks."""

    block: int


def block(tx: Transaction, user: int, other: int, caller: Bound | None = None) -> bool:
    """Block another user; returns whether that is new. Raw SQL: it runs under the log's lock.

    Raises InvalidError, NotFoundError for a user whom the caller may not see, ConflictError and LimitedError.
    """
    _require_other(user, other)
    if blocks(user, other):
        return False
    users.seen_view(other, caller)
    ((count,),) = rows("SELECT count(*) FROM blocks WHERE user_id=? AND to_event IS NULL", (user,))
    if count >= MAX_BLOCKS:
        raise ConflictError(f"you block {MAX_BLOCKS:,} people already: unblock one of them first")
    joins.require_few(tx, "blocks", "blocked_id", other, user, "block a person")
    opened = tx.append(user_stream(user), "block.added", msgspec.json.encode({"user": other}))
    execute("INSERT INTO blocks (user_id, blocked_id, from_event, since_ms) VALUES (?,?,?,?)", (user, other, opened, tx.now_ms))
    return True


def unblock(tx: Transaction, user: int, other: int, caller: Bound | None = None) -> bool:
    """End a block; returns whether there was one. Raises InvalidError, and NotFoundError for a user whom the caller may not see."""
    _require_other(user, other)
    if not blocks(user, other):
        users.seen_view(other, caller)
        return False
    closed = tx.append(user_stream(user), "block.removed", msgspec.json.encode({"user": other}))
    execute("UPDATE blocks SET to_event=? WHERE user_id=? AND blocked_id=? AND to_event IS NULL", (closed, user, other))
    return True


def _require_other(user: int, other: int) -> None:
    if user == other:
        raise InvalidError(("user", "must be another user than yourself"))


def blocks(user: int, other: int) -> bool:
    """Return whether a user blocks another one now. Raw SQL: it runs under the log's lock."""
    return bool(rows("SELECT 1 FROM blocks WHERE user_id=? AND blocked_id=? AND to_event IS NULL", (user, other)))


def blockers_among(others: Collection[int], user: int) -> set[int]:
    """Return those of the others who block the user now."""
    found: set[int] = set()
    for part in chunks(sorted(others), MAX_IDS_PER_QUERY):
        # Raw: part of every initial state.
        sql = f"SELECT user_id FROM blocks WHERE blocked_id=? AND user_id IN ({placeholders(len(part))}) AND to_event IS NULL"
        found |= {blocker for (blocker,) in rows(sql, (user, *part))}
    return found


def blockers_of(senders: Collection[int], among: Collection[int], closed_after: int = 0) -> Intervals:
    """Return the intervals in which users `among` whom the senders may reach block these, without those that were closed at or
    before an event: each is for events with from_event <= id < to_event, and open without a to_event."""
    found: Intervals = {}
    for blocked in chunks(sorted(senders), MAX_IDS_PER_QUERY):
        for part in chunks(sorted(among), MAX_IDS_PER_QUERY):
            # Raw: every slice of a drain reads it.
            intervals = number_rows(
                "user_id, blocked_id, from_event, to_event",
                "SELECT user_id, blocked_id, from_event, to_event FROM blocks "
                f"WHERE blocked_id IN ({placeholders(len(blocked))}) AND user_id IN ({placeholders(len(part))}) "
                "AND (to_event IS NULL OR to_event>?) ORDER BY user_id, blocked_id, from_event",
                (*blocked, *part, closed_after),
            )
            for user, sender, opened, closed in intervals:
                found.setdefault((user, sender), []).append((opened, closed))
    return found


def is_blocked_at(
    intervals: Mapping[tuple[int, int], Sequence[tuple[int, int | None]]], user: int, sender: int, event: int
) -> bool:
    """Return whether a user blocks a sender at an event."""
    return any(opened <= event and (closed is None or event < closed) for opened, closed in intervals.get((user, sender), ()))


def blocked_by(user: int) -> list[int]:
    """Return the ids of the people whom a user blocks now. Raw SQL: part of every initial state."""
    return [other for (other,) in rows("SELECT blocked_id FROM blocks WHERE user_id=? AND to_event IS NULL", (user,))]


def page(user: int, before: BlockPosition | None, limit: int) -> list[tuple[BlockPosition, BlockView]]:
    """Return a page of the people whom a user blocks now, the latest first, each with its position."""
    query = Block.select(Block.id, Block.blocked, Block.since_ms).where(Block.user == user, Block.to_event.is_null())
    if before is not None:
        query = query.where(Block.id < before.block)
    found = fetch_rows(query.order_by(Block.id.desc()).limit(limit))
    views = users.views([blocked for _, blocked, _ in found])
    return [(BlockPosition(number), BlockView(views[blocked], rfc3339(since_ms))) for number, blocked, since_ms in found]


def trim(tx: Transaction, limit: int) -> int:
    """Delete intervals that were closed before every event that the log still has, and at most `limit`; returns how many."""
    ((first,),) = rows(f"SELECT min(event_id) FROM ({LISTED_SQL}) AS listed")
    end = facts.trimmed() + 1
    closed = Block.select(Block.id).where(Block.to_event <= (end if first is None else min(first, end))).limit(limit)
    return int(Block.delete().where(Block.id.in_(closed)).execute())
