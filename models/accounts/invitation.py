"""Invitations: a code lets somebody sign up, also where sign-up is closed. It is stored only as a hash.

An invitation is valid while the admin who created it is an active admin: one who is suspended has no way back by it.

An attempt to sign up uses an invitation for as long as its account exists: one that is never verified is deleted after a day, and
gives its use back.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import peewee
from peewee import fn

from models.accounts import registration
from models.accounts.registration import NewUser
from models.community import group as groups
from models.community.group import Group
from models.identity.user import ROLES, User
from models.log.event import Transaction
from models.store.clock import rfc3339
from models.store.database import ID_MAX, Base, NeverReusedIdField, chunks, fetch_rows
from models.store.errors import InvalidError, NotFoundError

CODE_BYTES = 16
MAX_IDS_PER_QUERY = 500
MAX_USES = 10_000
MAX_VALID_S = 365 * 24 * 3600
VALID_S = 7 * 24 * 3600
KEPT_AFTER_END_MS = 30 * 24 * 3600 * 1000
IS_BY_ADMIN = (User.role == "admin") & (User.status == "active")  # of the user who created an invitation


class Invitation(Base):
    """An invitation. An account that is made by it gets `role`, and joins `group` if there is one. One that was ended has no `uses`
    and is nowhere shown; `trim` deletes it."""

    id = NeverReusedIdField()
    code_hash = peewee.CharField(max_length=64, unique=True)
    uses = peewee.IntegerField()
    group = peewee.ForeignKeyField(Group, null=True, on_delete="SET NULL")
    role = peewee.CharField(max_length=8)
    created_by = peewee.ForeignKeyField(User, on_delete="CASCADE")
    created_ms = peewee.BigIntegerField()
    expires_ms = peewee.BigIntegerField(index=True)

    class Meta:
        table_name = "invitations"


NOT_ENDED = Invitation.uses > 0


class InvitationUse(Base):
    """An account, pending or active, that was made by an invitation."""

    user = peewee.ForeignKeyField(User, primary_key=True, on_delete="CASCADE")
    invitation = peewee.ForeignKeyField(Invitation, on_delete="CASCADE")

    class Meta:
        table_name = "invitation_uses"


class InvitationView(msgspec.Struct):
    """INVITATION. `used` counts accounts, pending ones of the last day included."""

    id: int
    uses: int
    used: int
    group: int | None
    role: str
    created_by: int
    created_at: str
    expires_at: str


class Invited(msgspec.Struct):
    """The destination of an invitation: a group of the community, if it names one."""

    group: str | None


def digest(code: str) -> str:
    """The hash that is stored of a code."""
    return hashlib.sha256(code.encode()).hexdigest()


def create(tx: Transaction, by: int, uses: int, valid_s: int, group: int | None, role: str) -> tuple[InvitationView, str]:
    """Create an invitation, and return it with its code. Raises InvalidError for a group or role that does not exist."""
    if role not in ROLES:
        raise InvalidError(("role", "must be user or admin"))
    if group is not None and not Group.select().where(Group.id == group).exists():
        raise InvalidError(("group", "must be the id of a group"))
    code = secrets.token_urlsafe(CODE_BYTES)
    made = tx.next_id("invitations")
    values = {"id": made, "code_hash": digest(code), "uses": uses, "group": group, "role": role, "created_by": by}
    Invitation.insert(**values, created_ms=tx.now_ms, expires_ms=tx.now_ms + 1000 * valid_s).as_rowcount().execute()
    return _views(Invitation.id == made)[0], code


def page(before: int | None, limit: int) -> list[InvitationView]:
    """The invitations with a smaller id, newest first."""
    return _views(Invitation.id < (ID_MAX if before is None else before), limit)


def end(_tx: Transaction, invitation: int) -> None:
    """End an invitation. Attempts by it that were not verified yet are no longer invited. Raises NotFoundError."""
    if not Invitation.update(uses=0, expires_ms=0).where(Invitation.id == invitation, NOT_ENDED).execute():
        raise NotFoundError


def find(code: str, now_ms: int) -> Invited:
    """Return the destination of a code. Raises NotFoundError when it is unknown, over or used up."""
    return Invited(_usable(code, now_ms)[1])


def sign_up(tx: Transaction, secret: str, code: str, new: NewUser, hashed: str) -> int:
    """Sign up by an invitation, and return the pending account. Raises NotFoundError when its code is unknown, over or used up,
    and ConflictError as registration.sign_up does."""
    invitation, _ = _usable(code, tx.now_ms)
    made = registration.sign_up(tx, secret, new, hashed)
    InvitationUse.insert(user=made, invitation=invitation).as_rowcount().execute()
    return made


def accept(tx: Transaction, users: Sequence[int]) -> None:
    """Give accounts that were just activated what their invitations say, if they were made by some."""
    uses = _uses(users, InvitationUse.user, Invitation.role, Invitation.group)
    for part in chunks([user for user, role, _ in uses if role == "admin"], MAX_IDS_PER_QUERY):
        User.update(role="admin").where(User.id.in_(part)).execute()
    members: defaultdict[int, list[int]] = defaultdict(list)
    for user, _, group in uses:
        if group is not None:
            members[group].append(user)
    for group, new in members.items():  # nobody of them is in a group yet
        groups.add_members(tx, new, group)


def invited(attempts: Sequence[int]) -> list[int]:
    """Those of these accounts that were made by an invitation which was not ended, and whose admin is one still."""
    return [user for (user,) in _uses(attempts, InvitationUse.user)]


def _uses(users: Sequence[int], *columns: Any) -> list[tuple[Any, ...]]:
    query = InvitationUse.select(*columns).join(Invitation).join(User).where(IS_BY_ADMIN, NOT_ENDED)
    parts = chunks(users, MAX_IDS_PER_QUERY)
    return [row for part in parts for row in fetch_rows(query.where(InvitationUse.user.in_(part)))]


def trim(tx: Transaction, limit: int) -> int:
    """Delete invitations that were ended, or expired a month ago: first their uses, at most `limit` rows in all. Return their
    number."""
    over = Invitation.select(Invitation.id).where(Invitation.expires_ms < tx.now_ms - KEPT_AFTER_END_MS)
    uses = InvitationUse.select(InvitationUse.user).where(InvitationUse.invitation.in_(over)).limit(limit)
    deleted = int(InvitationUse.delete().where(InvitationUse.user.in_(uses)).execute())
    if deleted == limit:
        return deleted
    return deleted + int(Invitation.delete().where(Invitation.id.in_(over.limit(limit - deleted))).execute())


def _used() -> Any:
    return InvitationUse.select(fn.COUNT(InvitationUse.user)).where(InvitationUse.invitation == Invitation.id)


def _usable(code: str, now_ms: int) -> tuple[int, str | None]:
    """(id, name of its group) of the invitation with a code. Raises NotFoundError."""
    query = (
        Invitation.select(Invitation.id, Group.name)
        .join(Group, peewee.JOIN.LEFT_OUTER)
        .switch(Invitation)
        .join(User)
        .where(Invitation.code_hash == digest(code), Invitation.expires_ms > now_ms, Invitation.uses > _used(), IS_BY_ADMIN)
    )
    found = fetch_rows(query)
    if not found:
        raise NotFoundError
    return found[0]


def _views(condition: Any, limit: int = 1) -> list[InvitationView]:
    columns = (Invitation.id, Invitation.uses, _used(), Invitation.group, Invitation.role, Invitation.created_by)
    times = (Invitation.created_ms, Invitation.expires_ms)
    query = Invitation.select(*columns, *times).where(condition, NOT_ENDED).order_by(Invitation.id.desc()).limit(limit)
    return [InvitationView(*row[:-2], *map(rfc3339, row[-2:])) for row in fetch_rows(query)]
