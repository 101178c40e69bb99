"""Deletions of accounts: each is a job, whose row says how far it is done and is its receipt.

The transaction that requests one makes the account unusable and nameless. `jobs/consumers/deletions.py` does the rest, a few rows a
transaction; the same transaction moves the row's step and position, so a crash repeats nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import peewee

from models.identity import code, ended_tokens, token
from models.identity.user import User, UserView, view
from models.log.checkpoint import CheckpointMovedError
from models.log.event import ACCOUNTS, GATEWAYS, POSTS, Transaction
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.database import Base, NeverReusedIdField, fetch_column, fetch_rows
from models.store.errors import ConflictError

REQUESTED = "user.deleted"
KEEP, ERASE = "keep", "erase"  # what becomes of the user's texts
TEXTS = (KEEP, ERASE)
DELETED = "deleted"  # the status
DISPLAY_NAME = "Deleted user"
MAX_USERNAME_TRIES = 100
OWN_ACCOUNT = "an administrator can't delete their own account; another one can"

Place = tuple[str, str]  # a step and the position in it
FormerName = tuple[str, str]  # a name, and what it was, as models/accounts/former_names.py knows it


class Deletion(Base):
    """A deletion. `names` are what to replace in texts about the user, as JSON; emptied when it is done. `counts` are the rows
    that were changed or deleted, by table, as JSON."""

    id = NeverReusedIdField()
    user = peewee.ForeignKeyField(User)
    by_user = peewee.BigIntegerField(null=True)
    texts = peewee.CharField(max_length=5)
    names = peewee.TextField()
    step = peewee.CharField(max_length=63)
    position = peewee.TextField()
    counts = peewee.TextField()
    created_ms = peewee.BigIntegerField()
    ended_ms = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "deletions"


class DeletionProgress(NamedTuple):
    """A deletion that is not done: the user, whether their texts are erased, their former names, and the next step's place."""

    id: int
    user: int
    erases: bool
    names: list[FormerName]
    place: Place
    user_created_ms: int
    created_ms: int


def request(tx: Transaction, user: int, texts: str, by: int | None) -> int:
    """Make the account unusable and nameless, and append the event from which a drain empties the rest. Return the job's id, that
    of the first request if this one asks for nothing more. Raises NotFoundError, and ConflictError for one's own account."""
    before = view(user)
    if by == user:
        raise ConflictError(OWN_ACCOUNT)
    earlier = fetch_column(Deletion.select(Deletion.id).where(Deletion.user == user, Deletion.texts.in_((texts, ERASE))))
    if earlier:
        return int(earlier[-1])
    number = tx.next_id("deletions")
    names, counts = _leave(tx, before)
    Deletion.insert(
        id=number,
        user=user,
        by_user=by,
        texts=texts,
        names=msgspec.json.encode(names).decode(),
        step="",
        position="",
        counts=msgspec.json.encode(counts).decode(),
        created_ms=tx.now_ms,
    ).as_rowcount().execute()
    tx.append(ACCOUNTS, REQUESTED, msgspec.json.encode({"user": user, "deletion": number}))
    return number


def _leave(tx: Transaction, before: UserView) -> tuple[list[FormerName], dict[str, int]]:
    """End the account's tokens and codes and remove its names; returns these and the rows by table."""
    if before.status == DELETED:
        return [], {}
    user, username = before.id, _free_username(before.id)
    ((email,),) = fetch_rows(User.select(User.email).where(User.id == user))
    tokens = token.count(user)
    ended_ms = token.end_all(tx, user)
    if before.external_id is not None:  # the host's tokens would make a new account else
        ended_tokens.record_user(before.external_id, ended_ms)
    code.void(tx, [user], code.LOGIN)
    User.update(
        username=username,
        username_key=username,
        display_name=DISPLAY_NAME,
        display_key=DISPLAY_NAME.lower(),
        email="",
        email_key=f"none:{user}",
        external_id=None,
        metadata=None,
        password_hash=None,
        site=None,
        watches="{}",
        role="user",
        status=DELETED,
    ).where(User.id == user).execute()
    # Gateways of earlier versions end the connections of accounts that are suspended.
    tx.append(GATEWAYS, "account.changed", msgspec.json.encode({"user": user, "status": "suspended"}))
    tx.append(POSTS, "user.updated", msgspec.json.encode(view(user)))
    former = [
        (before.display_name, "display_name"),
        (before.username, "username"),
        (email, "email"),
        (before.external_id or "", "external_id"),
    ]
    return [(name, what) for name, what in former if name], {"users": 1, "tokens": tokens}


