"""Large conversations: their first members are added when they are created, the others by a drain, a few in each transaction.

The transaction that adds members also advances the number that is done, so each is added once despite crashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import peewee

from models.chat import conversation as conversations
from models.chat.conversation import MAX_ADDED_PER_TRANSACTION, MAX_MEMBERS_ADDED_LATER, Conversation
from models.identity import contacts
from models.identity.contacts import MEET, Bound
from models.log.checkpoint import CheckpointMovedError
from models.log.event import ADDITIONS, Transaction
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.database import Base, NeverReusedIdField, fetch_rows

REQUESTED = "members.requested"
NO_USERS = "[]"


class MemberAddition(Base):
    """Users (JSON, in order) who become members of a conversation. `done` of `total` are, or were members already; in the end the
    list is emptied."""

    id = NeverReusedIdField()
    conversation = peewee.ForeignKeyField(Conversation)
    user_ids = peewee.TextField()
    done = peewee.IntegerField()
    total = peewee.IntegerField()
    created_ms = peewee.BigIntegerField()
    ended_ms = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "member_additions"


class AdditionProgress(NamedTuple):
    """An addition that is not done yet: its conversation and users, and how many of them are members."""

    id: int
    conversation: int
    users: Sequence[int]
    done: int


def create_conversation(
    tx: Transaction, creator: int, members: Sequence[int], title: str | None, caller: Bound | None = None
) -> int:
    """Create a conversation of any size with other users, distinct and active; returns its id. Raises NotFoundError and
    ForbiddenError for members whom the caller may not reach: if there is a caller, all are checked, so they must be few."""
    contacts.require(caller, MEET, members)
    first, later = members[: MAX_ADDED_PER_TRANSACTION - 1], members[MAX_ADDED_PER_TRANSACTION - 1 :]
    conversation = conversations.create(tx, creator, first, title, added_later=len(later))
    if later:
        request(tx, conversation, later)
    return conversation


def request(tx: Transaction, conversation: int, users: Sequence[int]) -> None:
    """Store the users who are to be added, and append the event from which a drain adds them."""
    addition = tx.next_id("member_additions")
    MemberAddition.insert(
        id=addition,
        conversation=conversation,
        user_ids=msgspec.json.encode(users).decode(),
        done=0,
        total=len(users),
        created_ms=tx.now_ms,
    ).as_rowcount().execute()
    tx.append(ADDITIONS, REQUESTED, msgspec.json.encode({"addition": addition}))


def find_unfinished(number: int) -> AdditionProgress | None:
    """An addition, or None when all of its users are members."""
    columns = (MemberAddition.conversation, MemberAddition.user_ids, MemberAddition.done)
    unfinished = (MemberAddition.id == number) & MemberAddition.ended_ms.is_null()
    for conversation, users, done in fetch_rows(MemberAddition.select(*columns).where(unfinished)):
        return AdditionProgress(number, conversation, msgspec.json.decode(users, type=list[int]), done)
    return None


def add_next(tx: Transaction, progress: AdditionProgress) -> int:
    """Add the next MAX_ADDED_PER_TRANSACTION users; returns how many were no members yet.

    Raises CheckpointMovedError when another drain has added them.
    """
    users = progress.users[progress.done : progress.done + MAX_ADDED_PER_TRANSACTION]
    _advance(tx, progress, progress.done + len(users))
    members = conversations.members_among(progress.conversation, users)
    new = [user for user in users if user not in members]
    if members:  # an owner added them meanwhile, and they were counted twice
        conversations.change_members_count(progress.conversation, -len(members))
    if new:
        conversations.add_members(tx, progress.conversation, new, max_members=MAX_MEMBERS_ADDED_LATER)
        conversations.ensure_owner(progress.conversation)  # who created it may have left meanwhile
    return len(new)


def _advance(tx: Transaction, progress: AdditionProgress, done: int) -> None:
    changes: dict[str, Any] = {"done": done}
    if done == len(progress.users):
        changes |= {"ended_ms": tx.now_ms, "user_ids": NO_USERS}
    unmoved = (MemberAddition.done == progress.done) & MemberAddition.ended_ms.is_null()
    if MemberAddition.update(**changes).where(MemberAddition.id == progress.id, unmoved).execute() != 1:
        raise CheckpointMovedError


def list_newest(limit: int) -> list[Mapping[str, Any]]:
    """Additions with their progress, newest first."""
    columns = (MemberAddition.id, MemberAddition.conversation, MemberAddition.done, MemberAddition.total)
    times = (MemberAddition.created_ms, MemberAddition.ended_ms)
    newest = MemberAddition.select(*columns, *times).order_by(MemberAddition.id.desc()).limit(limit)
    return [
        {
            "job": number,
            "conversation": conversation,
            "state": "running" if ended_ms is None else "done",
            "done": done,
            "total": total,
            "created_at": rfc3339(created_ms),
            "ended_at": rfc3339_or_none(ended_ms),
        }
        for number, conversation, done, total, created_ms, ended_ms in fetch_rows(newest)
    ]


def trim(tx: Transaction, before_ms: int, limit: int) -> int:
    """Delete additions that ended before a time, and at most `limit`; returns how many."""
    ended = MemberAddition.select(MemberAddition.id).where(MemberAddition.ended_ms < before_ms)
    oldest = ended.order_by(MemberAddition.id).limit(limit)
    return int(MemberAddition.delete().where(MemberAddition.id.in_(oldest)).execute())