def _free_username(user: int) -> str:
    """`deleted-7`; if an account has chosen that for its name, `deleted-7-2` and so on."""
    names = [f"deleted-{user}", *(f"deleted-{user}-{n}" for n in range(2, MAX_USERNAME_TRIES))]
    there = set(fetch_column(User.select(User.username_key).where(User.username_key.in_(names))))
    return next(name for name in names if name not in there)


def find_unfinished(number: int) -> DeletionProgress | None:
    """A deletion, or None when it is done."""
    columns = (Deletion.user, Deletion.texts, Deletion.names, Deletion.step, Deletion.position, User.created_ms)
    query = Deletion.select(*columns, Deletion.created_ms).join(User).where(Deletion.id == number, Deletion.ended_ms.is_null())
    for user, texts, names, step, position, user_created_ms, created_ms in fetch_rows(query):
        pairs = msgspec.json.decode(names, type=list[FormerName])
        return DeletionProgress(number, user, texts == ERASE, pairs, (step, position), user_created_ms, created_ms)
    return None


def advance(tx: Transaction, number: int, old: Place, new: Place, table: str, changed: int) -> None:
    """Move a deletion from one place to the next, and count rows of a table. Raises CheckpointMovedError when it has moved."""
    unmoved = (Deletion.id == number) & (Deletion.step == old[0]) & (Deletion.position == old[1])
    found = fetch_column(Deletion.select(Deletion.counts).where(unmoved))
    if not found:
        raise CheckpointMovedError
    counts = msgspec.json.decode(found[0], type=dict[str, int])
    if changed:
        counts[table] = counts.get(table, 0) + changed
    values = {"step": new[0], "position": new[1], "counts": msgspec.json.encode(counts).decode()}
    if Deletion.update(**values).where(unmoved).execute() != 1:
        raise CheckpointMovedError


def add_names(tx: Transaction, number: int, names: Sequence[FormerName]) -> None:
    """Add names that are to be replaced, too: those of groups that the user owned, and those that the user had before."""
    ((stored,),) = fetch_rows(Deletion.select(Deletion.names).where(Deletion.id == number))
    known = msgspec.json.decode(stored, type=list[FormerName])
    both = known + [name for name in names if name not in known]
    Deletion.update(names=msgspec.json.encode(both).decode()).where(Deletion.id == number).execute()


def forget_names(tx: Transaction, number: int) -> None:
    """Empty the names, which nothing has any more."""
    Deletion.update(names="[]").where(Deletion.id == number).execute()


def complete(tx: Transaction, number: int) -> None:
    """Mark a deletion as done."""
    Deletion.update(ended_ms=tx.now_ms).where(Deletion.id == number).execute()


def list_newest(limit: int) -> list[Mapping[str, Any]]:
    """Deletions with their receipts, newest first."""
    columns = (Deletion.id, Deletion.user, Deletion.by_user, Deletion.texts, Deletion.counts)
    times = (Deletion.created_ms, Deletion.ended_ms)
    newest = Deletion.select(*columns, *times).order_by(Deletion.id.desc()).limit(limit)
    return [
        {
            "job": number,
            "user": user,
            "by": by,
            "texts": texts,
            "state": "running" if ended_ms is None else "done",
            "rows": msgspec.json.decode(counts, type=dict[str, int]),
            "created_at": rfc3339(created_ms),
            "ended_at": rfc3339_or_none(ended_ms),
        }
        for number, user, by, texts, counts, created_ms, ended_ms in fetch_rows(newest)
    ]
